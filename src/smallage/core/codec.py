"""Values ⇄ bytes. The only file that reads or writes what stores keep as payloads, rows, results and notes.

    payload   msgpack [args, kwargs, extras], trailing empties left out
    row       msgpack array (positional arguments), map (keyword arguments) or `ROW` ext (both)
    result    msgpack value, or `MARK` ext [state, meta] for an end without a value (Ignore)
    note      msgpack [state, meta]: progress, or RETRY with its error
    error     msgpack [module, type, args, message, traceback, extra]

What JSON has travels as itself; datetime, date, time, timedelta, Decimal, UUID and large integers travel as ext types
of the closed table below. A msgpack ext is a type of its own, so data of a user can never be mistaken for one.
Tuples and sets become arrays, enums their value, data classes and models maps; the task's annotations turn them back.

Refused on both sides: NaN and infinities, nesting beyond `MAX_DEPTH`, integers beyond 4,300 digits, broken Unicode.
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

from smallage.core.errors import DecodeError, EncodeError, MaxRetriesExceededError, Reject, Retry

MAX_DEPTH: Final = 64
MAX_INT_BYTES: Final = 1786
"""Bytes of the largest integer of 4,300 digits."""
MAX_TRACEBACK: Final = 64 * 1024
"""Characters of a traceback that are kept: the first and the last half of these."""
MAX_MESSAGE: Final = 16 * 1024

DATETIME, DATE, TIME, TIMEDELTA, DECIMAL, UUID_, BIGINT = 1, 2, 3, 4, 5, 6, 7
ROW, MARK = 32, 33
"""Ext types that we write around values; inside a value they do not decode."""

_PLAIN: Final = frozenset({int, str, bool, type(None), bytes})
_KEYS: Final = frozenset({str})
_DELTA = Layout(">iii")


# -- what a value looks like in msgpack ---------------------------------------------------------------------------
class _Bad(Exception):
    """Why a value cannot travel. `path` grows as it leaves the containers."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix
        self.path: list[str] = []


def _plain(value: Any, depth: int) -> Any:
    """`value` as msgpack types and our ext types."""
    kind = type(value)
    if kind is str or kind is bool or value is None or kind is bytes:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**64 else _bigint(value)
    if kind is float:
        if not isfinite(value):
            raise _Bad(f"{value} is not a JSON number", "pass None or a string instead")
        return value
    if depth >= MAX_DEPTH:
        raise _Bad(f"it is nested more than {MAX_DEPTH} levels deep", "flatten it, or store it and pass its key")
    if kind is dict:
        return _dict(value, depth)
    if kind is list or kind is tuple:
        return _list(value, depth)
    return _other(value, kind, depth)


def _list(value: Sequence[Any], depth: int) -> Sequence[Any]:
    if _PLAIN.issuperset(map(type, value)) and not _has_bigint(value):
        return value
    made = []
    for place, item in enumerate(value):
        try:
            made.append(_plain(item, depth + 1))
        except _Bad as bad:
            bad.path.insert(0, f"[{place}]")
            raise
    return made


def _has_bigint(values: Any) -> bool:
    return any(type(item) is int and not -(2**63) <= item < 2**64 for item in values)


def _dict(value: Mapping[Any, Any], depth: int) -> Mapping[str, Any]:
    if (
        _KEYS.issuperset(map(type, value))
        and _PLAIN.issuperset(map(type, value.values()))
        and not _has_bigint(value.values())
    ):
        return value
    made: dict[str, Any] = {}
    for key, item in value.items():
        text = key if type(key) is str else _key(key)
        if text in made:
            raise _Bad(f"two of its keys are both {text!r} as text", "use keys of one type")
        try:
            made[text] = _plain(item, depth + 1)
        except _Bad as bad:
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
    raise _Bad(f"a key is a {_type_name(key)}", "use strings as keys")


