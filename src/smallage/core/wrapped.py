"""A result with what else is kept of a run: its children, and with `result_extended` its call."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from smallage.core.errors import DecodeError

HEAD: Final = b"\xc1"
"""The one byte that begins no msgpack value."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes | None, dict[str, Any]]).decode


def wrap(result: bytes | None, kept: dict[str, Any]) -> bytes:
    """A result's bytes with plain data beside them: "c" children (an id, or [id] for a group), "x" the call."""
    return HEAD + _encode((result, kept))


def unwrap(data: bytes | None) -> tuple[bytes | None, dict[str, Any]]:
    """The result's bytes, and what was kept beside them. Raises DecodeError."""
    if data is None or data[:1] != HEAD:
        return data, {}
    try:
        return _decode(data[1:])
    except msgspec.MsgspecError as error:
        raise DecodeError(f"not a result of ours: {error}") from None
