"""What a value looks like in msgpack: JSON's types as themselves, a closed table of others as ext types.

Refused: NaN and infinities, nesting beyond `MAX_DEPTH`, integers beyond 4,300 digits.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from math import isfinite
from struct import Struct as Layout
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.msgpack import Ext

from smallage.core.errors import EncodeError

MAX_DEPTH: Final = 64
MAX_INT_BYTES: Final = 1786
"""Bytes of the largest integer of 4,300 digits."""

DATETIME, DATE, TIME, TIMEDELTA, DECIMAL, UUID_, BIGINT = 1, 2, 3, 4, 5, 6, 7

PLAIN: Final = frozenset({int, str, bool, type(None), bytes})
KEYS: Final = frozenset({str})
DELTA = Layout(">iii")


class Bad(Exception):
    """Why a value cannot travel. `path` grows as it leaves the containers."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix
        self.path: list[str] = []


def plain(value: Any, depth: int) -> Any:
    """`value` as msgpack types and our ext types."""
    kind = type(value)
    if kind is str or kind is bool or value is None or kind is bytes:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**64 else _bigint(value)
    if kind is float:
        if not isfinite(value):
            raise Bad(f"{value} is not a JSON number", "pass None or a string instead")
        return value
    if depth >= MAX_DEPTH:
        raise Bad(f"it is nested more than {MAX_DEPTH} levels deep", "flatten it, or store it and pass its key")
    if kind is dict:
        return _dict(value, depth)
    if kind is list or kind is tuple:
        return _list(value, depth)
    return _other(value, kind, depth)


def _list(value: Sequence[Any], depth: int) -> Sequence[Any]:
    if PLAIN.issuperset(map(type, value)) and not _has_bigint(value):
        return value
    made = []
    for place, item in enumerate(value):
        try:
            made.append(plain(item, depth + 1))
        except Bad as bad:
            bad.path.insert(0, f"[{place}]")
            raise
    return made


def _has_bigint(values: Any) -> bool:
    return any(type(item) is int and not -(2**63) <= item < 2**64 for item in values)


def _dict(value: Mapping[Any, Any], depth: int) -> Mapping[str, Any]:
    if (
        KEYS.issuperset(map(type, value))
        and PLAIN.issuperset(map(type, value.values()))
        and not _has_bigint(value.values())
    ):
        return value
    made: dict[str, Any] = {}
    for key, item in value.items():
        text = key if type(key) is str else _key(key)
        if text in made:
            raise Bad(f"two of its keys are both {text!r} as text", "use keys of one type")
        try:
            made[text] = plain(item, depth + 1)
        except Bad as bad:
            bad.path.insert(0, f"[{text!r}]")
            raise
    return made


def _key(key: Any) -> str:
    """A dict's key as JSON would write it."""
    if isinstance(key, str):
        return str.__str__(key.value if isinstance(key, Enum) else key)
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float) and isfinite(key):
        return float.__repr__(key)
    raise Bad(f"a key is a {type_name(key)}", "use strings as keys")


def _other(value: Any, kind: type, depth: int) -> Any:
    """Everything that is neither a scalar of JSON nor an exact list, tuple or dict."""
    write = _WRITERS.get(kind)
    if write is not None:
        return write(value)
    if isinstance(value, Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, (set, frozenset)):
        return _list(_in_order(value), depth)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if hasattr(kind, "__json__"):
        return plain(value.__json__(), depth + 1)
    model = _model_fields(value)
    if model is not None:
        return _dict(model, depth)
    for base, build in _SUBCLASSES:
        if isinstance(value, base):
            return plain(build(value), depth)
    if isinstance(value, (list, tuple)):
        return _list(list(value), depth)
    if isinstance(value, dict):
        return _dict(dict(value), depth)
    for known, write in _WRITERS.items():
        if isinstance(value, known):
            return write(value)
    raise Bad(f"a {type_name(value)} cannot travel to a worker", _fix(value))


_SUBCLASSES: Final[tuple[tuple[type, Any], ...]] = (
    (str, str.__str__),
    (int, int),
    (float, float),
    (bytes, bytes),
)


def _in_order(values: Any) -> list[Any]:
    """A set in an order that does not hang on hash seeds: the same call must give the same bytes."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda item: (type(item).__name__, repr(item)))


def _model_fields(value: Any) -> Mapping[Any, Any] | None:
    """The fields of a data class, msgspec struct, pydantic model or attrs class."""
    kind = type(value)
    if hasattr(kind, "__dataclass_fields__"):
        from dataclasses import fields  # loaded already, for the class is one

        return {field.name: getattr(value, field.name) for field in fields(kind)}
    if isinstance(value, msgspec.Struct):
        names = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
        return {shown: getattr(value, name) for shown, name in names}
    if hasattr(kind, "model_dump") and hasattr(kind, "model_validate"):
        dumped: Mapping[Any, Any] = value.model_dump()
        return dumped
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    return None


def _bigint(value: int) -> Ext:
    size = value.bit_length() // 8 + 1
    if size > MAX_INT_BYTES:
        raise Bad("an integer has more than 4,300 digits", "pass it as bytes or in hexadecimal")
    return Ext(BIGINT, value.to_bytes(size, "big", signed=True))


def _decimal(value: Decimal) -> Ext:
    if not value.is_finite():
        raise Bad(f"Decimal {value} is not a number", "pass None or a string instead")
    return Ext(DECIMAL, str(value).encode("ascii"))


def _timedelta(value: dt.timedelta) -> Ext:
    return Ext(TIMEDELTA, DELTA.pack(value.days, value.seconds, value.microseconds))


_WRITERS: Final[dict[type, Any]] = {
    dt.datetime: lambda value: Ext(DATETIME, value.isoformat().encode("ascii")),
    dt.date: lambda value: Ext(DATE, value.isoformat().encode("ascii")),
    dt.time: lambda value: Ext(TIME, value.isoformat().encode("ascii")),
    dt.timedelta: _timedelta,
    Decimal: _decimal,
    UUID: lambda value: Ext(UUID_, value.bytes),
}


def type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _fix(value: Any) -> str:
    """What to pass instead of `value`."""
    kind = type(value)
    if hasattr(kind, "_meta") or hasattr(kind, "__tablename__") or hasattr(kind, "__mapper__"):
        return "pass its primary key and load the row in the task"
    if hasattr(value, "read") or hasattr(value, "fileno"):
        return "pass the file's path, or its content as bytes"
    if isinstance(value, complex):
        return "pass [number.real, number.imag]"
    if isinstance(value, type) or callable(value):
        return "pass its name and look it up in the task"
    if hasattr(value, "__next__"):
        return "pass list(...) of it, or use fan_out for one task each"
    if isinstance(value, BaseException):
        return "pass str(error)"
    if hasattr(value, "__fspath__"):
        return "pass str(path)"
    return (
        "pass JSON types, datetime, date, time, timedelta, Decimal, UUID, bytes, a set, an Enum, a dataclass or a "
        "pydantic or msgspec model"
    )


def refusal(bad: Bad, what: str) -> EncodeError:
    where = f"{what}{''.join(bad.path)}"
    return EncodeError(f"{where} cannot be sent: {bad.why}; {bad.fix}.")
