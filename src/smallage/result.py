"""Handles of results: what became of a task, and waiting for it."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from smallage.core import codec
from smallage.core.errors import DecodeError, RemoteError, TaskRevokedError, TimeoutError, WorkerLostError
from smallage.core.states import TERMINAL, celery_state
from smallage.request import running

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.stores.base import TaskView
    from smallage.task import Task

R = TypeVar("R")

READY_STATES = frozenset({"SUCCESS", "FAILURE", "REVOKED", "IGNORED"})
PROPAGATE_STATES = frozenset({"FAILURE", "REVOKED"})
EXCEPTION_STATES = frozenset({"RETRY", "FAILURE", "REVOKED"})

_joining: ContextVar[bool] = ContextVar("smallage_allow_join", default=False)


@contextmanager
def allow_join_result() -> Iterator[None]:
    """Within it a task may wait for the results of others. Mind that this can lock a worker up."""
    token = _joining.set(True)
    try:
        yield
    finally:
        _joining.reset(token)


def check_may_wait(allowed: bool) -> None:
    """Raise RuntimeError inside a task: a worker full of waiting tasks would stand still for ever."""
    request = running.get()
    if request is None or allowed or _joining.get() or request.is_eager:
        return
    raise RuntimeError(
        "Never call result.get() within a task! Use fan_out(then=...) or a chord to go on when others have ended, or "
        "pass disable_sync_subtasks=False if workers enough are free."
    )


def deadline_of(timeout: Any) -> float | None:
    """When a wait of `timeout` seconds ends, by the monotonic clock; None for never."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}.")
    return time.monotonic() + timeout


# -- exceptions as data -------------------------------------------------------------------------------------------
def restored(data: bytes | None) -> tuple[BaseException, str | None]:
    """(exception, traceback) from an error's bytes. Never runs a constructor and never imports anything."""
    if data is None:
        return RemoteError("", "The task failed and left no error.", None), None
    try:
        error = codec.decode_error(data)
    except DecodeError as problem:
        return RemoteError("", f"The task's error cannot be read: {problem}", None), None
    made = _loaded(error)
    if made is None:
        return remote_error(error), error.traceback
    if error.traceback:
        made.__notes__ = [f"Remote traceback:\n{error.traceback}"]
    return made, error.traceback


def _loaded(error: codec.ErrorData) -> BaseException | None:
    """The exception itself if its class is in a module that is loaded already; built without any code of the class."""
    kind: Any = sys.modules.get(error.module)
    for part in error.kind.split("."):
        kind = vars(kind).get(part) if isinstance(kind, (type, ModuleType)) else None
    if not isinstance(kind, type) or not issubclass(kind, Exception) or issubclass(kind, RemoteError):
        return None
    made = _built(kind, error.args)
    if made is not None:
        for name in codec.CARRIED.get(kind, ()):
            setattr(made, name, error.extra.get(name))
    return made


def _built(kind: type[Exception], args: tuple[Any, ...]) -> Exception | None:
    """An exception of this class made by what Python itself has under it, which sets `errno` and the like."""
    builtin: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    made: Exception
    try:
        made = builtin.__new__(kind, *args)
        builtin.__init__(made, *args)
    except Exception:  # arguments that Python's own class does not take
        try:
            made = builtin.__new__(kind)
        except TypeError:  # nor none at all
            return None
        made.args = args
    return made


def remote_error(error: codec.ErrorData) -> RemoteError:
    """An error whose class is not loaded here, under its own name."""
    whole = f"{error.module}.{error.kind}" if error.module and error.module != "builtins" else error.kind
    return RemoteError(whole, error.message, error.traceback)


def exception_of(view: TaskView) -> tuple[BaseException, str | None]:
    """(exception, traceback) of a task that ended badly."""
    if view.state == "cancelled":
        return TaskRevokedError(view.reason or "revoked"), None
    if view.reason == "expired":
        return TaskRevokedError("expired"), None
    if view.result is not None:
        return restored(view.result)
    if view.reason == "crashed":
        return WorkerLostError(f"The processes that ran {view.name}[{view.id}] died {view.crashes} times."), None
    if view.reason == "lost":
        return WorkerLostError(f"The workers that held {view.name}[{view.id}] were lost {view.lost} times."), None
    return RemoteError("", f"The task ended as {view.reason} and left no error.", None), None


