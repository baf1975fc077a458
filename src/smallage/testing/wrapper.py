"""What wrappers of any store share: every verb goes through one method, `around`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smallage.stores.base import Store

_Anything: Any = object
"""Lets the type checker accept a wrapper wherever a `Store` is asked for."""

UNWRAPPED = frozenset({"close", "after_fork", "nudge"})
"""Local acts that do not speak with the store."""


class Wrapper(_Anything):  # type: ignore[misc]  # stands for a Store without repeating each verb
    """A store around `inner`. Subclasses override `around`."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    def __getattr__(self, verb: str) -> Any:
        act = getattr(self.inner, verb)
        if verb.startswith("_") or verb in UNWRAPPED or not callable(act):
            return act

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return self.around(verb, act, args, kwargs)

        return wrapped

    def around(self, verb: str, act: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do the verb; by default nothing else."""
        return act(*args, **kwargs)
