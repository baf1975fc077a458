"""Pools by name: `celery.concurrency`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute


def get_available_pool_names() -> tuple[str, ...]:
    """What `-P` takes."""
    return ("prefork", "gevent", "solo", "processes", "threads", "asyncio")


__all__ = ["get_available_pool_names"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
