"""Helpers that programs take from `kombu.utils`; each is the standard library's."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.as_celery.utils import uuid
from smallage.as_celery.utils.imports import symbol_by_name

__all__ = ["cached_property", "symbol_by_name", "uuid"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
