"""kombu's exceptions, as Smallage's calls raise them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.core.errors import DecodeError, EncodeError, OperationalError, SmallageError

KombuError = SmallageError
SerializationError = EncodeError
ContentDisallowed = DecodeError

__all__ = ["ContentDisallowed", "DecodeError", "EncodeError", "KombuError", "OperationalError", "SerializationError"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
