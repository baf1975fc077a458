"""Tasks by name."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from smallage.core.errors import NotRegistered
from smallage.core.options import nearest
from smallage.task import Task

_Tasks = dict[str, Task[Any, Any]]


class Registry(_Tasks):
    """Tasks by name."""

    finalize: Callable[[], None]

    def __missing__(self, name: str) -> Task[Any, Any]:
        known = nearest(name, self)
        advice = f"No task '{name}' is registered here{known or '; import the module that defines it.'}"
        raise NotRegistered(name, advice=advice)

    def register(self, task: Task[Any, Any]) -> None:
        """Add a task under its name."""
        self[task.name] = task

    def unregister(self, name: Any) -> None:
        """Remove a task, by its name or itself; raises NotRegistered."""
        name = getattr(name, "name", name)
        del self[self[name].name]

    def regular(self) -> dict[str, Task[Any, Any]]:
        """All tasks, as Celery distinguishes them from periodic ones of old."""
        return dict(self)


class OpenRegistry(Registry):
    """The registry of an app that is not finalized: the first look finalizes the app, which makes this a `Registry`."""

    def __getitem__(self, name: str) -> Task[Any, Any]:
        self.finalize()
        return dict.__getitem__(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        self.finalize()
        return dict.get(self, name, default)

    def __contains__(self, name: object) -> bool:
        self.finalize()
        return dict.__contains__(self, name)

    def __iter__(self) -> Iterator[str]:
        self.finalize()
        return dict.__iter__(self)

    def __len__(self) -> int:
        self.finalize()
        return dict.__len__(self)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        self.finalize()
        return dict.keys(self)

    def values(self) -> ValuesView[Task[Any, Any]]:  # type: ignore[override]
        self.finalize()
        return dict.values(self)

    def items(self) -> ItemsView[str, Task[Any, Any]]:  # type: ignore[override]
        self.finalize()
        return dict.items(self)


def declared(registry: Registry, name: str) -> Task[Any, Any] | None:
    """A task by name without finalizing the app."""
    return dict.get(registry, name)