def _other(value: Any, kind: type, depth: int) -> Any:
    """Everything that is neither a scalar of JSON nor an exact list, tuple or dict."""
    write = _WRITERS.get(kind)
    if write is not None:
        return write(value)
    if isinstance(value, Enum):
        return _plain(value.value, depth + 1)
    if isinstance(value, (set, frozenset)):
        return _list(_in_order(value), depth)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    model = _model_fields(value)
    if model is not None:
        return _dict(model, depth)
    for base, build in _SUBCLASSES:
        if isinstance(value, base):
            return _plain(build(value), depth)
    if isinstance(value, (list, tuple)):
        return _list(list(value), depth)
    if isinstance(value, dict):
        return _dict(dict(value), depth)
    for known, write in _WRITERS.items():
        if isinstance(value, known):
            return write(value)
    raise _Bad(f"a {_type_name(value)} cannot travel to a worker", _fix(value))


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
    """The fields of a data class, msgspec struct, pydantic model, attrs class or object with `__json__`."""
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
    if hasattr(kind, "__json__"):
        made = value.__json__()
        return made if isinstance(made, dict) else None
    return None


def _bigint(value: int) -> Ext:
    size = value.bit_length() // 8 + 1
    if size > MAX_INT_BYTES:
        raise _Bad("an integer has more than 4,300 digits", "pass it as bytes or in hexadecimal")
    return Ext(BIGINT, value.to_bytes(size, "big", signed=True))


def _decimal(value: Decimal) -> Ext:
    if not value.is_finite():
        raise _Bad(f"Decimal {value} is not a number", "pass None or a string instead")
    return Ext(DECIMAL, str(value).encode("ascii"))


def _timedelta(value: dt.timedelta) -> Ext:
    return Ext(TIMEDELTA, _DELTA.pack(value.days, value.seconds, value.microseconds))


_WRITERS: Final[dict[type, Any]] = {
    dt.datetime: lambda value: Ext(DATETIME, value.isoformat().encode("ascii")),
    dt.date: lambda value: Ext(DATE, value.isoformat().encode("ascii")),
    dt.time: lambda value: Ext(TIME, value.isoformat().encode("ascii")),
    dt.timedelta: _timedelta,
    Decimal: _decimal,
    UUID: lambda value: Ext(UUID_, value.bytes),
}


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
    days, seconds, microseconds = _DELTA.unpack(data)
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
    return read(bytes(data))


def _ext_outside(code: int, data: memoryview) -> Any:
    """As `_ext`, for the outermost value, which may also be a row or a mark."""
    if code in (ROW, MARK):
        return Ext(code, bytes(data))
    return _ext(code, data)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ext_hook=_ext).decode
_decode_outside = msgspec.msgpack.Decoder(ext_hook=_ext_outside).decode


def _type_name(value: Any) -> str:
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


def _refusal(bad: _Bad, what: str) -> EncodeError:
    where = f"{what}{''.join(bad.path)}"
    return EncodeError(f"{where} cannot be sent: {bad.why}; {bad.fix}.")


def _to_bytes(value: Any, what: str) -> bytes:
    """Encode what `_plain` made; broken Unicode shows only here."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        raise EncodeError(
            f"{what} cannot be sent: a string holds half a surrogate pair; clean it with "
            "text.encode('utf-8', 'replace').decode()."
        ) from None
    except RecursionError:
        raise EncodeError(f"{what} cannot be sent: it is nested too deeply or contains itself.") from None


# -- values -------------------------------------------------------------------------------------------------------
def encode_value(value: Any, what: str = "the value") -> bytes:
    """`value` as bytes. Raises EncodeError, which calls the value `what` and says what to pass instead."""
    if type(value) not in _PLAIN or type(value) is int:
        try:
            value = _plain(value, 0)
        except _Bad as bad:
            raise _refusal(bad, what) from None
        except RecursionError:
            raise EncodeError(f"{what} cannot be sent: it is nested too deeply.") from None
    return _to_bytes(value, what)


def decode_value(data: bytes) -> Any:
    """The value in `data`. Raises DecodeError for anything that `encode_value` does not write."""
    try:
        value = _decode(data)
    except Exception as error:
        raise DecodeError(f"not a value of ours: {error}") from None
    if type(value) not in _PLAIN:
        _check(value)
    return value


def _check(value: Any) -> None:
    """Refuse, in a decoded value, what the encoder refuses: depth, non-finite numbers, keys that are no strings."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                if not _KEYS.issuperset(map(type, item)):
                    raise DecodeError("a key is not a string")
                if not _PLAIN.issuperset(map(type, item.values())):
                    below.extend(item.values())
            elif kind is list:
                if not _PLAIN.issuperset(map(type, item)):
                    below.extend(item)
            elif kind is float and not isfinite(item):
                raise DecodeError(f"{item} is not a JSON number")
        if not below:
            return
        level = below
    raise DecodeError(f"nested more than {MAX_DEPTH} levels deep")


