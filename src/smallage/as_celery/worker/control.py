"""Commands of an application's own, answered by workers: `celery.worker.control`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.control import control_command, inspect_command

__all__ = ["control_command", "inspect_command"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
