"""`celery worker`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.cli.worker_command import worker

__all__ = ["worker"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