# -- arguments ----------------------------------------------------------------------------------------------------
def encode_payload(
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    extras: Mapping[str, Any] | None = None,
    names: Sequence[str] = (),
) -> bytes:
    """Arguments and what else travels with a task. `names` are the positional parameters' names, for the error text."""
    if not kwargs and not extras and _PLAIN.issuperset(map(type, args)):
        try:
            return _encode((args,) if args else ())
        except (OverflowError, UnicodeEncodeError):
            pass  # said better below
    packed: list[Any] = [_arguments(args, names)]
    if kwargs or extras:
        packed.append(_keywords(kwargs or {}))
    if extras:
        packed.append(_keywords(extras, "option"))
    elif not kwargs and not args:
        packed.clear()
    return _to_bytes(packed, "an argument")


def _arguments(args: Sequence[Any], names: Sequence[str] = ()) -> list[Any]:
    made = []
    for place, value in enumerate(args):
        try:
            made.append(value if type(value) is str else _plain(value, 2))
        except _Bad as bad:
            raise _refusal(bad, _argument_name(place, names)) from None
        if type(value) is str:
            _check_text(value, _argument_name, place, names)
    return made


def _check_text(value: str, name: Any, place: Any, names: Sequence[str]) -> None:
    if not value.isascii():
        _to_bytes(value, name(place, names))


def _argument_name(place: int, names: Sequence[str]) -> str:
    return f"argument '{names[place]}'" if place < len(names) else f"argument {place + 1}"


def _keywords(kwargs: Mapping[str, Any], kind: str = "argument") -> dict[str, Any]:
    made = {}
    for name, value in kwargs.items():
        if type(name) is not str:
            raise EncodeError(f"the name of a keyword argument must be a string, not {name!r}.")
        try:
            made[name] = _plain(value, 2)
        except _Bad as bad:
            raise _refusal(bad, f"{kind} '{name}'") from None
        if type(value) is str:
            _check_text(value, lambda place, _: f"{kind} '{place}'", name, ())
    return made


_NOTHING: Final[dict[str, Any]] = {}


def decode_payload(data: bytes) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """(args, kwargs, extras) of a payload. Raises DecodeError."""
    try:
        packed = _decode(data)
    except Exception as error:
        raise DecodeError(f"not a payload of ours: {error}") from None
    if type(packed) is not list or len(packed) > 3:
        raise DecodeError("not a payload of ours: no array of arguments, keywords and extras")
    size = len(packed)
    args = packed[0] if size else []
    kwargs = packed[1] if size > 1 else {}
    extras = packed[2] if size > 2 else _NOTHING
    if type(args) is not list or type(kwargs) is not dict or type(extras) is not dict:
        raise DecodeError("not a payload of ours: arguments of the wrong shape")
    if size > 1:
        _check(kwargs)
        _check(extras)
    if not _PLAIN.issuperset(map(type, args)):
        _check(args)
    return args, kwargs, extras


def encode_row(args: Sequence[Any], kwargs: Mapping[str, Any] | None = None, names: Sequence[str] = ()) -> bytes:
    """A group member's own arguments."""
    if not kwargs:
        if _PLAIN.issuperset(map(type, args)):
            try:
                return _encode(args)
            except (OverflowError, UnicodeEncodeError):
                pass  # said better below
        return _to_bytes(_arguments(args, names), "an argument")
    if not args:
        return _to_bytes(_keywords(kwargs), "an argument")
    return _encode(Ext(ROW, _to_bytes([_arguments(args, names), _keywords(kwargs)], "an argument")))


def decode_row(row: bytes) -> tuple[list[Any], dict[str, Any]]:
    """(args, kwargs) of a row. Raises DecodeError."""
    try:
        packed = _decode_outside(row)
        if type(packed) is Ext:
            args, kwargs = _decode(packed.data)
        elif type(packed) is dict:
            args, kwargs = [], packed
        else:
            args, kwargs = packed, {}
    except Exception as error:
        raise DecodeError(f"not a row of ours: {error}") from None
    if type(args) is not list or type(kwargs) is not dict:
        raise DecodeError("not a row of ours: arguments of the wrong shape")
    if kwargs:
        _check(kwargs)
    if not _PLAIN.issuperset(map(type, args)):
        _check(args)
    return args, kwargs


