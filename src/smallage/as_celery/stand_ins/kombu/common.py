"""The names that programs take from `kombu.common`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.app.destinations import Exchange, Queue
from smallage.as_celery.absent import attribute
from smallage.as_celery.utils import uuid

__all__ = ["Exchange", "Queue", "uuid"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
