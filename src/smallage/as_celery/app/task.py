"""Tasks and what they know of their run: `celery.app.task`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.as_celery.absent import attribute
from smallage.request import Request
from smallage.task import Task

BaseTask = Task


class Context(Request):
    """A request made by hand, for tests: attributes from mappings and keywords; what is not given is as outside a
    run."""

    called_directly = True
    id: Any = None
    retries: Any = 0

    def __init__(self, *given: Any, **values: Any) -> None:
        self.extras = {}
        self.update(*given, **values)


__all__ = ["BaseTask", "Context", "Task"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