# -- results, notes, errors ---------------------------------------------------------------------------------------
def encode_result(value: Any, what: str = "the result") -> bytes | None:
    """A task's return value; None stays None."""
    if value is None:
        return None
    if type(value) in _PLAIN:
        try:
            return _encode(value)
        except (OverflowError, UnicodeEncodeError):
            pass  # said better below
    return encode_value(value, what)


class Marked(msgspec.Struct, frozen=True):
    """An end without a value of its own: the state that the task gave itself (or IGNORED), and its meta."""

    state: str
    meta: Any


def encode_mark(state: str, meta: Any) -> bytes:
    """The result of a task that ended by `Ignore`."""
    return _encode(Ext(MARK, encode_note(state, meta)))


def decode_result(data: bytes | None) -> Any:
    """A task's return value, or `Marked`. Raises DecodeError."""
    if data is None:
        return None
    if data[:1] in _EXT_HEADS:
        try:
            outside = _decode_outside(data)
        except Exception as error:
            raise DecodeError(f"not a result of ours: {error}") from None
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


class ErrorData(msgspec.Struct, frozen=True):
    """An exception as data. `args` hold what could travel of the exception's arguments, texts for the rest."""

    module: str
    kind: str
    args: tuple[Any, ...]
    message: str
    traceback: str | None = None
    extra: dict[str, Any] = {}
    """Attributes of `CARRIED`."""


CARRIED: Final[dict[type, tuple[str, ...]]] = {
    Reject: ("reason", "requeue"),
    Retry: ("message", "when", "excs"),
    MaxRetriesExceededError: ("task_args", "task_kwargs"),
}
"""Attributes that our own exceptions keep beside their arguments on the way."""


def encode_error(error: BaseException, traceback: str | None = None) -> bytes:
    """An exception as bytes. Never raises: what cannot travel goes as text."""
    kind = type(error)
    message = _text(error, MAX_MESSAGE)
    module, name = kind.__module__, kind.__qualname__
    if isinstance(getattr(error, "exc_type", None), str) and hasattr(error, "remote_traceback"):
        module, name = "", getattr(error, "exc_type", name)  # a RemoteError passed on keeps its first type
        message = str(getattr(error, "message", message))
    extra = {attribute: _error_value(getattr(error, attribute, None)) for attribute in CARRIED.get(kind, ())}
    return _encode([module, name, _error_args(error), message, _shorten(traceback), *([extra] if extra else [])])


def _error_args(error: BaseException) -> list[Any]:
    args: tuple[Any, ...] = error.args
    if isinstance(error, OSError) and len(args) == 2 and error.filename is not None:
        args = (*args, error.filename, *(() if error.filename2 is None else (None, error.filename2)))
    return [_error_value(value) for value in args]


def _error_value(value: Any) -> Any:
    """A value of an exception; text if it cannot travel or is large."""
    try:
        packed = _plain(value, 1)
        return packed if len(_encode(packed)) <= MAX_MESSAGE else _text(value, MAX_MESSAGE)
    except Exception:
        return _text(value, MAX_MESSAGE, repr)


def _text(value: Any, most: int, form: Any = str) -> str:
    """`value` as text that can be encoded, cut to `most` characters."""
    try:
        text = form(value)
    except Exception:
        text = f"<{_type_name(value)} whose text cannot be made>"
    text = text if len(text) <= most else text[:most] + "…"
    clean: str = text.encode("utf-8", "replace").decode()
    return clean


def _shorten(traceback: str | None) -> str | None:
    if traceback is None:
        return None
    if len(traceback) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2
        traceback = f"{traceback[:half]}\n    …\n{traceback[-half:]}"
    return traceback.encode("utf-8", "replace").decode()


def decode_error(data: bytes) -> ErrorData:
    """An exception as data. Raises DecodeError."""
    value = decode_value(data)
    try:
        module, kind, args, message, traceback = value[:5]
        extra = value[5] if len(value) > 5 and type(value[5]) is dict else {}
        made = ErrorData(module, kind, tuple(args), message, traceback, extra)
    except (TypeError, ValueError):
        raise DecodeError("not an error of ours") from None
    if not (isinstance(module, str) and isinstance(kind, str) and isinstance(message, str)):
        raise DecodeError("not an error of ours")
    return made
