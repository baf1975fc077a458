"""Plain data back into what a function's annotations name: tuples, sets, enums, data classes, models.

Only annotations that need it are looked at when a task runs; scalars, dicts and lists of such pass as they came, so a
wrong type is the function's business, as it is in a plain call.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from types import NoneType, SimpleNamespace, UnionType
from typing import Any

import msgspec

Converter = Callable[[Any], Any]

_CONTAINERS = (list, dict, collections.abc.Sequence, collections.abc.Mapping, collections.abc.Iterable)


def _is_pydantic(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "model_validate") and hasattr(kind, "model_dump")


def _needs(hint: Any, depth: int = 0) -> bool:
    """True if msgpack's types alone cannot be what `hint` names."""
    if depth > 8:
        return False
    origin = typing.get_origin(hint)
    if origin is None:
        return isinstance(hint, type) and _is_made(hint)
    if origin is typing.Annotated:
        return _needs(typing.get_args(hint)[0], depth + 1)
    if origin in (tuple, set, frozenset):
        return True
    if origin in (typing.Union, UnionType) or origin in _CONTAINERS:
        return any(_needs(part, depth + 1) for part in typing.get_args(hint))
    return isinstance(origin, type) and _is_made(origin)


def _is_made(kind: type) -> bool:
    """True for a class that arrives as something else."""
    if kind in (tuple, set, frozenset) or _is_pydantic(kind) or dataclasses.is_dataclass(kind):
        return True
    if issubclass(kind, (Enum, msgspec.Struct)) or hasattr(kind, "__attrs_attrs__"):
        return True
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _hook(kind: type, value: Any) -> Any:
    """msgspec asks here for classes that it does not know."""
    if _is_pydantic(kind):
        return kind.model_validate(value)  # type: ignore[attr-defined]
    if isinstance(value, kind):
        return value
    raise TypeError(f"a {type(value).__name__} is not a {kind.__name__}")


def converter(hint: Any) -> Converter | None:
    """A function that turns decoded data into `hint`, or None if there is nothing to turn."""
    if hint is None or hint is NoneType or not _needs(hint):
        return None
    if _is_pydantic(hint):
        return lambda value: value if isinstance(value, hint) else hint.model_validate(value)
    try:
        msgspec.convert(None, hint | None, dec_hook=_hook)
    except TypeError:
        return None  # a type that msgspec cannot build, such as a union of two classes: the data passes as it is
    except msgspec.ValidationError:
        pass
    return lambda value: msgspec.convert(value, hint, dec_hook=_hook)


def _hints(function: Any) -> dict[str, Any]:
    """The annotations that can be resolved, one by one if not all together."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        found = {}
        for name, hint in getattr(function, "__annotations__", {}).items():
            alone = SimpleNamespace(__annotations__={name: hint})
            with suppress(Exception):  # a name that only type checkers see
                space = getattr(function, "__globals__", {})
                found.update(typing.get_type_hints(alone, space, include_extras=True))
        return found


ArgumentConverter = Callable[[Sequence[Any], Mapping[str, Any], bool], tuple[Sequence[Any], Mapping[str, Any]]]


def argument_converter(function: Any, names: Sequence[str]) -> ArgumentConverter | None:
    """(args, kwargs, skip the first parameter?) → the same with what the annotations name; None if nothing needs it.

    The converter raises TypeError that names the argument.
    """
    if not getattr(function, "__annotations__", None):
        return None
    made = {name: one for name, hint in _hints(function).items() if name != "return" and (one := converter(hint))}
    if not made:
        return None
    places = [(place, made[name], name) for place, name in enumerate(names) if name in made]

    def convert(args: Sequence[Any], kwargs: Mapping[str, Any], first_comes: bool) -> Any:
        new_args = list(args)
        for place, one, name in places:
            at = place - 1 if first_comes else place
            if 0 <= at < len(new_args):
                new_args[at] = _converted(one, new_args[at], name)
        if kwargs:
            kwargs = {
                name: _converted(made[name], kwargs[name], name) if name in made else kwargs[name] for name in kwargs
            }
        return new_args, kwargs

    return convert


def _converted(one: Converter, value: Any, name: str) -> Any:
    try:
        return one(value)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise TypeError(f"argument '{name}' does not fit its annotation: {error}") from None


def result_converter(function: Any) -> Converter:
    """A function that turns a decoded result into what the return annotation names; data that does not fit passes."""
    one = converter(_hints(function).get("return")) if getattr(function, "__annotations__", None) else None
    if one is None:
        return lambda value: value

    def convert(value: Any) -> Any:
        try:
            return one(value)
        except (msgspec.ValidationError, ValueError, TypeError):
            return value

    return convert
