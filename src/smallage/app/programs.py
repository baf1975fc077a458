"""`app.Worker(...)` and `app.Beat(...)`: a worker, or what sends schedules, started by the program itself."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from smallage.app.launching import start
from smallage.core.errors import ImproperlyConfigured, SmallageWarning

if TYPE_CHECKING:
    from smallage.app.base import Smallage

_USAGE = 2

WORKER_OPTIONS: Final = {
    "autoscale": "--autoscale",
    "beat": "--beat",
    "concurrency": "--concurrency",
    "exclude_queues": "--exclude-queues",
    "gid": "--gid",
    "hostname": "--hostname",
    "include": "--include",
    "logfile": "--logfile",
    "loglevel": "--loglevel",
    "max_memory_per_child": "--max-memory-per-child",
    "max_tasks_per_child": "--max-tasks-per-child",
    "pidfile": "--pidfile",
    "pool": "--pool",
    "pool_cls": "--pool",
    "prefetch_multiplier": "--prefetch-multiplier",
    "purge": "--purge",
    "queues": "--queues",
    "soft_time_limit": "--soft-time-limit",
    "task_soft_time_limit": "--soft-time-limit",
    "task_time_limit": "--time-limit",
    "time_limit": "--time-limit",
    "uid": "--uid",
    "workdir": "--workdir",
}
"""What Celery's worker is made with → the option of the command line that it is."""
BEAT_OPTIONS: Final = {
    "hostname": "--hostname",
    "logfile": "--logfile",
    "loglevel": "--loglevel",
    "max_interval": "--max-interval",
    "pidfile": "--pidfile",
    "scheduler": "--scheduler",
    "scheduler_cls": "--scheduler",
}
_WITHOUT_EFFECT: Final = frozenset(
    [
        "colorize",
        "disable_prefetch",
        "heartbeat_interval",
        "no_color",
        "optimization",
        "quiet",
        "schedule",
        "schedule_filename",
        "scheduler",
        "send_events",
        "state_db",
        "statedb",
        "task_events",
        "without_gossip",
        "without_heartbeat",
        "without_mingle",
    ]
)
"""Celery's keywords that mean nothing here."""


def words_of(options: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    """A command line's words for keywords; those that nobody knows are warned of."""
    found: list[str] = []
    unknown = options.keys() - known.keys() - _WITHOUT_EFFECT
    if unknown:
        warnings.warn(f"Without effect here: {', '.join(sorted(unknown))}.", SmallageWarning, stacklevel=4)
    for name, value in options.items():
        if name not in known or value is None or value is False:
            continue
        if value is True:
            found.append(known[name])
        else:
            found.append(f"{known[name]}={_word(name, value)}")
    return found


def _word(name: str, value: Any) -> str:
    if name == "loglevel" and isinstance(value, int):
        return logging.getLevelName(value).lower()
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(map(str, value))
    return str(value)


class _Program:
    """A command of the app's, prepared by keywords as Celery takes them."""

    command: str
    known: Mapping[str, str]

    def __init__(self, app: Smallage, **options: Any) -> None:
        self.app = app
        self.options = options
        self.exitcode: int | None = None
        """Once it has ended."""
        self._words = [self.command, *words_of(options, self.known)]

    def start(self) -> int:
        """Work until told to stop; returns the exit code. In another thread than the main one signals are left to the
        program. Raises ImproperlyConfigured if it cannot begin; the standard error says why."""
        self.exitcode = start(self.app, self._words)
        if self.exitcode == _USAGE:
            raise ImproperlyConfigured(f"This {self.command} cannot be started; the lines above say why.")
        return self.exitcode

    run = start


class Worker(_Program):
    """A worker with the options of `smallage worker`, by Celery's keywords: `Worker(app, pool="solo", queues="a,b")`.
    Its processes import the app anew, so it is to be in a variable of a module."""

    command = "worker"
    known = WORKER_OPTIONS

    @property
    def hostname(self) -> str:
        """The name under which `app.control` reaches it."""
        from importlib import import_module

        name: str = import_module("smallage.worker.options").node_name(self.options.get("hostname") or "")
        return name

    def stop(self) -> None:
        """Have it end what it runs and stop, from whatever thread: an order to workers of its name."""
        self.app.control.shutdown(destination=[self.hostname])


class Beat(_Program):
    """What `smallage beat` does: sends the schedules that are due. Workers do it, too."""

    command = "beat"
    known = BEAT_OPTIONS
