"""Many tasks as one: the handle that follows a group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from smallage.core.message import member_id, opener_id
from smallage.core.states import TERMINAL
from smallage.result import AsyncResult
from smallage.results.members import Body, Known, Members
from smallage.results.outcomes import (
    Count,
    Counters,
    LazyValues,
    MemberOutcome,
    Outcomes,
    Snapshot,
    chord_values,
    lazy_values,
    outcome_of,
    pages_of,
    snapshot_of,
)
from smallage.results.reading import PROPAGATE_STATES, meta_of
from smallage.results.sets import ResultSet, failure_of, has_ended, look
from smallage.results.waiting import deadline_of, notices, patience
from smallage.stores.base import GroupView, TaskView

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.task import Task

R = TypeVar("R")

BETWEEN: Final = 0.1
"""Seconds between two snapshots of `progress`."""

__all__ = [
    "BETWEEN",
    "Count",
    "GroupResult",
    "LazyValues",
    "MemberOutcome",
    "Members",
    "Outcomes",
    "ResultSet",
    "Snapshot",
    "chord_values",
    "lazy_values",
]


class GroupResult(Counters, ResultSet, Generic[R]):
    """Results with an id: a group that was sent, or any results of yours.

    Of a group the counters are one read at any size. One that the store does not know yet, because it comes later in a
    chain, has not ended; if the chain ends before, the group has failed with it.
    """

    def __init__(
        self,
        id: str | None = None,
        results: Iterable[Any] | None = None,
        parent: Any = None,
        app: Smallage | None = None,
        task: Task[Any, R] | None = None,
        then: AsyncResult[Any] | None = None,
        expected: int = 0,
        sent: bool = True,
        **_: Any,
    ) -> None:
        from smallage.app import current_app, new_id

        self.id = str(id) if id is not None else new_id()
        self._app = app if app is not None else current_app()
        self.parent = parent
        self.then = then
        self.expected = expected
        """Members that a group of like tasks will have, for who sent it."""
        self._given: Known | None = None if results is None else Known(self, results)
        self._changed = not sent
        """The members are none that the store has under this id."""
        self._task = task

    @classmethod
    def restore(cls, id: str, backend: Any = None, app: Smallage | None = None) -> GroupResult[Any] | None:
        """The handle of a group that was sent before, here or elsewhere, or of results that were saved under this id;
        None if the store does not know it."""
        from smallage.app import current_app
        from smallage.results.saving import saved_group

        if app is None:
            app = current_app() if backend is None else getattr(backend, "app", backend)
        made: GroupResult[Any] = cls(id, app=app)
        view = made.app.store.group(made.id)
        if view is None:
            saved: GroupResult[Any] | None = saved_group(made.app, made.id)
            return saved
        made.then = AsyncResult(view.body, made.app) if view.body else None
        return made

    @property
    def then(self) -> Any:
        """The handle of the body, for a group that has one. Also callable, as in Celery, with a body or without:
        `then(callback)` calls `callback(this)` once when all have ended."""
        return self._body if self._body is not None else self._call_later

    @then.setter
    def then(self, body: Any) -> None:
        if type(body) is AsyncResult:
            body = Body(body.id, body._app, body._task, body.parent)
            body.group = self
        self._body = body

    def _call_later(
        self, callback: Callable[[Any], Any], on_error: Callable[[BaseException], Any] | None = None
    ) -> Any:
        return ResultSet.then(self, callback, on_error)

    def handle(self, task_id: str) -> AsyncResult[R]:
        """The handle of a member."""
        return AsyncResult(task_id, self.app, self._task)

    def convert(self, value: Any) -> Any:
        """A member's value as the task's annotation has it."""
        return self._task.convert_result(value) if self._task is not None else value

    # -- members --------------------------------------------------------------------------------------------------
    @property
    def results(self) -> Any:
        """The members' handles as a sequence; `results()` yields (index, state, value or exception) of each."""
        return Members(self) if self._given is None else self._given

    @property
    def children(self) -> Any:
        """The members' handles."""
        return self.results

    def _own(self) -> list[Any]:
        if self._given is None:
            self._given = Known(self, self.results)
        self._changed = True
        return self._given

    def __len__(self) -> int:
        return self.total if self._given is None else len(self._given)

    def __bool__(self) -> bool:
        return True

    # -- counters -------------------------------------------------------------------------------------------------
    def _stored(self) -> GroupView | None:
        """The counters, if the store has this group and it is the one that is meant."""
        return None if self._changed else self.app.store.group(self.id)

    def view(self) -> GroupView:
        """The counters as the store has them; of a group that it does not know, by what is known of the members."""
        found = self._stored()
        return found if found is not None else self._unsent()

    def _unsent(self) -> GroupView:
        handles = self._handles()
        look(self.app, handles)
        ended = [one for one in handles if has_ended(one)]
        if not ended and self._upstream() is not None:
            total = max(len(handles), 1)
            return GroupView(id=self.id, total=total, failed=total, sealed=True)
        if not ended and self._is_passed_over():
            total = max(len(handles), 1)
            return GroupView(id=self.id, total=total, done=total, sealed=True)
        done = sum(one.successful() or _is_ignored(one) for one in ended)
        failed = sum(bool(one.failed()) for one in ended)
        return GroupView(
            id=self.id,
            total=len(handles),
            done=done,
            failed=failed,
            cancelled=len(ended) - done - failed,
            sealed=self._given is not None or self.expected > 0,
        )

    def _handles(self) -> list[Any]:
        """Handles of the members as far as they are known without the store."""
        if self._given is not None:
            return list(self._given)
        return [self.handle(member_id(self.id, index)) for index in range(self.expected)]

    def _upstream(self) -> BaseException | None:
        """The error of the oldest parent that has failed: behind it this group never comes."""
        parents = list(self._parents())
        if not self._changed:
            parents.insert(0, self._opener())
        look(self.app, parents)
        return next((error for one in reversed(parents) if (error := failure_of(one)) is not None), None)

    def _is_passed_over(self) -> bool:
        """True if a task before this group in a chain raised `Ignore`: it never comes, and nothing failed."""
        if self._changed:
            return False
        opener = self._opener()
        look(self.app, (opener,))
        return has_ended(opener) and opener.state == "IGNORED"

    def _opener(self) -> AsyncResult[Any]:
        """The task that opens the group, if that comes later in a chain."""
        return AsyncResult(opener_id(self.id), self.app)

    def snapshot(self) -> Snapshot:
        """All counters in one read."""
        return snapshot_of(self.view())

    async def asnapshot(self) -> Snapshot:
        """`snapshot` without blocking the event loop."""
        from smallage.aio import in_thread

        return await in_thread(self.snapshot)

    def ready(self) -> bool:
        """True when all members have ended."""
        return self.snapshot().ended

    def successful(self) -> bool:
        """True when all have ended well."""
        view = self.view()
        return view.sealed and view.done == view.total

    def waiting(self) -> bool:
        """True while any has not ended."""
        return not self.ready()

    def completed_count(self) -> int:
        """How many have ended well."""
        return self.done

    # -- following ------------------------------------------------------------------------------------------------
    def progress(self, timeout: float | None = None) -> Iterator[Snapshot]:
        """Snapshots: one now, then one for each change (at most ten a second), the last when all have ended.

        Raises TimeoutError when that takes longer than `timeout` seconds.
        """
        last: Snapshot | None = None
        with closing(notices(self.app, self._names(), timeout, self._what())) as told:
            for _ in told:
                shot = self.snapshot()
                if shot != last:
                    shown_at = time.monotonic()
                    yield shot
                    last = shot
                    if not shot.ended:
                        time.sleep(max(0.0, shown_at + BETWEEN - time.monotonic()))
                if shot.ended:
                    return

    async def aprogress(self, timeout: float | None = None) -> AsyncIterator[Snapshot]:
        """`progress` for asyncio."""
        from smallage.aio import AsyncWaiter, in_thread

        deadline = deadline_of(timeout)
        async with AsyncWaiter(self.app.hub, *await in_thread(self._names)) as waiter:
            last: Snapshot | None = None
            shown_at = 0.0
            while True:
                shot = await in_thread(self.snapshot)
                if shot != last:
                    shown_at = time.monotonic()
                    yield shot
                    last = shot
                if shot.ended:
                    return
                await waiter.wait(patience(deadline, timeout, self._what()))
                await asyncio.sleep(max(0.0, shown_at + BETWEEN - time.monotonic()))

    # -- waiting --------------------------------------------------------------------------------------------------
    def _names(self) -> tuple[str, ...]:
        """What changes with the group: itself; before it comes, its parents and members too."""
        names = [self.id]
        if self._stored() is None:
            names += [self._opener().id, *(one.id for one in self._parents())]
            for one in self._handles():
                names += one._names() if isinstance(one, ResultSet) else [one.id]
        return tuple(names)

    def _what(self) -> str:
        return f"The group {self.id}"

    def _settled(self, propagate: bool) -> bool:
        shot = self.snapshot()
        return shot.ended or (propagate and shot.failed + shot.cancelled > 0)

    def _first_failure(self) -> BaseException | None:
        view = self._stored()
        if view is None:
            handles = self._handles()
            look(self.app, handles)
            errors = (failure_of(one) for one in handles if has_ended(one))
            return next((one for one in errors if one is not None), None) or self._upstream()
        if view.cancelled:
            opener = self._opener()
            look(self.app, (opener,))
            if (error := failure_of(opener)) is not None:
                return error
        if view.failed + view.cancelled:
            for page in pages_of(self.app, self.id):
                for member in page:
                    _, state, value = outcome_of(member, self.convert)
                    if state in PROPAGATE_STATES:
                        return value  # type: ignore[no-any-return]
        return None

    def _collected(self, propagate: bool) -> list[Any]:
        if self._stored() is None:
            return self._collected_one_by_one(propagate)
        values: list[Any] = []
        if propagate and (error := self._first_failure()) is not None:
            raise error
        for page in pages_of(self.app, self.id):
            for member in page:
                _, state, value = outcome_of(member, self.convert)
                if propagate and state in PROPAGATE_STATES:
                    raise value
                values.append(value)
        return values

    def _collected_one_by_one(self, propagate: bool) -> list[Any]:
        if propagate and (error := self._first_failure()) is not None:
            raise error
        handles = self._handles()
        look(self.app, handles)
        error = None if all(map(has_ended, handles)) else self._upstream()
        return [one.get(propagate=False, disable_sync_subtasks=False) if has_ended(one) else error for one in handles]

    def maybe_throw(self, callback: Callable[[str, Any], Any] | None = None, propagate: bool = True) -> None:
        """Raise the error of the first member that has failed; `callback(task_id, value)` gets what there is."""
        if callback is not None:
            super().maybe_throw(callback, propagate)
        elif propagate and (error := self._first_failure()) is not None:
            raise error

    maybe_reraise = maybe_throw

    def iter_native(
        self,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """(id, meta) of each member as it ends."""
        if self._given is not None or self._stored() is None:
            yield from super().iter_native(timeout, interval, no_ack, on_message, on_interval)
            return
        told = notices(self.app, (self.id,), timeout, self._what(), on_interval, interval)
        seen: set[str] = set()
        with closing(told):
            for _ in told:
                ended = self.snapshot().ended
                for task_id, meta in self._ended_members(seen):
                    if on_message is not None:
                        on_message(meta)
                    yield task_id, meta
                if ended:
                    return

    def _ended_members(self, seen: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Those that have ended and were not seen before."""
        for page in pages_of(self.app, self.id):
            for one in page:
                if one.state in TERMINAL and one.id not in seen:
                    seen.add(one.id)
                    view = TaskView(id=one.id, state=one.state, result=one.result, reason=one.reason)
                    yield one.id, meta_of(view, one.id, self.convert)

    # -- acting ---------------------------------------------------------------------------------------------------
    def cancel(self, terminate: bool = False) -> int:
        """Cancel what has not started, in one step; with `terminate` also what runs. Returns how many ended now."""
        if self._stored() is not None:
            return self.app.store.group_revoke(self.id, terminate=terminate)
        before = self.view().cancelled
        if not self._changed:
            self._opener().revoke(terminate=terminate)
        ResultSet.revoke(self, terminate=terminate)
        return self.view().cancelled - before

    def revoke(
        self,
        connection: Any = None,
        terminate: bool = False,
        signal: Any = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """`cancel`, by Celery's name; with `wait` it returns when all have ended."""
        self.cancel(terminate)
        if wait:
            self.get(timeout=timeout, propagate=False)

    def retry_failed(self) -> int:
        """Run the failed members again and wait for them anew. Returns how many.

        Of a group that never came, because the task that opens it died, all are run.
        """
        if self._stored() is not None or self._changed:
            return self.app.store.group_retry(self.id)
        failed = self.view().failed
        return failed if self._opener().retry() else 0

    def save(self, backend: Any = None) -> None:
        """Keep the handles under this id, for `restore`. A group that was sent is kept anyway, until it expires."""
        if self._stored() is None and (self._given is not None or self.expected):
            from smallage.results.saving import save_group

            save_group(self)

    def forget(self) -> None:
        """Remove the ended group with its members' results; while it has not ended nothing happens."""
        if self.parent is not None:
            self.parent.forget()
        self.app.store.forget([self.id])
        if self._given is not None and self._stored() is None:
            ResultSet.forget(self)

    def delete(self, backend: Any = None) -> None:
        """Remove what `save` kept, and the group that was sent, with its results, if it has ended."""
        from smallage.results.saving import saved_id

        self.app.store.forget([self.id, saved_id(self.id)])

    def __json__(self) -> Any:
        """What a task stores that returns it."""
        return self.as_tuple()

    def as_tuple(self) -> tuple[tuple[str, Any], list[Any]]:
        """The ids as plain data, for `result_from_tuple`."""
        parent = self.parent.as_tuple() if self.parent is not None else None
        return (self.id, parent), [one.as_tuple() for one in self]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GroupResult):
            return self.id == other.id
        return self.id == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __reduce__(self) -> Any:
        return type(self), (self.id, None if self._given is None else list(self._given), self.parent)


def _is_ignored(one: Any) -> bool:
    """True for a member that ended by `Ignore`: it counts as done."""
    return not isinstance(one, ResultSet) and one.state not in PROPAGATE_STATES