# -- the handle ---------------------------------------------------------------------------------------------------
class AsyncResult(Generic[R]):
    """The result of a task, by id: there already, still to come, or never (an unknown id reads as PENDING)."""

    def __init__(
        self, id: str, app: Smallage | None = None, task: Task[Any, R] | None = None, parent: Any = None
    ) -> None:
        if not id:
            raise ValueError("AsyncResult needs the id of a task.")
        self.id = str(id)
        self.parent = parent
        self._app = app
        self._task = task
        self._ended: TaskView | None = None

    unkept = False
    """True for the handle of a call whose result is not kept: `get()` answers None at once."""

    @property
    def app(self) -> Smallage:
        if self._app is None:
            from smallage.app import current_app

            self._app = current_app()
        return self._app

    @property
    def task_id(self) -> str:
        return self.id

    # -- reading --------------------------------------------------------------------------------------------------
    def _view(self) -> TaskView | None:
        """The task as the store has it now; an ended one is remembered."""
        if self._ended is not None:
            return self._ended
        view = self.app.store.state((self.id,))[0]
        if view is not None and view.state in TERMINAL:
            self._ended = view
        return view

    def _read(self) -> tuple[str, Any, str | None]:
        """(state, result or info, traceback) in Celery's terms."""
        return read(self._view(), self._convert)

    def _convert(self, value: Any) -> Any:
        return self._task.convert_result(value) if self._task is not None else value

    @property
    def state(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED, IGNORED or a state of the task's own.

        A task with `ignore_result` reads SUCCESS for a minute after its end, then PENDING, as an unknown id does."""
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
    def name(self) -> str | None:
        view = self._view()
        return view.name if view is not None else None

    @property
    def queue(self) -> str | None:
        view = self._view()
        return view.queue if view is not None else None

    @property
    def retries(self) -> int | None:
        """Attempts that ended in a retry; the failure at the end is none."""
        view = self._view()
        if view is None:
            return None
        return view.failures - 1 if view.reason == "failed" and view.failures else view.failures

    @property
    def date_done(self) -> dt.datetime | None:
        """When the task ended, by the store's clock."""
        view = self._view()
        if view is None or view.state not in TERMINAL:
            return None
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=view.ended_us)

    @property
    def ignored(self) -> bool:
        """True if the task's result was not to be kept."""
        view = self._view()
        return view is not None and view.ignored

    def exists(self) -> bool:
        """True if the store has a record of this id."""
        return self._view() is not None

    def ready(self) -> bool:
        """True when the task has ended, however it did."""
        view = self._view()
        return view is not None and view.state in TERMINAL

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
        on_message: Any = None,
        on_interval: Any = None,
        disable_sync_subtasks: bool = True,
    ) -> R:
        """Wait for the end and return the value.

        Raises TimeoutError after `timeout` seconds (the task goes on), the task's exception if it failed, and
        TaskRevokedError if it was cancelled or expired; with `propagate=False` these are returned. For a chord's body
        it raises what its first failed member raised, maybe before the others have ended; with `follow_parents=False`
        the body's own ChordError. `interval`, `no_ack` and `on_message` are Celery's and change nothing: the store
        tells when the task has ended.
        """
        from smallage.watching import Waiter

        if self.unkept:
            return None  # type: ignore[return-value]
        check_may_wait(not disable_sync_subtasks)
        deadline = deadline_of(timeout)
        if not self.ready():
            parents = self._parents() if propagate and follow_parents else ()
            with Waiter(self.app.hub, self.id, *parents) as waiter:
                while not self.ready():
                    if parents:
                        self._follow()
                    waiter.wait(self._patience(deadline, timeout))
        return self._value(propagate, callback, follow_parents)

    wait = get

    def _parents(self) -> tuple[str, ...]:
        return () if self.parent is None else (self.parent.id, *self.parent._parents())

    def _follow(self) -> None:
        """Raise the error of the oldest parent that has failed, if any has."""
        if self.parent is not None:
            self.parent._follow()
            self.parent._raise_failure()

    def _raise_failure(self) -> None:
        state, value, _ = self._read()
        if state in PROPAGATE_STATES:
            raise value

    def _patience(self, deadline: float | None, timeout: float | None) -> float:
        """Seconds to wait at most now; raises TimeoutError when the time is over."""
        from smallage.watching import REREAD

        if deadline is None:
            return REREAD
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"The task {self.id} has not ended within {timeout:g} seconds; it goes on.")
        return min(left, REREAD)

    def _value(
        self, propagate: bool, callback: Callable[[str, Any], Any] | None = None, follow_parents: bool = True
    ) -> R:
        state, value, _ = self._read()
        if callback is not None:
            callback(self.id, value)
        if propagate and state in PROPAGATE_STATES:
            if follow_parents:
                self._follow()
            raise value
        return value  # type: ignore[no-any-return]

    async def aget(self, timeout: float | None = None, propagate: bool = True, follow_parents: bool = True) -> R:
        """`get` for asyncio: waits without blocking the event loop; thousands may wait at once."""
        from smallage.aio import AsyncWaiter, in_thread

        if self.unkept:
            return None  # type: ignore[return-value]
        check_may_wait(False)
        deadline = deadline_of(timeout)
        if not await in_thread(self.ready):
            parents = self._parents() if propagate and follow_parents else ()
            async with AsyncWaiter(self.app.hub, self.id, *parents) as waiter:
                while not await in_thread(self.ready):
                    if parents:
                        await in_thread(self._follow)
                    await waiter.wait(self._patience(deadline, timeout))
        return await in_thread(self._value, propagate, None, follow_parents)

    async def astate(self) -> str:
        """`state` without blocking the event loop."""
        from smallage.aio import in_thread

        return (await in_thread(self._read))[0]

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], Any] | None = None) -> Any:
        """The value if there is one; raises the task's exception if it failed."""
        return self._value(propagate, callback)

    # -- acting ---------------------------------------------------------------------------------------------------
    def forget(self) -> None:
        """Remove the ended task's record from the store; the id then reads as PENDING."""
        self.app.store.forget((self.id,))
        self._ended = None

    def revoke(
        self, terminate: bool = False, signal: Any = None, wait: bool = False, timeout: float | None = None
    ) -> None:
        """Cancel the task if it has not started; with `terminate` also while it runs. `signal` is Celery's and changes
        nothing; with `wait` it returns when the task has ended."""
        self.app.store.revoke((self.id,), terminate=terminate)
        if wait:
            self.get(timeout=timeout, propagate=False)

    def as_tuple(self) -> tuple[tuple[str, Any], None]:
        return (self.id, self.parent.as_tuple() if self.parent is not None else None), None

    def as_list(self) -> list[str]:
        """This id and those up the parents."""
        return [self.id, *(self.parent.as_list() if self.parent is not None else ())]

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


