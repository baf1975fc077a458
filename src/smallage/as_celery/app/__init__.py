"""The app: `celery.app`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.app import Celery, current_app
from smallage.as_celery._state import app_or_default
from smallage.as_celery.absent import attribute
from smallage.shared import shared_task

default_app = current_app


def bugreport(app: Any = None) -> str:
    """Versions, the store, and the settings without secrets."""
    report: str = app_or_default(app).bugreport()
    return report


__all__ = ["Celery", "app_or_default", "bugreport", "default_app", "shared_task"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
