"""Classes of results that know their app: `app.AsyncResult(id)`, `app.GroupResult.restore(id)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from smallage.app.base import Smallage

T = TypeVar("T")


class Bound(Generic[T]):
    """A class whose objects get this app. `isinstance(result, app.AsyncResult)` asks the class itself."""

    def __init__(self, kind: type[T], app: Smallage) -> None:
        self.kind, self.app = kind, app

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        kwargs.setdefault("app", self.app)
        return self.kind(*args, **kwargs)

    def restore(self, *args: Any, **kwargs: Any) -> T | None:
        """An object from the store by its id; of groups only."""
        kwargs.setdefault("app", self.app)
        restore = getattr(self.kind, "restore")  # noqa: B009 - classes that have none say so themselves
        found: T | None = restore(*args, **kwargs)
        return found

    def __instancecheck__(self, other: object) -> bool:
        return isinstance(other, self.kind)

    def __repr__(self) -> str:
        return f"<{self.kind.__name__} of {self.app!r}>"
