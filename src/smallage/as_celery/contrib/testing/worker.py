"""A worker in a thread: `celery.contrib.testing.worker`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.testing.threaded import (
    test_worker_started,
    test_worker_starting,
    test_worker_stopped,
)
from smallage.testing.threaded import thread_worker as start_worker

__all__ = ["start_worker", "test_worker_started", "test_worker_starting", "test_worker_stopped"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
