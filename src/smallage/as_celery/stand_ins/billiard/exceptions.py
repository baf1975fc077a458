"""billiard's exceptions, as tasks meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.core.errors import SoftTimeLimitExceeded, Terminated, TimeLimitExceeded, TimeoutError, WorkerLostError

__all__ = ["SoftTimeLimitExceeded", "Terminated", "TimeLimitExceeded", "TimeoutError", "WorkerLostError"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
