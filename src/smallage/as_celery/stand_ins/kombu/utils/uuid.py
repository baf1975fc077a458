"""`kombu.utils.uuid`."""

from __future__ import annotations

from smallage.as_celery.utils import uuid

__all__ = ["uuid"]
