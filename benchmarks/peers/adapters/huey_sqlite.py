"""Huey on SQLite (WAL), the state of the art without a server."""

import probe

from adapters.huey_redis import make_client

ENV, MODULE, BACKEND = "huey", "huey", "sqlite"
PIP = ["huey", "redis", "hiredis"]
HAS_RESULTS = HAS_CHORD = True
N = {"noop": 15000, "enqueue": 8000}
_S = dict(store="sqlite")
CONFIGS = {
    "enqueue": {"fsync default": dict(_S, results=1), "synchronous=0": dict(_S, results=1, fsync=0)},
    "noop": {
        "1 process x 1 thread": dict(_S, w=1, results=0),
        "1 process x 8 threads": dict(_S, w=8, results=0),
        "2 processes x 1 thread": dict(_S, w=1, results=0, procs=2),
        "2 processes x 1 thread, results": dict(_S, w=1, results=1, procs=2),
        "2 processes x 1 thread, synchronous=0": dict(_S, w=1, results=0, procs=2, fsync=0, n=60000),
    },
    "fanout_io": {"1 process x 50 threads": dict(_S, w=50, results=0)},
    "latency": {
        "2 threads, delay 0.1 (default)": dict(_S, w=2, results=1),
        "2 threads, delay 0.01, max-delay 0.05": dict(_S, w=2, results=1, fast=1),
    },
    "idle": {
        "1 process x 8 threads": dict(_S, w=8, results=0),
        "2 threads, delay 0.01, max-delay 0.05": dict(_S, w=2, results=0, fast=1),
    },
    "startup": {"1 process x 8 threads": dict(_S, w=8, results=0)},
    "crash": {"4 threads (no at-least-once mode exists)": dict(_S, w=4, results=0)},
    "chord": {"1 process x 2 threads": dict(_S, w=2, results=1)},
    "mixed": {"2 processes x 1 thread": dict(_S, w=1, results=0, procs=2)},
}


def workers(o, bin_):
    extra = ["-d", "0.01", "-m", "0.05"] if o.get("fast") else []
    return [
        [bin_ / "huey_consumer", "adapters.huey_sqlite.huey", "-q", "-w", o["w"], "-k", "thread", *extra]
        for _ in range(o.get("procs", 1))
    ]


if probe.IN_VENV and probe.opts().get("store") == "sqlite":
    from huey import SqliteHuey

    _o = probe.opts()
    huey = SqliteHuey(
        "bench",
        results=bool(_o.get("results")),
        filename=probe.os.path.join(probe.os.environ["BENCH_DIR"], "huey.db"),
        fsync=_o.get("fsync"),
    )
    noop, sleep = huey.task()(probe.noop), huey.task()(probe.sleep)

    @huey.task()
    def callback(_results):
        probe.callback()

    Client = make_client(noop, sleep, callback, huey)
