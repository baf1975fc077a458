"""Tasks that every app knows: those that workflows are made of, and `map` and `starmap`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from smallage.core.canvas import signature
from smallage.core.trees import COLLECT, EXPAND, MAP, STARMAP, UPSTREAM
from smallage.request import running

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.task import Task


def builtin_task(app: Smallage, name: str) -> Task[Any, Any] | None:
    """The built-in task of this name, registered with the app; None if there is none."""
    body = BODIES.get(name)
    if body is None:
        return None
    from smallage.task import Task, make_task

    made = make_task(app, body, name, Task, False, {"typing": False})
    return app.tasks.setdefault(name, made)


def unknown_task(app: Smallage, name: str) -> Task[Any, Any]:
    """A task that nobody here knows, for a run that needs no body."""
    from smallage.task import Task, make_task

    return make_task(app, upstream, name, Task, False, {"typing": False})


def expand(*args: Any) -> None:
    """Open the fan that the run's message carries, with these arguments for its members."""
    from smallage.workflows.expanding import expand as open_fan

    request = running.get()
    assert request is not None
    open_fan(request, args)


def collect(values: list[Any]) -> list[Any]:
    """The values of a group, as one value."""
    return list(values)


def upstream(*args: Any) -> None:
    """The ends of steps that do not come any more are settled with this task's own end."""


def map_(task: Mapping[str, Any], it: Iterable[Any]) -> list[Any]:
    """`task` called here for every item."""
    call = _callable(task)
    return [call(item) for item in it]


def starmap(task: Mapping[str, Any], it: Iterable[Any]) -> list[Any]:
    """`task` called here for every item, taken apart."""
    call = _callable(task)
    return [call(*item) for item in it]


def _callable(task: Mapping[str, Any]) -> Any:
    request = running.get()
    found = signature(task)
    if request is None:
        return found.type
    return request.app.tasks[found.task]


BODIES: Final[dict[str, Callable[..., Any]]] = {
    EXPAND: expand,
    COLLECT: collect,
    UPSTREAM: upstream,
    MAP: map_,
    STARMAP: starmap,
}
