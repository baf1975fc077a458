"""How calls look when they are printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_MOST: Final = 100


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
