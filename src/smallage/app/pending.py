"""Tasks that have been declared and not been used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from smallage.task import Task


class PendingTask(Task[Any, Any]):
    """Becomes the declared task at its first use, in place: settings and the app's task class may come after it."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":  # isinstance() asks for it, and would not believe a class that had just been changed
            return type(_built(self) or self)
        become(self)
        if type(self) is PendingTask:  # an instance of this class that nobody declared, or one that is just being built
            return object.__getattribute__(self, name)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        become(self)
        if type(self) is PendingTask:
            object.__setattr__(self, name, value)
        else:
            setattr(self, name, value)

    def __delattr__(self, name: str) -> None:
        become(self)
        object.__delattr__(self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        become(self)
        return self(*args, **kwargs)

    def __repr__(self) -> str:
        become(self)
        return repr(self)


class Plan(Protocol):
    """What a pending task is to be."""

    def build(self) -> Task[Any, Any]:
        """The declared task, as an object of its own; the same one each time."""
        ...

    def settle(self, become: Callable[[], None]) -> None:
        """Call `become`, once, with nobody beside, and do what remains."""
        ...


def pending(plan: Plan) -> PendingTask:
    """A task that follows this plan at its first use."""
    made: PendingTask = object.__new__(PendingTask)
    _own(made)["_plan"] = plan
    return made


def become(task: PendingTask) -> None:
    """Make a pending task what it was declared to be; nothing if it is already."""
    plan: Plan | None = _own(task).get("_plan")
    if plan is not None:
        plan.settle(lambda: _take_over(task, plan.build()))


def _built(task: PendingTask) -> Task[Any, Any] | None:
    plan: Plan | None = _own(task).get("_plan")
    return None if plan is None else plan.build()


def _take_over(task: PendingTask, made: Task[Any, Any]) -> None:
    """Let `task` be from now on what `made` is, under its own identity."""
    own = _own(task)
    own.update(vars(made))
    object.__setattr__(task, "__class__", type(made))
    own.pop("_plan", None)


def _own(task: PendingTask) -> dict[str, Any]:
    found: dict[str, Any] = object.__getattribute__(task, "__dict__")
    return found
