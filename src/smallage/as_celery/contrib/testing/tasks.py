"""A task that shows that a worker works: `celery.contrib.testing.tasks`."""

from __future__ import annotations

from smallage.shared import shared_task


@shared_task(name="celery.ping")
def ping() -> str:
    """Return "pong"."""
    return "pong"


__all__ = ["ping"]