def read(view: TaskView | None, convert: Callable[[Any], Any] | None = None) -> tuple[str, Any, str | None]:
    """(state, result or info, traceback) of a task in Celery's terms."""
    if view is None:
        return "PENDING", None, None
    state = celery_state(view.state, view.reason, view.failures)
    if state == "SUCCESS":
        value = codec.decode_result(view.result)
        if isinstance(value, codec.Marked):
            return value.state, value.meta, None
        return state, convert(value) if convert is not None and value is not None else value, None
    if state in PROPAGATE_STATES:
        error, traceback = exception_of(view)
        return state, error, traceback
    return _read_open(view, state)


def _read_open(view: TaskView, state: str) -> tuple[str, Any, str | None]:
    """A task that has not ended: its own state if it set one, or RETRY with the error."""
    if view.progress is None:
        return state, None, None
    try:
        own, meta = codec.decode_note(view.progress)
    except DecodeError:
        return state, None, None
    if own == "RETRY":
        if state != "RETRY" or not isinstance(meta, bytes):
            return state, None, None
        error, traceback = restored(meta)
        return state, error, traceback
    if view.state == "running":
        return own, meta, None
    return state, None, None


class EagerResult(AsyncResult[R]):
    """The result of a task that was run here and now."""

    linked: Sequence[Any] = ()
    """Handles of the callbacks that followed."""

    def __init__(self, id: str, value: Any, state: str, traceback: str | None = None) -> None:
        super().__init__(id)
        self._known = (state, value, traceback)

    def _read(self) -> tuple[str, Any, str | None]:
        return self._known

    def ready(self) -> bool:
        return self._known[0] in READY_STATES

    def get(self, timeout: float | None = None, propagate: bool = True, *rest: Any, **more: Any) -> R:
        """The value at once; raises what the task raised."""
        return self._value(propagate, more.get("callback"), more.get("follow_parents", True))

    wait = get

    async def aget(self, timeout: float | None = None, propagate: bool = True, follow_parents: bool = True) -> R:
        return self._value(propagate, None, follow_parents)

    def forget(self) -> None:
        """There is nothing to remove."""

    def revoke(self, *rest: Any, **more: Any) -> None:
        """Celery's: the state becomes REVOKED."""
        self._known = ("REVOKED", TaskRevokedError("revoked"), None)
