"""`kombu.utils.imports`."""

from __future__ import annotations

from smallage.as_celery.utils.imports import symbol_by_name

__all__ = ["symbol_by_name"]
