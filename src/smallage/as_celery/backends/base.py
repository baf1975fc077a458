"""Where results are: `celery.backends.base`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.app.backend import Backend
from smallage.as_celery.absent import attribute

BaseBackend = Backend

__all__ = ["Backend", "BaseBackend"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
