"""Loggers of tasks: `get_task_logger(__name__)`. Their lines know the task that runs."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, Final

from smallage.stores.shelter import sheltered

TASK_LOGGER: Final = "celery.task"
"""Parent of all loggers of tasks; a worker gives it a format of its own."""
REDIRECTED_LOGGER: Final = "celery.redirected"
"""Logger of what a worker's tasks print."""
_RESERVED: Final = frozenset({"celery", TASK_LOGGER})


def get_task_logger(name: str) -> logging.Logger:
    """The logger of this name, for the body of a task: a worker adds the task's name and id to its lines.

    Raises RuntimeError for the names that the workers' own loggers have.
    """
    if name in _RESERVED:
        raise RuntimeError(f"The logger name {name!r} is reserved; use get_task_logger(__name__).")
    logger = logging.getLogger(name)
    above: logging.Logger | None = logger
    while above is not None and above.name != TASK_LOGGER:
        above = above.parent
    if above is None:
        logger.parent = logging.getLogger(TASK_LOGGER)
    return logger


def get_logger(name: str) -> logging.Logger:
    """The logger of this name."""
    return logging.getLogger(name)


class ShelteredLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger for what is told around bodies, where they may be interrupted: an exception that is raised between a
    handler's lock and its release would silence the whole process, and hang it."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.getLogger(name), None)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **more: Any) -> None:
        if self.isEnabledFor(level):
            more["stacklevel"] = more.get("stacklevel", 1) + 1
            with sheltered():
                self.logger.log(level, msg, *args, **more)


class TaskFields(logging.Filter):
    """Gives records `task_id` and `task_name` of the task that runs; "???" outside of one."""

    def filter(self, record: logging.LogRecord) -> bool:
        from smallage.request import running

        request = running.get()
        known = vars(record)
        known.setdefault("task_id", "???" if request is None else request.id)
        known.setdefault("task_name", "???" if request is None else request.task)
        return True
