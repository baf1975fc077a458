"""Calls as data: tasks, chains, groups and chords as plain trees, to be made later or by somebody else.

A `Signature` is a dict and travels as an argument. Nothing here sends: `hooks` says what the client must set.
"""

from smallage.core.canvas.chain import chain
from smallage.core.canvas.chord import chord
from smallage.core.canvas.group import group
from smallage.core.canvas.mapping import chunks, xmap, xstarmap
from smallage.core.canvas.signature import Ids, Signature, maybe_signature, signature

subtask = signature
maybe_subtask = maybe_signature

__all__ = [
    "Ids",
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
