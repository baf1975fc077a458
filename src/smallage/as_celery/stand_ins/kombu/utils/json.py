"""`kombu.utils.json`: the standard library's JSON."""

from __future__ import annotations

from json import JSONEncoder, dumps, loads
from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute

__all__ = ["JSONEncoder", "dumps", "loads"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
