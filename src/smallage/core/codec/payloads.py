"""Arguments ⇄ bytes: a task's payload, and a group member's row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.msgpack import Ext

from smallage.core.codec.plain import PLAIN, Bad, plain, refusal
from smallage.core.codec.squeezed import unpack
from smallage.core.codec.values import ROW, check, decode, decode_outside, encode, to_bytes
from smallage.core.errors import DecodeError, EncodeError


def encode_payload(
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    extras: Mapping[str, Any] | None = None,
    names: Sequence[str] = (),
) -> bytes:
    """Arguments and what else travels with a task. `names` are the positional parameters' names, for the error text."""
    if not kwargs and not extras and PLAIN.issuperset(map(type, args)):
        try:
            return encode((args,) if args else ())
        except (OverflowError, UnicodeEncodeError):
            pass  # said better below
    packed: list[Any] = [_arguments(args, names)]
    if kwargs or extras:
        packed.append(_keywords(kwargs or {}))
    if extras:
        packed.append(_keywords(extras, "option"))
    elif not kwargs and not args:
        packed.clear()
    return to_bytes(packed, "an argument")


def _arguments(args: Sequence[Any], names: Sequence[str] = ()) -> list[Any]:
    made = []
    for place, value in enumerate(args):
        try:
            made.append(value if type(value) is str else plain(value, 2))
        except Bad as bad:
            raise refusal(bad, _argument_name(place, names)) from None
        if type(value) is str:
            _check_text(value, _argument_name, place, names)
    return made


def _check_text(value: str, name: Any, place: Any, names: Sequence[str]) -> None:
    if not value.isascii():
        to_bytes(value, name(place, names))


def _argument_name(place: int, names: Sequence[str]) -> str:
    return f"argument '{names[place]}'" if place < len(names) else f"argument {place + 1}"


def _keywords(kwargs: Mapping[str, Any], kind: str = "argument") -> dict[str, Any]:
    made = {}
    for name, value in kwargs.items():
        if type(name) is not str:
            raise EncodeError(f"the name of a keyword argument must be a string, not {name!r}.")
        try:
            made[name] = plain(value, 2)
        except Bad as bad:
            raise refusal(bad, f"{kind} '{name}'") from None
        if type(value) is str:
            _check_text(value, lambda place, _: f"{kind} '{place}'", name, ())
    return made


_NOTHING: Final[dict[str, Any]] = {}


def decode_payload(data: bytes) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """(args, kwargs, extras) of a payload. Raises DecodeError."""
    try:
        packed = decode(data)
    except Exception as error:
        packed = _unpacked(data, error)
    if type(packed) is not list or len(packed) > 3:
        raise DecodeError("not a payload of ours: no array of arguments, keywords and extras")
    size = len(packed)
    args = packed[0] if size else []
    kwargs = packed[1] if size > 1 else {}
    extras = packed[2] if size > 2 else _NOTHING
    if type(args) is not list or type(kwargs) is not dict or type(extras) is not dict:
        raise DecodeError("not a payload of ours: arguments of the wrong shape")
    if size > 1:
        check(kwargs)
        check(extras)
    if not PLAIN.issuperset(map(type, args)):
        check(args)
    return args, kwargs, extras


def _unpacked(data: bytes, error: Exception) -> list[Any]:
    """The parts of a compressed payload. Raises DecodeError for anything else."""
    try:
        packed = unpack(data)
    except Exception as problem:
        raise DecodeError(f"not a payload of ours: {problem}") from None
    if packed is None:
        raise DecodeError(f"not a payload of ours: {error}") from None
    return packed


def encode_row(args: Sequence[Any], kwargs: Mapping[str, Any] | None = None, names: Sequence[str] = ()) -> bytes:
    """A group member's own arguments."""
    if not kwargs:
        if PLAIN.issuperset(map(type, args)):
            try:
                return encode(args)
            except (OverflowError, UnicodeEncodeError):
                pass  # said better below
        return to_bytes(_arguments(args, names), "an argument")
    if not args:
        return to_bytes(_keywords(kwargs), "an argument")
    return encode(Ext(ROW, to_bytes([_arguments(args, names), _keywords(kwargs)], "an argument")))


def decode_row(row: bytes) -> tuple[list[Any], dict[str, Any]]:
    """(args, kwargs) of a row. Raises DecodeError."""
    try:
        packed = decode_outside(row)
        if type(packed) is Ext:
            args, kwargs = decode(packed.data)
        elif type(packed) is dict:
            args, kwargs = [], packed
        else:
            args, kwargs = packed, {}
    except Exception as error:
        raise DecodeError(f"not a row of ours: {error}") from None
    if type(args) is not list or type(kwargs) is not dict:
        raise DecodeError("not a row of ours: arguments of the wrong shape")
    if kwargs:
        check(kwargs)
    if not PLAIN.issuperset(map(type, args)):
        check(args)
    return args, kwargs
