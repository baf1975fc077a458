"""Smallage on its embedded store."""

import probe

from adapters import smallage_redis as base

ENV, MODULE, BACKEND, IMPORT, PIP, ALSO = base.ENV, base.MODULE, "sqlite", base.IMPORT, base.PIP, base.ALSO
HAS_RESULTS = HAS_CHORD = True
N = {"noop": 60000, "enqueue": 8000}
CONFIGS = {
    scenario: {label: dict(o, store="sqlite") for label, o in rows.items()}
    for scenario, rows in base.CONFIGS.items()
    if scenario not in ("memory", "redis_time")
}


def workers(o, bin_):
    return base.workers(o, bin_, "adapters.smallage_sqlite")


if probe.IN_VENV and probe.opts().get("store") == "sqlite":
    app, Client = base.build("sqlite:///" + probe.os.path.join(probe.os.environ["BENCH_DIR"], "queue.db"))
