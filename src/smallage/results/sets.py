"""Results from anywhere, as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from smallage.results.reading import PROPAGATE_STATES, meta_of
from smallage.results.tree import Node
from smallage.results.waiting import await_until, check_may_wait, notices, wait_until

if TYPE_CHECKING:
    from smallage.app import Smallage

AT_ONCE: Final = 1_000
"""Tasks that are read in one go."""


def look(app: Smallage, handles: Iterable[Any]) -> None:
    """Read from the store, a thousand at a time, how the tasks of these handles stand; those that have ended keep it.
    Handles of groups and of tasks that ran here are passed over."""
    asked = [one for one in handles if getattr(one, "_ended", one) is None and getattr(one, "_known", None) is None]
    for at in range(0, len(asked), AT_ONCE):
        some = asked[at : at + AT_ONCE]
        for one, view in zip(some, app.store.state([one.id for one in some]), strict=True):
            one._note(view)


def has_ended(handle: Any) -> bool:
    """True if a handle that was looked at has ended; a group is asked."""
    if isinstance(handle, ResultSet):
        return handle.ready()
    return handle._ended is not None or handle._known is not None


def failure_of(handle: Any) -> BaseException | None:
    """The error of a handle that was looked at, if it has ended with one; a group's first."""
    if isinstance(handle, ResultSet):
        return handle._first_failure()
    if not has_ended(handle):
        return None
    state, value, _ = handle._read()
    if state not in PROPAGATE_STATES:
        return None
    return value if isinstance(value, BaseException) else Exception(value)


def first_failure(app: Smallage, handles: Iterable[Any]) -> None:
    """Raise the error of the first of these that has failed."""
    handles = list(handles)
    look(app, handles)
    for one in handles:
        error = failure_of(one)
        if error is not None:
            raise error


