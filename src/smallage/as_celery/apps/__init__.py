"""Programs: `celery.apps`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute

__all__: list[str] = []

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
