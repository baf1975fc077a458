"""Named moments in production code, for tests that must know "it has come this far" without sleeping.

`mark("claimed", task_id)` costs one look at an empty list unless somebody listens, and only tests listen
(`smallage.testing.expect` and `hold`). Marks stand where a fault would be interesting: after a claim, before a settle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Listener: TypeAlias = Callable[[str, tuple[object, ...]], None]

_listeners: list[Listener] = []


def mark(name: str, *details: object) -> None:
    """Say that the moment `name` has come, with what describes it (ids, counts). Free when nobody listens."""
    if _listeners:
        for listener in tuple(_listeners):
            listener(name, details)


def listen(listener: Listener) -> None:
    """Call `listener(name, details)` at every mark, in the thread that marks, until `unlisten`."""
    _listeners.append(listener)


def unlisten(listener: Listener) -> None:
    """Stop calling `listener`; unknown ones are ignored."""
    if listener in _listeners:
        _listeners.remove(listener)
