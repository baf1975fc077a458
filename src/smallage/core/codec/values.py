"""One value ⇄ bytes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from math import isfinite
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.msgpack import Ext

from smallage.core.codec.plain import (
    BIGINT,
    DATE,
    DATETIME,
    DECIMAL,
    DELTA,
    KEYS,
    MAX_DEPTH,
    MAX_INT_BYTES,
    PLAIN,
    TIME,
    TIMEDELTA,
    UUID_,
    Bad,
    plain,
    refusal,
)
from smallage.core.errors import DecodeError, EncodeError

ROW, MARK, ZIPPED = 32, 33, 34
"""Ext types that we write around values; inside a value they do not decode."""


def _read_bigint(data: bytes) -> int:
    if not 0 < len(data) <= MAX_INT_BYTES:
        raise ValueError("an integer has more than 4,300 digits")
    return int.from_bytes(data, "big", signed=True)


def _read_decimal(data: bytes) -> Decimal:
    value = Decimal(data.decode("ascii"))
    if len(data) > MAX_INT_BYTES * 3 or not value.is_finite():
        raise ValueError("a decimal is not a finite number of sane length")
    return value


def _read_timedelta(data: bytes) -> dt.timedelta:
    days, seconds, microseconds = DELTA.unpack(data)
    return dt.timedelta(days, seconds, microseconds)


_READERS: Final[dict[int, Any]] = {
    DATETIME: lambda data: dt.datetime.fromisoformat(data.decode("ascii")),
    DATE: lambda data: dt.date.fromisoformat(data.decode("ascii")),
    TIME: lambda data: dt.time.fromisoformat(data.decode("ascii")),
    TIMEDELTA: _read_timedelta,
    DECIMAL: _read_decimal,
    UUID_: lambda data: UUID(bytes=data),
    BIGINT: _read_bigint,
}


def _ext(code: int, data: memoryview) -> Any:
    """Build a value of the closed table; anything else is not ours."""
    read = _READERS.get(code)
    if read is None:
        raise ValueError(f"unknown type code {code}")
    try:
        return read(bytes(data))
    except Exception:
        raise ValueError(f"type code {code} holds what it cannot") from None  # Python's own texts show the value


def _ext_outside(code: int, data: memoryview) -> Any:
    """As `_ext`, for the outermost value, which may also be a row, a mark or compressed."""
    if code in (ROW, MARK, ZIPPED):
        return Ext(code, bytes(data))
    return _ext(code, data)


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(ext_hook=_ext).decode
decode_outside = msgspec.msgpack.Decoder(ext_hook=_ext_outside).decode


def to_bytes(value: Any, what: str) -> bytes:
    """Encode what `plain` made; broken Unicode shows only here."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        raise EncodeError(
            f"{what} cannot be sent: a string holds half a surrogate pair; clean it with "
            "text.encode('utf-8', 'replace').decode()."
        ) from None
    except RecursionError:
        raise EncodeError(f"{what} cannot be sent: it is nested too deeply or contains itself.") from None


def encode_value(value: Any, what: str = "the value") -> bytes:
    """`value` as bytes. Raises EncodeError, which calls the value `what` and says what to pass instead."""
    if type(value) not in PLAIN or type(value) is int:
        try:
            value = plain(value, 0)
        except Bad as bad:
            raise refusal(bad, what) from None
        except RecursionError:
            raise EncodeError(f"{what} cannot be sent: it is nested too deeply.") from None
    return to_bytes(value, what)


def decode_value(data: bytes) -> Any:
    """The value in `data`. Raises DecodeError for anything that `encode_value` does not write."""
    try:
        value = decode(data)
    except Exception as error:
        raise DecodeError(f"not a value of ours: {error}") from None
    if type(value) not in PLAIN:
        check(value)
    return value


def check(value: Any) -> None:
    """Refuse, in a decoded value, what the encoder refuses: depth, non-finite numbers, keys that are no strings."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                if not KEYS.issuperset(map(type, item)):
                    raise DecodeError("a key is not a string")
                if not PLAIN.issuperset(map(type, item.values())):
                    below.extend(item.values())
            elif kind is list:
                if not PLAIN.issuperset(map(type, item)):
                    below.extend(item)
            elif kind is float and not isfinite(item):
                raise DecodeError(f"{item} is not a JSON number")
        if not below:
            return
        level = below
    raise DecodeError(f"nested more than {MAX_DEPTH} levels deep")
