"""`smallage worker`: from options to a running supervisor."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Any

from smallage.core.errors import ImproperlyConfigured

USAGE = 2
_SERVICE = ("_logfile", "_pidfile", "_uid", "_gid", "_umask", "_detach")


def run_worker(found: dict[str, Any], log_values: bool = False) -> int:
    """Run a worker with the options found on the command line; returns the exit code. `log_values`: show results and
    errors in its log, as Celery does."""
    from smallage.worker.options import WorkerOptions, pool_named
    from smallage.worker.supervisor import supervise

    values = {name: value for name, value in found.items() if value is not None and not name.startswith("_")}
    level = str(values.get("log_level", "warning")).upper()
    values["log_level"] = "CRITICAL" if level == "FATAL" else level
    values["store_url"] = values.pop("store", None)
    if values.pop("no_beat", None):
        values["beat"] = False
    if found.get("_autoscale"):
        most, least = found["_autoscale"]
        by_need = pool_named(values.get("pool") or "processes") == "processes"
        values["concurrency"] = least if by_need else most  # other pools keep their size, and idle places cost nothing
        values["autoscale"] = (most, least) if by_need else None
    pattern = found.get("_logfile") or ""
    if "%i" in pattern or "%I" in pattern:
        values["logfile"] = os.path.abspath(pattern)
    service = {name[1:]: found[name] for name in _SERVICE if found.get(name) is not None}
    with ExitStack() as around:
        try:
            if "pool" in values:
                values["pool"] = pool_named(values["pool"])
            options = WorkerOptions(**values, log_values=log_values)
            if service:
                from smallage.cli.background import as_service

                around.enter_context(as_service(options.node, **service, workdir=options.workdir))
        except (ImproperlyConfigured, OSError) as error:
            print(f"smallage: {error}", file=sys.stderr)
            return USAGE
        return supervise(options)
