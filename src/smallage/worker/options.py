"""What a worker is told to be: the command line's options as one value that also travels to spawned children."""

from __future__ import annotations

import os
import re
import socket
from typing import Literal, TypeAlias

import msgspec

from smallage.core.errors import ImproperlyConfigured

PoolName: TypeAlias = Literal["processes", "threads", "asyncio", "gevent", "solo"]

_POOLS: dict[str, PoolName] = {
    "processes": "processes",
    "prefork": "processes",
    "threads": "threads",
    "asyncio": "asyncio",
    "gevent": "gevent",
    "solo": "solo",
}


def pool_named(name: str) -> PoolName:
    """The pool that is meant by `name`; Celery's `prefork` means `processes`. Raises ImproperlyConfigured."""
    if pool := _POOLS.get(name):
        return pool
    if name == "eventlet":
        raise ImproperlyConfigured(
            "eventlet is no longer maintained and is not offered. Use -P gevent for the same style of code, "
            "or -P asyncio for async def tasks (hundreds in one process)."
        )
    raise ImproperlyConfigured(f"'{name}' is not a pool. Choose one of: {', '.join(sorted(set(_POOLS.values())))}.")


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that makes one worker differ from another. None: the app's setting, else the default, decides."""

    app: str = ""
    """Where the app is: `mod:obj`, `mod:factory()`, `mod`, a file path, or empty to look for it."""
    pool: PoolName | None = None
    concurrency: int | None = None
    """Tasks at a time: processes of the pool `processes`, else slots in each child."""
    processes: int = 1
    """Children of the pools other than `processes` and `solo`."""
    autoscale: tuple[int, int] | None = None
    """Most and least processes of the pool `processes`."""
    queues: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    """Queues of the settings that are not served."""
    include: tuple[str, ...] = ()
    """Modules that are imported besides those of the settings."""
    purge: bool = False
    """Remove what waits in the queues before anything is claimed."""
    node: str = ""
    log_level: str = "WARNING"
    log_format: Literal["text", "json"] = "text"
    logfile: str = ""
    """A file for each child, with %i or %I in it; empty: children write where their worker does."""
    log_values: bool = False
    """Show results and errors in the lines about tasks, as Celery does. They may hold secrets."""
    burst: bool = False
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None
    """KiB of resident memory."""
    shutdown_timeout: float | None = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    store_url: str | None = None
    """`-b`: wins over what the app says."""
    workdir: str = ""
    beat: bool = True
    """Fire the ticks of schedules too. Any number of workers may: each tick is sent once."""
    prefetch_multiplier: int | None = None
    """Upper bound of claims in hand, as a multiple of the concurrency. 0: no bound but our own."""
    own: tuple[str, ...] = ()
    """Words of the command line that are options of the app's own (`app.user_options`)."""
    lease: float = 15.0
    """Seconds for which the store counts a child as alive after it was last renewed."""


def node_name(pattern: str) -> str:
    """`w1@%h` with Celery's placeholders filled in: %h host, %n name, %d domain; without a name, `celery@host`."""
    host = socket.gethostname()
    pattern = pattern or "celery@%h"
    if "@" not in pattern:
        pattern += "@%h"
    return _filled_in(pattern, host, host.partition(".")[0])


def file_name(pattern: str, node: str, child: int = 0) -> str:
    """A file of the worker `node`, such as `/var/log/%n.log`, with the same placeholders; %n is the node's name, %i the
    number of the child from 1, %I the same behind a dash. The worker itself is 0, with nothing for %I."""
    name, _, host = node.partition("@")
    return _filled_in(pattern, host, name, child)


def _filled_in(pattern: str, host: str, name: str, child: int = 0) -> str:
    number = {"%i": str(child), "%I": f"-{child}" if child else ""}
    marks = {"%h": host, "%n": name, "%d": host.partition(".")[2], "%%": "%", **number}
    return re.sub("%[hndiI%]", lambda mark: marks[mark[0]], pattern)


def cpu_count() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


DEFAULT_CONCURRENCY = {"threads": 8, "asyncio": 100, "gevent": 100, "solo": 1}


def shape(options: WorkerOptions, pool: PoolName, concurrency: int | None) -> tuple[int, int]:
    """(children, slots in each)."""
    if pool == "solo":
        return 1, 1
    if pool == "processes":
        return max(1, concurrency or cpu_count()), 1
    return max(1, options.processes), max(1, concurrency or DEFAULT_CONCURRENCY[pool])
