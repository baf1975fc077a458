"""Do these arguments fit that function? Asked at every enqueue, so the usual case costs two comparisons."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect  # slow to load, and needed only for what is no plain function, or to word an error

_VARARGS, _VARKEYWORDS, _COROUTINE = 0x04, 0x08, 0x80
"""Flags of code objects, as `inspect.CO_*`."""


class Binding:
    """What a task's function takes, `self` of a bound task left out."""

    __slots__ = (
        "_accepts_any_keyword",
        "_keywords",
        "_needed",
        "_run",
        "_skip",
        "fewest",
        "most",
        "names",
        "required_keywords",
    )

    def __init__(self, run: Callable[..., Any], bound: bool) -> None:
        self._run = run
        self._skip = 1 if bound else 0
        names, defaults, flexible, only, needed, only_positional, any_keyword = _shape(run)
        self.names: tuple[str, ...] = names[self._skip :]
        """Positional parameters, in order."""
        self.required_keywords: frozenset[str] = needed
        self._needed = max(0, len(self.names) - defaults)
        self.fewest = sys.maxsize if needed else self._needed
        """So many positional arguments and no others certainly fit, up to `most`."""
        self.most = sys.maxsize if flexible else len(self.names)
        self._keywords = frozenset(self.names[max(0, only_positional - self._skip) :]) | only
        self._accepts_any_keyword = any_keyword

    def check(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError, with Python's own words, if the arguments do not fit the task `name`."""
        given = len(args)
        if not kwargs and self.fewest <= given <= self.most:
            return
        if given <= self.most and self._fits(given, kwargs):
            return
        try:
            self.signature().bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}{self.signature()}: {error}") from None

    def _fits(self, given: int, kwargs: Mapping[str, Any]) -> bool:
        names = self.names
        if not self._accepts_any_keyword and not self._keywords.issuperset(kwargs):
            return False
        if any(name in kwargs for name in names[:given]):
            return False
        return all(name in kwargs for name in names[given : self._needed]) and self.required_keywords.issubset(kwargs)

    def signature(self) -> inspect.Signature:
        """The signature as callers of `delay` see it."""
        import inspect

        whole = inspect.signature(self._run, follow_wrapped=False)
        return whole.replace(parameters=list(whole.parameters.values())[self._skip :])


_Shape = tuple[tuple[str, ...], int, bool, frozenset[str], frozenset[str], int, bool]


def _shape(run: Callable[..., Any]) -> _Shape:
    """(positional names, defaults, *args?, keyword-only, those required, positional-only, **kwargs?)."""
    if isinstance(run, FunctionType):
        code = run.__code__
        positional = code.co_varnames[: code.co_argcount]
        only = frozenset(code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount])
        return (
            positional,
            len(run.__defaults__ or ()),
            _flag(code, _VARARGS),
            only,
            only - frozenset(run.__kwdefaults__ or ()),
            code.co_posonlyargcount,
            _flag(code, _VARKEYWORDS),
        )
    import inspect

    parameters = list(inspect.signature(run, follow_wrapped=False).parameters.values())
    places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    only_keyword = [one for one in parameters if one.kind is one.KEYWORD_ONLY]
    return (
        tuple(one.name for one in places),
        sum(one.default is not one.empty for one in places),
        any(one.kind is one.VAR_POSITIONAL for one in parameters),
        frozenset(one.name for one in only_keyword),
        frozenset(one.name for one in only_keyword if one.default is one.empty),
        sum(one.kind is one.POSITIONAL_ONLY for one in places),
        any(one.kind is one.VAR_KEYWORD for one in parameters),
    )


def is_coroutine(function: Any) -> bool:
    """True if calling `function` gives a coroutine."""
    if isinstance(function, FunctionType) and "_is_coroutine_mark" not in function.__dict__:  # inspect's, from 3.12 on
        return _flag(function.__code__, _COROUTINE)
    import inspect

    return inspect.iscoroutinefunction(function)


def _flag(code: CodeType, flag: int) -> bool:
    return bool(code.co_flags & flag)
