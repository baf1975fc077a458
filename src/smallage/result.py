"""Handles of results: what became of a task, and waiting for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from smallage.core.errors import TaskRevokedError
from smallage.core.states import TERMINAL
from smallage.results import reading
from smallage.results.reading import EXCEPTION_STATES, PROPAGATE_STATES, READY_STATES, read
from smallage.results.restoring import exception_of, remote_error, restored
from smallage.results.tree import Node, result_from_tuple
from smallage.results.waiting import (
    allow_join_result,
    await_until,
    check_may_wait,
    deadline_of,
    denied_join_result,
    wait_until,
)

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.stores.base import TaskView
    from smallage.task import Task

R = TypeVar("R")

__all__ = [
    "EXCEPTION_STATES",
    "PROPAGATE_STATES",
    "READY_STATES",
    "AsyncResult",
    "EagerResult",
    "allow_join_result",
    "check_may_wait",
    "deadline_of",
    "denied_join_result",
    "exception_of",
    "read",
    "remote_error",
    "restored",
    "result_from_tuple",
]


class AsyncResult(Node, Generic[R]):
    """The result of a task, by id: there already, still to come, or never (an unknown id reads as PENDING)."""

    unkept = False
    """True for the handle of a call whose result is not kept: `get()` answers None at once."""
    _ended: TaskView | None = None
    """The task as it ended, once it was seen so."""
    _known: tuple[str, Any, str | None] | None = None
    """The same in Celery's terms."""

    def __init__(
        self,
        id: str,
        app: Smallage | None = None,
        task: Task[Any, R] | None = None,
        parent: Any = None,
        backend: Any = None,
    ) -> None:
        if not id:
            raise ValueError("AsyncResult needs the id of a task.")
        self.id = str(id)
        self.parent = parent
        self._app = app if backend is None else backend.app
        self._task = task

    @property
    def app(self) -> Smallage:
        if self._app is None:
            from smallage.app import current_app

            self._app = current_app()
        return self._app

    @property
    def backend(self) -> Any:
        """The app's results by id."""
        return self.app.backend

    @property
    def task_id(self) -> str:
        return self.id

    # -- reading --------------------------------------------------------------------------------------------------
    def _view(self) -> TaskView | None:
        """The task as the store has it now; an ended one is remembered."""
        if self._ended is not None:
            return self._ended
        view = self.app.store.state((self.id,))[0]
        self._note(view)
        return view

    def _note(self, view: TaskView | None) -> None:
        """The store has the task like this."""
        if reading.has_ended(view):
            self._ended = view

    def _read(self) -> tuple[str, Any, str | None]:
        """(state, result or info, traceback) in Celery's terms."""
        if self._known is not None:
            return self._known
        view = self._view()
        if self._is_silent(view):
            return "PENDING", None, None
        found = read(view, self._convert)
        if self._ended is not None:
            self._known = found
        return found

    def _is_silent(self, view: TaskView | None) -> bool:
        """True if nothing is told of the task, since its result is ignored."""
        if self.unkept and (self._task is None or not self._task.store_errors_even_if_ignored):
            return True
        return view is not None and view.ignored

    def _convert(self, value: Any) -> Any:
        return self._task.convert_result(value) if self._task is not None else value

    @property
    def state(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED, IGNORED or a state of the task's own.

        STARTED is told by tasks with `track_started`; others that run read PENDING, or RETRY after a failed attempt.
        A task whose result is ignored reads PENDING, as an unknown id does; by its id alone it shows what it is doing,
        and that it has failed."""
        return self._read()[0]

    status = state

    @property
    def result(self) -> Any:
        """The value, the exception, or the meta of a task's own state; None while there is nothing."""
        return self._read()[1]

    info = result

    @property
    def traceback(self) -> str | None:
        """The remote traceback, if the task failed."""
        return self._read()[2]

    @property
    def children(self) -> Any:
        """The handles of what the task has sent, callbacks and the next step of a chain included; None until it has
        ended."""
        view = self._view()
        if view is None or view.state not in TERMINAL:
            return None
        app = self.app
        return [
            app.GroupResult(one[0]) if isinstance(one, list) else AsyncResult(one, app)
            for one in reading.kept(view).get("c", ())
        ]

    def _get_task_meta(self) -> dict[str, Any]:
        """All that is known of the task, as programs ask Celery's for it; `app.backend.get_task_meta` is public."""
        return {**self.backend.get_task_meta(self.id), "children": self.children}

    @property
    def name(self) -> str | None:
        view = self._view()
        return view.name if view is not None else None

    @property
    def queue(self) -> str | None:
        view = self._view()
        return view.queue if view is not None else None

    @property
    def args(self) -> list[Any] | None:
        """The arguments, with `result_extended`, once the task has ended."""
        return reading.call_kept(self._view()).get("args")

    @property
    def kwargs(self) -> dict[str, Any] | None:
        """The keyword arguments, with `result_extended`, once the task has ended."""
        return reading.call_kept(self._view()).get("kwargs")

    @property
    def worker(self) -> str | None:
        """The worker that ran the task, with `result_extended`, once it has ended."""
        return reading.call_kept(self._view()).get("worker")

    @property
    def retries(self) -> int | None:
        """Attempts that ended in a retry; the failure at the end is none."""
        return reading.retries(self._view())

    @property
    def date_done(self) -> dt.datetime | None:
        """When the task ended, by the store's clock."""
        return reading.date_done(self._view())

    @property
    def ignored(self) -> bool:
        """True if the task's result was not to be kept."""
        if self.unkept:
            return True
        view = self._view()
        return view is not None and view.ignored

    @ignored.setter
    def ignored(self, value: bool) -> None:
        self.unkept = value

    def exists(self) -> bool:
        """True if the store has a record of this id."""
        return self._view() is not None

    def ready(self) -> bool:
        """True when the task has ended, however it did. With an ignored result that is known for a minute."""
        return reading.has_ended(self._view())

    def successful(self) -> bool:
        """True when the task has ended well."""
        return self.state == "SUCCESS"

    def failed(self) -> bool:
        """True when the task has failed for good."""
        return self.state == "FAILURE"

    # -- waiting --------------------------------------------------------------------------------------------------
    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        no_ack: bool = True,
        follow_parents: bool = True,
        callback: Callable[[str, Any], Any] | None = None,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
        disable_sync_subtasks: bool = True,
    ) -> R:
        """Wait for the end and return the value.

        Raises TimeoutError after `timeout` seconds (the task goes on), the task's exception if it failed, and
        TaskRevokedError if it was cancelled or expired; with `propagate=False` these are returned. For a chord's body
        it raises what its first failed member raised, maybe before the others have ended; with `follow_parents=False`
        the body's own ChordError. `callback(task_id, value)` is called with what is returned, `on_message(meta)` when
        the task's state has changed, `on_interval()` every `interval` seconds. The store tells when the task has
        ended; `no_ack` is Celery's and changes nothing.
        """
        if self.unkept:
            return None  # type: ignore[return-value]
        check_may_wait(not disable_sync_subtasks)
        follow = propagate and follow_parents and self.parent is not None
        if self._ended is None:
            over = _telling(self, on_message) if on_message is not None else self.ready
            names = (self.id, *(one.id for one in self._parents())) if follow else (self.id,)
            wait_until(
                self.app,
                names,
                (lambda: over() or self._follow()) if follow else over,
                timeout,
                f"The task {self.id}",
                on_interval,
                interval,
            )
        return self._value(propagate, callback, follow)

    wait = get

    def _follow(self) -> bool:
        """Raise the error of the oldest parent that has failed; False if none has."""
        from smallage.results.sets import first_failure

        first_failure(self.app, reversed(list(self._parents())))
        return False

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], Any] | None = None) -> Any:
        """The value if there is one; raises the task's exception if it failed."""
        return self._value(propagate, callback)

    maybe_reraise = maybe_throw

    def throw(self, error: BaseException, *_: Any) -> None:
        """Raise an error as this result's."""
        raise error

    def _value(
        self, propagate: bool, callback: Callable[[str, Any], Any] | None = None, follow_parents: bool = False
    ) -> R:
        state, value, _ = self._read()
        if propagate and state in PROPAGATE_STATES:
            if follow_parents and self.parent is not None:
                self._follow()
            raise value
        if callback is not None:
            callback(self.id, value)
        return value  # type: ignore[no-any-return]

    def then(self, callback: Callable[[Any], Any], on_error: Callable[[BaseException], Any] | None = None) -> Any:
        """Call `callback(result)` once when the task has ended, however it did, from a thread of Smallage; at once if
        it has ended already. `on_error` is called with what the callback raises."""
        from smallage.results.later import call_when_ready

        return call_when_ready(self, (self.id,), callback, on_error)

    async def aget(self, timeout: float | None = None, propagate: bool = True, follow_parents: bool = True) -> R:
        """`get` for asyncio: waits without blocking the event loop; thousands may wait at once."""
        from smallage.aio import in_thread

        if self.unkept:
            return None  # type: ignore[return-value]
        check_may_wait()
        follow = propagate and follow_parents and self.parent is not None
        names = (self.id, *(one.id for one in self._parents())) if follow else (self.id,)
        over = (lambda: self.ready() or self._follow()) if follow else self.ready
        await await_until(self.app, names, over, timeout, f"The task {self.id}")
        return await in_thread(self._value, propagate, None, follow)

    async def astate(self) -> str:
        """`state` without blocking the event loop."""
        from smallage.aio import in_thread

        return (await in_thread(self._read))[0]

    # -- acting ---------------------------------------------------------------------------------------------------
    def forget(self) -> None:
        """Remove the ended task's record from the store, and its parents'; the ids then read as PENDING."""
        if self.parent is not None:
            self.parent.forget()
        self.app.store.forget((self.id,))
        self._ended = self._known = None

    def revoke(
        self,
        terminate: bool = False,
        signal: Any = None,
        wait: bool = False,
        timeout: float | None = None,
        connection: Any = None,
    ) -> None:
        """Cancel the task if it has not started; with `terminate` also while it runs. `signal` is Celery's and changes
        nothing; with `wait` it returns when the task has ended."""
        self.app.store.revoke((self.id,), terminate=terminate)
        if wait:
            self.get(timeout=timeout, propagate=False)

    def retry(self) -> bool:
        """Run the ended task again, with fresh budgets and under the same id; a group that it is a member of waits for
        it anew. False if it has not ended, or if its arguments are no longer kept, as those of one that ended well."""
        again = self.app.store.requeue((self.id,))[0]
        if again:
            self._ended = self._known = None
        return again

    def __json__(self) -> Any:
        """What a task stores that returns it."""
        return self.as_tuple()

    def as_tuple(self) -> tuple[tuple[str, Any], None]:
        """The ids as plain data, for `result_from_tuple`."""
        return (self.id, self.parent.as_tuple() if self.parent is not None else None), None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AsyncResult):
            return self.id == other.id
        return self.id == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __reduce__(self) -> Any:
        return type(self), (self.id, None, None, self.parent)

    def __copy__(self) -> AsyncResult[R]:
        return type(self)(self.id, self._app, self._task, self.parent)

    def __deepcopy__(self, memo: Any) -> AsyncResult[R]:
        return self.__copy__()


