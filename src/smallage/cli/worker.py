"""`smallage worker`: from options to a running supervisor."""

from __future__ import annotations

import sys
from typing import Any

from smallage.core.errors import ImproperlyConfigured

USAGE = 2


def run_worker(found: dict[str, Any]) -> int:
    """Run a worker with the options found on the command line; returns the exit code."""
    from smallage.worker.options import WorkerOptions, pool_named
    from smallage.worker.supervisor import supervise

    values = {name: value for name, value in found.items() if value is not None and not name.startswith("_")}
    try:
        if "pool" in values:
            values["pool"] = pool_named(values["pool"])
    except ImproperlyConfigured as error:
        print(f"smallage: {error}", file=sys.stderr)
        return USAGE
    level = str(values.get("log_level", "warning")).upper()
    values["log_level"] = "CRITICAL" if level == "FATAL" else level
    values["store_url"] = values.pop("store", None)
    if values.pop("no_beat", None):
        values["beat"] = False
    return supervise(WorkerOptions(**values))
