"""Results and notes ⇄ bytes."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.msgpack import Ext

from smallage.core.codec.plain import PLAIN
from smallage.core.codec.values import MARK, ZIPPED, decode_outside, decode_value, encode, encode_value
from smallage.core.errors import DecodeError
from smallage.core.wrapped import HEAD, unwrap


def encode_result(value: Any, what: str = "the result") -> bytes | None:
    """A task's return value; None stays None."""
    if value is None:
        return None
    if type(value) in PLAIN:
        try:
            return encode(value)
        except (OverflowError, UnicodeEncodeError):
            pass  # said better below
    return encode_value(value, what)


class Marked(msgspec.Struct, frozen=True):
    """An end without a value of its own: the state that the task gave itself (or IGNORED), and its meta."""

    state: str
    meta: Any


def encode_mark(state: str, meta: Any) -> bytes:
    """The result of a task that ended by `Ignore`."""
    return encode(Ext(MARK, encode_note(state, meta)))


def decode_result(data: bytes | None) -> Any:
    """A task's return value, or `Marked`. Raises DecodeError."""
    if data is not None and data[:1] == HEAD:
        data = unwrap(data)[0]
    if data is None:
        return None
    if data[:1] in _EXT_HEADS:
        try:
            outside = decode_outside(data)
        except Exception as error:
            raise DecodeError(f"not a result of ours: {error}") from None
        if type(outside) is Ext and outside.code == ZIPPED:
            from smallage.core.compression import expand

            return decode_value(expand(bytes(outside.data)))
        if type(outside) is Ext:
            return Marked(*decode_note(bytes(outside.data)))
    return decode_value(data)


_EXT_HEADS: Final = frozenset(bytes([head]) for head in (0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8))


def encode_note(state: str, meta: Any) -> bytes:
    """A state with its meta, kept as a task's progress."""
    return encode_value([state, meta], "meta")


def decode_note(data: bytes) -> tuple[str, Any]:
    """(state, meta) of a note. Raises DecodeError."""
    value = decode_value(data)
    if type(value) is not list or len(value) != 2 or type(value[0]) is not str:
        raise DecodeError("not a note of ours")
    return value[0], value[1]
