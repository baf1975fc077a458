"""Tasks that look now and then whether they are still wanted: `celery.contrib.abortable`.

`abort()` leaves a mark in the store, a cancelled task of the id `<id>.abort`, which is kept as long as results are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.as_celery.absent import attribute
from smallage.result import AsyncResult
from smallage.task import Task

ABORTED = "ABORTED"
_QUEUE = "smallage.aborted"
"""Served by nobody: the marks never run."""


def _mark(task_id: str) -> str:
    return f"{task_id}.abort"


class AbortableAsyncResult(AsyncResult[Any]):
    """The result of a task that can be aborted."""

    @property
    def state(self) -> str:
        """As of any result; ABORTED for an aborted task that has not ended."""
        state = super().state
        return ABORTED if not self.ready() and self.is_aborted() else state

    status = state

    def is_aborted(self) -> bool:
        """True if the task has been told to end."""
        return self.app.store.state([_mark(self.id)])[0] is not None

    def abort(self) -> None:
        """Tell the task to end. It does when it looks next, if it looks."""
        mark = _mark(self.id)
        self.app.send_task("smallage.abort", task_id=mark, queue=_QUEUE)
        self.app.store.revoke([mark])


class AbortableTask(Task[Any, Any]):
    """Base of tasks that call `self.is_aborted()` from time to time and end when it is true."""

    abstract = True

    def AsyncResult(self, task_id: str, **_: Any) -> AbortableAsyncResult:
        """The handle of a result, with `abort()`."""
        return AbortableAsyncResult(task_id, self.app)

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        sent = super().apply_async(*args, **kwargs)
        return AbortableAsyncResult(sent.id, self.app) if type(sent) is AsyncResult else sent

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        return self.apply_async(args, kwargs)

    def is_aborted(self, **kwargs: Any) -> bool:
        """True if this run, or the task `task_id`, has been told to end. Asks the store."""
        task_id = kwargs.get("task_id") or self.request.id
        return task_id is not None and self.AsyncResult(task_id).is_aborted()


__all__ = ["ABORTED", "AbortableAsyncResult", "AbortableTask"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
