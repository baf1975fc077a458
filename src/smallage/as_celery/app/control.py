"""Orders to workers and questions about them: `celery.app.control`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from smallage.as_celery.absent import attribute
from smallage.control import Control, Inspect


def flatten_reply(reply: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Answers of many nodes, one mapping each, as one mapping."""
    return {node: answer for one in reply for node, answer in one.items()}


__all__ = ["Control", "Inspect", "flatten_reply"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
