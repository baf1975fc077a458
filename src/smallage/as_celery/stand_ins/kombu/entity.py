"""Queues and what they are marked with: `kombu.entity`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smallage.app.destinations import Exchange, Queue
from smallage.as_celery.absent import attribute

TRANSIENT_DELIVERY_MODE: Final = 1
PERSISTENT_DELIVERY_MODE: Final = 2

__all__ = ["PERSISTENT_DELIVERY_MODE", "TRANSIENT_DELIVERY_MODE", "Exchange", "Queue"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
