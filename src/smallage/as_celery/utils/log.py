"""Loggers: `celery.utils.log`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.log import TASK_LOGGER, get_logger, get_task_logger

base_logger = logging.getLogger("celery")
task_logger = logging.getLogger(TASK_LOGGER)
worker_logger = logging.getLogger("celery.worker")

LOG_LEVELS: dict[str | int, str | int] = {
    "FATAL": logging.FATAL,
    logging.FATAL: "FATAL",
    **{name: getattr(logging, name) for name in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")},
    **{getattr(logging, name): name for name in ("ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")},
}


def mlevel(level: str | int | None) -> int | None:
    """A level's number, from its name or itself."""
    if isinstance(level, str):
        return logging.getLevelNamesMapping()[level.upper()]
    return level


__all__ = [
    "LOG_LEVELS",
    "base_logger",
    "get_logger",
    "get_task_logger",
    "mlevel",
    "task_logger",
    "worker_logger",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
