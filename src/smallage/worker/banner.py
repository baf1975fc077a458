"""What a worker says of itself when it starts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from smallage.__about__ import __version__

if TYPE_CHECKING:
    from smallage.worker.options import WorkerOptions
    from smallage.worker.plan import Plan


def banner(options: WorkerOptions, plan: Plan, store: str) -> None:
    """Print node, app, store (without secrets), pool and queues to stderr, unless logs are to be JSON."""
    if options.log_format == "json":
        return
    children = "" if plan.children == 1 else f", {plan.children} children"
    pool = f"{plan.pool} × {plan.children}" if plan.pool == "processes" else f"{plan.pool} × {plan.places}{children}"
    lines = [
        ("", f"smallage {__version__}  {plan.node}"),
        ("app", plan.app_name or "?"),
        ("store", store),
        ("pool", pool),
        ("queues", ", ".join(plan.queues)),
    ]
    sys.stderr.write("".join(f"{name:>8}  {value}\n" if name else f"{value}\n" for name, value in lines))
    sys.stderr.flush()
