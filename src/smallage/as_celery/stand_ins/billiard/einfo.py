"""What tells of an error: `billiard.einfo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.tasks.telling import ExceptionInfo


class ExceptionWithTraceback(Exception):
    """billiard's envelope of an error on its way between processes; no error comes in one here."""


__all__ = ["ExceptionInfo", "ExceptionWithTraceback"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
