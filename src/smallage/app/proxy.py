"""`current_app` and `current_task`: what they stand for is looked up at each use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Proxy(Generic[T]):
    """Stands for what `look` finds: attributes are its own, a call gives it itself."""

    __slots__ = ("_look", "_shown")

    def __init__(self, look: Callable[[], T], shown: str) -> None:
        object.__setattr__(self, "_look", look)
        object.__setattr__(self, "_shown", shown)

    def __call__(self) -> T:
        found: T = object.__getattribute__(self, "_look")()
        return found

    def _get_current_object(self) -> T:
        """The same, as Celery spells it."""
        return self()

    def __getattr__(self, name: str) -> Any:
        found = self()
        if found is None:
            raise AttributeError(f"There is no {object.__getattribute__(self, '_shown')} here, so it has no '{name}'.")
        return getattr(found, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self(), name)

    def __bool__(self) -> bool:
        return bool(self())

    def __eq__(self, other: object) -> bool:
        return self() == (other() if isinstance(other, Proxy) else other)

    def __hash__(self) -> int:
        return hash(self())

    def __dir__(self) -> list[str]:
        return dir(self())

    def __repr__(self) -> str:
        return repr(self())
