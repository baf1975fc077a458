"""What receivers of signals get as `request`: `celery.worker.request`. A class of one's own is not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.request import Request

__all__ = ["Request"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