def _telling(result: AsyncResult[Any], on_message: Callable[[dict[str, Any]], Any]) -> Callable[[], bool]:
    """Whether a task has ended; each time it stands otherwise than before, `on_message` gets its meta."""
    last: list[Any] = [None]

    def over() -> bool:
        view = result._view()
        stands = None if view is None else (view.state, view.progress, view.failures)
        if stands != last[0]:
            last[0] = stands
            on_message(reading.meta_of(view, result.id, result._convert))
        return reading.has_ended(view)

    return over


class EagerResult(AsyncResult[R]):
    """The result of a task that was run here and now."""

    linked: Sequence[Any] = ()
    """Handles of the callbacks that followed."""

    def __init__(
        self, id: str, ret_value: Any, state: str, traceback: str | None = None, name: str | None = None
    ) -> None:
        super().__init__(id)
        self._known: tuple[str, Any, str | None] = (state, ret_value, traceback)
        self._name = name

    def _view(self) -> None:
        """The store knows nothing of it."""

    def _follow(self) -> bool:
        """A chain that is run here ends with the step that fails."""
        return False

    @property
    def name(self) -> str | None:
        return self._name

    @property
    def children(self) -> Any:
        return list(self.linked)

    def _get_task_meta(self) -> dict[str, Any]:
        known = {"task_id": self.id, "status": self.state, "result": self.result, "traceback": self.traceback}
        return {**known, "children": self.children, "name": self.name, "date_done": None}

    def ready(self) -> bool:
        return True

    def get(self, timeout: float | None = None, propagate: bool = True, *rest: Any, **more: Any) -> R:
        """The value at once; raises what the task raised."""
        value = self._known[1]
        if self._known[0] in PROPAGATE_STATES and propagate and not isinstance(value, BaseException):
            raise Exception(value)
        return self._value(propagate, more.get("callback"))

    wait = get

    async def aget(self, timeout: float | None = None, propagate: bool = True, follow_parents: bool = True) -> R:
        return self._value(propagate)

    def then(self, callback: Callable[[Any], Any], on_error: Callable[[BaseException], Any] | None = None) -> Any:
        """Call `callback(result)` at once."""
        callback(self)
        return self

    def forget(self) -> None:
        """There is nothing to remove."""

    def revoke(self, *rest: Any, **more: Any) -> None:
        """Celery's: the state becomes REVOKED."""
        self._known = ("REVOKED", TaskRevokedError("revoked"), None)

    def retry(self) -> bool:
        """False: what ran here is kept nowhere. Call the task again."""
        return False

    def __reduce__(self) -> Any:
        state, value, traceback = self._known
        return type(self), (self.id, value, state, traceback, self._name)

    def __copy__(self) -> EagerResult[R]:
        kind, given = self.__reduce__()
        return kind(*given)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<EagerResult: {self.id}>"
