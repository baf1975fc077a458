"""Loggers of tasks: `get_task_logger(__name__)`. Their lines know the task that runs."""

from __future__ import annotations

import logging
from typing import Final

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


class TaskFields(logging.Filter):
    """Gives records `task_id` and `task_name` of the task that runs; "???" outside of one."""

    def filter(self, record: logging.LogRecord) -> bool:
        from smallage.request import running

        request = running.get()
        known = vars(record)
        known.setdefault("task_id", "???" if request is None else request.id)
        known.setdefault("task_name", "???" if request is None else request.task)
        return True
