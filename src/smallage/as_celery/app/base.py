"""The app's class: `celery.app.base`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.app import Celery
from smallage.as_celery.absent import attribute

App = Celery

__all__ = ["App", "Celery"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
