"""Signatures and what is made of them: `celery.canvas`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.core.canvas import (
    Signature,
    chain,
    chord,
    chunks,
    group,
    maybe_signature,
    maybe_subtask,
    signature,
    subtask,
    xmap,
    xstarmap,
)

_chain = chain
_chord = chord

__all__ = [
    "Signature",
    "chain",
    "chord",
    "chunks",
    "group",
    "maybe_signature",
    "maybe_subtask",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
