"""How a worker's lines look: `celery.app.log`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.log import TaskFields

_FIELDS = TaskFields()


class TaskFormatter(logging.Formatter):
    """A formatter whose format may hold `%(task_id)s` and `%(task_name)s`."""

    def format(self, record: logging.LogRecord) -> str:
        _FIELDS.filter(record)
        return super().format(record)


__all__ = ["TaskFormatter"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
