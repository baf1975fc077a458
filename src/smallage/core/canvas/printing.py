"""How calls look when they are printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_MOST: Final = 100
_LONGEST: Final = 1024


def call(name: str, args: Iterable[Any], kwargs: Mapping[str, Any]) -> str:
    """`name(1, 2, key=3)`."""
    parts = [shown(one) for one in args]
    parts += [f"{key}={shown(value)}" for key, value in kwargs.items()]
    return f"{name}({', '.join(parts)})"


def shown(value: Any) -> str:
    """`repr`, whatever it raises."""
    try:
        return repr(value)
    except Exception as error:  # a foreign repr must not break ours
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"


def kind(value: Any) -> str:
    """What sort of value it is, for texts that must not tell the value."""
    return "None" if value is None else f"<{type(value).__name__}>"


def kinds(values: tuple[Any, ...] | dict[str, Any]) -> str:
    """Arguments without their values: `(<int>, <str>)`, `{'b': <list>}`. Cut when there are very many."""
    if isinstance(values, dict):
        text = f"{{{', '.join(f'{key!r}: {kind(value)}' for key, value in values.items())}}}"
    else:
        text = f"({', '.join(map(kind, values))}{',' if len(values) == 1 else ''})"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def without_repeats(name: str, text: str) -> str:
    """`text` with the module of task `name` written once: `"m.a() | m.b()"` becomes `"m.a() | b()"`."""
    module = name.rpartition(".")[0]
    if not module:
        return text
    first = text.find(f"{module}.")
    again = re.compile(rf"(?<![\w.\-]){re.escape(module)}\.")
    return again.sub(lambda found: found.group() if found.start() == first else "", text)


def items(values: Any) -> str:
    """The items of a map, cut when long."""
    text = repr(values)
    return text if len(text) < _MOST else text[:_MOST].rsplit(" ", 1)[0] + "..."
