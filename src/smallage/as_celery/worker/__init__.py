"""Workers: `celery.worker`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.as_celery.worker.worker import WorkController

__all__ = ["WorkController"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
