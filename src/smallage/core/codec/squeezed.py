"""Compressed payloads and results.

A `ZIPPED` ext stands in the place of a payload's arguments and holds [arguments, keywords]; the extras beside it stay
as they are, since workers look at them beforehand. A result is one as a whole.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.msgpack import Ext

from smallage.core.codec.values import ZIPPED, decode, encode
from smallage.core.errors import DecodeError

WORTH: Final = 200
"""Bytes below which nothing is compressed: the marker and the method's own frame would make up for it."""

_parts = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_outside = msgspec.msgpack.Decoder(ext_hook=lambda code, data: Ext(code, bytes(data))).decode


def squeeze_payload(payload: bytes, how: int) -> bytes:
    """A payload in fewer bytes; itself if they would be no fewer. `how` is a mark of `core.compression`."""
    from smallage.core.compression import squeeze  # zlib is loaded by those who compress

    parts = _parts(payload)
    zipped = encode(Ext(ZIPPED, squeeze(encode(parts[:2]), how)))
    made = encode([msgspec.Raw(zipped), {}, parts[2]] if len(parts) > 2 else [msgspec.Raw(zipped)])
    return made if len(made) < len(payload) else payload


def unpack(data: bytes) -> list[Any] | None:
    """[arguments, keywords, extras] of a compressed payload; None if it is none. Raises DecodeError or ValueError."""
    try:
        parts = _parts(data)
        head = _outside(bytes(parts[0])) if len(parts) in (1, 3) else None
    except msgspec.MsgspecError:
        return None
    if type(head) is not Ext or head.code != ZIPPED:
        return None
    from smallage.core.compression import expand

    inner = decode(expand(bytes(head.data)))
    if type(inner) is not list or len(inner) > 2:
        raise DecodeError("no arguments and keywords")
    return [*inner, *([] if len(inner) > 1 else [{}]), *([decode(bytes(parts[2]))] if len(parts) > 2 else [])]


def squeeze_result(result: bytes, how: int) -> bytes:
    """A result in fewer bytes; itself if they would be no fewer."""
    from smallage.core.compression import squeeze

    made = encode(Ext(ZIPPED, squeeze(result, how)))
    return made if len(made) < len(result) else result