class ResultSet(Node):
    """Results that are waited for and asked together."""

    results: Any
    """The handles."""

    def __init__(
        self,
        results: Iterable[Any] | None = None,
        app: Smallage | None = None,
        ready_barrier: Any = None,
        **_: Any,
    ) -> None:
        self._app = app
        self.parent: Any = None
        self.results = results if isinstance(results, list) else list(results or ())

    @property
    def app(self) -> Smallage:
        if self._app is None:
            from smallage.app import current_app

            self._app = self.results[0].app if self.results else current_app()
        return self._app

    @app.setter
    def app(self, app: Smallage) -> None:
        self._app = app

    @property
    def backend(self) -> Any:
        """The app's results by id."""
        return self.app.backend

    supports_native_join = True

    # -- the handles ----------------------------------------------------------------------------------------------
    def _own(self) -> list[Any]:
        """The handles as a list that may be changed."""
        found: list[Any] = self.results
        return found

    def add(self, result: Any) -> None:
        """Add a handle, unless it is in already."""
        own = self._own()
        if result not in own:
            own.append(result)

    def remove(self, result: Any) -> None:
        """Remove a handle, given itself or by its id; raises KeyError if it is not in."""
        own = self._own()
        if result not in own:
            raise KeyError(result)
        own.remove(result)

    def discard(self, result: Any) -> None:
        """Remove a handle if it is in."""
        own = self._own()
        if result in own:
            own.remove(result)

    def update(self, results: Iterable[Any]) -> None:
        """Add handles that are not in."""
        for one in results:
            self.add(one)

    def clear(self) -> None:
        """Remove all handles."""
        del self._own()[:]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, place: Any) -> Any:
        return self.results[place]

    # -- how they stand -------------------------------------------------------------------------------------------
    def _looked(self) -> list[Any]:
        """The handles, with what the store knows of them now."""
        handles = list(self.results)
        look(self.app, handles)
        return handles

    def ready(self) -> bool:
        """True when all have ended."""
        return all(has_ended(one) for one in self._looked())

    def waiting(self) -> bool:
        """True while any has not ended."""
        return not self.ready()

    def successful(self) -> bool:
        """True when all have ended well."""
        return all(has_ended(one) and one.successful() for one in self._looked())

    def failed(self) -> bool:
        """True if any has failed."""
        return any(has_ended(one) and one.failed() for one in self._looked())

    def completed_count(self) -> int:
        """How many have ended well."""
        return sum(has_ended(one) and one.successful() for one in self._looked())

    def maybe_throw(self, callback: Callable[[str, Any], Any] | None = None, propagate: bool = True) -> None:
        """Raise the first error there is; `callback(task_id, value)` gets the values before it."""
        for one in self._looked():
            one.maybe_throw(callback=callback, propagate=propagate)

    maybe_reraise = maybe_throw

    def _first_failure(self) -> BaseException | None:
        return next((error for one in self._looked() if (error := failure_of(one)) is not None), None)

    # -- waiting --------------------------------------------------------------------------------------------------
    def _names(self) -> tuple[str, ...]:
        """What changes with the members: their ids."""
        return tuple(
            name for one in self.results for name in (one._names() if isinstance(one, ResultSet) else [one.id])
        )

    def _what(self) -> str:
        return f"The set of {len(self)} results"

    def _settled(self, propagate: bool) -> bool:
        """True when there is something to answer: all have ended, or one has failed."""
        handles = self._looked()
        if propagate and any(failure_of(one) is not None for one in handles):
            return True
        return all(has_ended(one) for one in handles)

    def _collected(self, propagate: bool) -> list[Any]:
        """The values in order."""
        if propagate and (error := self._first_failure()) is not None:
            raise error
        return [one.get(propagate=propagate, disable_sync_subtasks=False) for one in self.results]

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> list[Any]:
        """Wait until all have ended; their values in order.

        Raises the first failed one's exception as soon as one has failed; with `propagate=False` exceptions stand in
        the list. With `callback(task_id, value)` that gets the values as they come, and the answer is None. Raises
        TimeoutError after `timeout` seconds; the tasks go on. `on_message(meta)` is called for each end,
        `on_interval()` every `interval` seconds.
        """
        check_may_wait(not disable_sync_subtasks)
        if callback is not None or on_message is not None:
            values: dict[str, Any] = {}
            for task_id, meta in self.iter_native(timeout, interval, no_ack, on_message, on_interval):
                values[task_id] = _answer(meta, propagate)
                if callback is not None:
                    callback(task_id, values[task_id])
            return [values[one.id] for one in self.results] if callback is None else None  # type: ignore[return-value]
        wait_until(
            self.app, self._names(), lambda: self._settled(propagate), timeout, self._what(), on_interval, interval
        )
        return self._collected(propagate)

    join_native = get

    def join(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> list[Any]:
        """`get`; with `callback` the answer is an empty list."""
        found = self.get(timeout, propagate, interval, callback, no_ack, on_message, disable_sync_subtasks, on_interval)
        return found if callback is None else []

    def iter_native(
        self,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """(id, meta) of each as it ends; of a group among them its handles instead of a meta."""
        left = list(self.results)
        told = notices(self.app, self._names(), timeout, self._what(), on_interval, interval)
        with closing(told):
            for _ in told:
                look(self.app, left)
                ended = [one for one in left if has_ended(one)]
                gone = {id(one) for one in ended}
                left = [one for one in left if id(one) not in gone]
                for one in ended:
                    meta = one.children if isinstance(one, ResultSet) else _meta(one)
                    if on_message is not None and isinstance(meta, dict):
                        on_message(meta)
                    yield one.id, meta
                if not left:
                    return

    async def aget(self, timeout: float | None = None, propagate: bool = True) -> list[Any]:
        """`get` for asyncio."""
        from smallage.aio import in_thread

        check_may_wait()
        names = await in_thread(self._names)
        await await_until(self.app, names, lambda: self._settled(propagate), timeout, self._what())
        return await in_thread(self._collected, propagate)

    def then(self, callback: Callable[[Any], Any], on_error: Callable[[BaseException], Any] | None = None) -> Any:
        """Call `callback(this)` once when all have ended, from a thread of Smallage; at once if they have."""
        from smallage.results.later import call_when_ready

        return call_when_ready(self, self._names(), callback, on_error)

    # -- acting ---------------------------------------------------------------------------------------------------
    def forget(self) -> None:
        """Remove the ended ones' records from the store."""
        for one in self.results:
            one.forget()

    def revoke(
        self,
        connection: Any = None,
        terminate: bool = False,
        signal: Any = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Cancel those that have not started; with `terminate` also those that run. With `wait` it returns when all
        have ended. `connection` and `signal` are Celery's and change nothing."""
        tasks = [one.id for one in self.results if not isinstance(one, ResultSet)]
        for at in range(0, len(tasks), AT_ONCE):
            self.app.store.revoke(tasks[at : at + AT_ONCE], terminate=terminate)
        for one in self.results:
            if isinstance(one, ResultSet):
                one.revoke(terminate=terminate)
        if wait:
            self.get(timeout=timeout, propagate=False)

    def __eq__(self, other: object) -> bool:
        return list(self.results) == list(other.results) if isinstance(other, ResultSet) else NotImplemented

    def __hash__(self) -> int:
        return id(self)  # its members may change

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: [{', '.join(one.id for one in self.results)}]>"


def _meta(handle: Any) -> dict[str, Any]:
    """The meta of a handle that has ended."""
    if handle._ended is not None:
        return meta_of(handle._ended, handle.id, handle._convert)
    state, value, traceback = handle._read()
    return {"task_id": handle.id, "status": state, "result": value, "traceback": traceback, "children": []}


def _answer(meta: Any, propagate: bool) -> Any:
    """The value of what `iter_native` gave."""
    if not isinstance(meta, dict):
        return [one.get(propagate=propagate, disable_sync_subtasks=False) for one in meta]
    if propagate and meta["status"] in PROPAGATE_STATES:
        raise meta["result"]
    return meta["result"]
