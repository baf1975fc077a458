"""The tasks of an app: `celery.app.registry`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.app.registry import Registry as TaskRegistry
from smallage.as_celery.absent import attribute
from smallage.core.errors import NotRegistered

__all__ = ["NotRegistered", "TaskRegistry"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
