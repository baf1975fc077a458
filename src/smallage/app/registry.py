"""Tasks by name."""

from __future__ import annotations

from typing import Any

from smallage.core.errors import NotRegistered
from smallage.core.options import nearest
from smallage.task import Task


class Registry(dict[str, Task[Any, Any]]):
    """Tasks by name."""

    def __missing__(self, name: str) -> Task[Any, Any]:
        known = nearest(name, self)
        raise NotRegistered(f"No task '{name}' is registered here{known or '; import the module that defines it.'}")
