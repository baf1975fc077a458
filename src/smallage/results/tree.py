"""Results as a tree: parents above, what a task has sent below."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from smallage.core.errors import IncompleteStream

if TYPE_CHECKING:
    from smallage.app import Smallage


class Node:
    """A result that has a parent, and children: what its task has sent."""

    id: str
    parent: Any
    children: Any

    def _parents(self) -> Iterator[Any]:
        """The parents, nearest first."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def as_list(self) -> list[str]:
        """This id and those up the parents."""
        return [self.id, *(one.id for one in self._parents())]

    def iterdeps(self, intermediate: bool = False) -> Iterator[tuple[Any, Any]]:
        """(parent or None, result) of all below, this one first, breadth first. Raises IncompleteStream at one that is
        not ready, unless `intermediate`."""
        waiting: deque[tuple[Any, Any]] = deque([(None, self)])
        while waiting:
            parent, node = waiting.popleft()
            yield parent, node
            if node.ready():
                waiting.extend((node, child) for child in node.children or ())
            elif not intermediate:
                raise IncompleteStream(f"The result {node.id} is not there yet.")

    def collect(self, intermediate: bool = False, **given: Any) -> Iterator[tuple[Any, Any]]:
        """(result, value) of all below, this one first, breadth first; waits for each. `given` goes to its `get`."""
        for _, node in self.iterdeps(intermediate):
            yield node, node.get(**given)

    def get_leaf(self) -> Any:
        """The value of the last of all below."""
        value = None
        for _, node in self.iterdeps():
            value = node.get()
        return value

    def build_graph(self, intermediate: bool = False, formatter: Any = None) -> dict[Any, list[Any]]:
        """What is below as a dict: each result to those that it has sent."""
        graph: dict[Any, list[Any]] = {}
        for parent, node in self.iterdeps(intermediate):
            graph.setdefault(node, [])
            if parent is not None:
                graph[parent].append(node)
        return graph

    @cached_property
    def graph(self) -> dict[Any, list[Any]]:
        """`build_graph()`, made once."""
        return self.build_graph()


def result_from_tuple(packed: Any, app: Smallage | None = None) -> Any:
    """The handle that `as_tuple()` was called on, or the same of lists, as they come from JSON."""
    from smallage.app import current_app

    if isinstance(packed, Node):
        return packed
    app = app if app is not None else current_app()
    head, members = packed
    task_id, parent = head if isinstance(head, (list, tuple)) else (head, None)
    parent = result_from_tuple(parent, app) if parent else None
    if members is None:
        return app.AsyncResult(task_id, parent=parent)
    return app.GroupResult(task_id, [result_from_tuple(one, app) for one in members], parent=parent)
