"""Many tasks as one: the handle that follows a group, and what its body reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, overload

import msgspec

from smallage.core.errors import ChordError, TaskError, TimeoutError
from smallage.core.states import TERMINAL
from smallage.result import AsyncResult, check_may_wait, deadline_of, read
from smallage.stores.base import GroupView, MemberResult, TaskView
from smallage.watching import REREAD, Waiter

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.task import Task

R = TypeVar("R")

PAGE: Final = 1_000
BETWEEN: Final = 0.1
"""Seconds between two snapshots of `progress`."""

_REVERSED: Final = frozenset({"FAILURE", "REVOKED"})


# -- reading a group ----------------------------------------------------------------------------------------------
class Snapshot(msgspec.Struct, frozen=True):
    """A group's counters at one moment. `number` rises with every change."""

    id: str
    total: int
    done: int
    failed: int
    running: int
    cancelled: int
    retried: int
    number: int
    ended: bool
    """All members have ended."""


class MemberOutcome(NamedTuple):
    """How a member stands: its place, its state in Celery's words, its value or exception."""

    index: int  # type: ignore[assignment]
    state: str
    value: Any


class Count(int):
    """A number that answers Celery's `failed()` too: called, it says whether it is above zero."""

    def __call__(self) -> bool:
        return self > 0


def _snapshot(view: GroupView) -> Snapshot:
    ended = view.sealed and view.ended >= view.total
    return Snapshot(
        view.id,
        view.total,
        view.done,
        view.failed,
        view.running,
        view.cancelled,
        view.retried,
        view.seq,
        ended,
    )


def _outcome(member: MemberResult, convert: Callable[[Any], Any] | None = None) -> MemberOutcome:
    view = TaskView(id=member.id, state=member.state, result=member.result, reason=member.reason)
    state, value, _ = read(view, convert)
    return MemberOutcome(member.index, state, value)


def _pages(app: Smallage, name: str, size: int = PAGE) -> Iterator[list[MemberResult]]:
    """The members of a group, some at a time."""
    offset = 0
    while page := app.store.results(name, offset, size):
        yield page
        offset += len(page)


class _Counters:
    """A group's counters by id, each one read of the store."""

    id: str
    app: Smallage

    def view(self) -> GroupView:
        """The counters as the store has them. Raises TaskError for a group that it does not know (any more)."""
        view = self.app.store.group(self.id)
        if view is None:
            raise TaskError(f"The store knows no group {self.id}; it was never sent, or its results have expired.")
        return view

    @property
    def total(self) -> int:
        return self.view().total

    @property
    def done(self) -> int:
        """Members that ended well."""
        return self.view().done

    @property
    def failed(self) -> Count:
        """Members that failed for good. Also callable, as in Celery: `failed()` is True if any did."""
        return Count(self.view().failed)

    @property
    def running(self) -> int:
        return self.view().running

    @property
    def cancelled(self) -> int:
        return self.view().cancelled

    @property
    def retried(self) -> int:
        """Attempts of members that ended in a retry."""
        return self.view().retried


class Outcomes(_Counters):
    """What a group's body gets: how the members ended, read from the store in pages as it is asked for."""

    def __init__(self, app: Smallage, id: str) -> None:
        self.app = app
        self.id = id

    def __len__(self) -> int:
        return self.total

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[MemberOutcome]:
        """Every member in order: (index, state, value or exception)."""
        for page in self.pages():
            yield from page

    def pages(self, size: int = PAGE) -> Iterator[list[MemberOutcome]]:
        """The members, `size` (at most 1,000) at a time."""
        for page in _pages(self.app, self.id, min(size, PAGE)):
            yield [_outcome(member) for member in page]

    def values(self) -> Iterator[Any]:
        """The values of the members that ended well, in order."""
        return (value for _, state, value in self if state not in _REVERSED)

    def failures(self) -> Iterator[MemberOutcome]:
        """The members that failed, were cancelled or expired; `value` is the exception."""
        return (one for one in self if one.state in _REVERSED)

    def __repr__(self) -> str:
        return f"<Outcomes {self.id}>"


def chord_values(outcomes: Outcomes) -> list[Any]:
    """The values of all members in order. Raises ChordError naming the first that did not end well."""
    values: list[Any] = []
    for page in _pages(outcomes.app, outcomes.id):
        values.extend(_checked(page))
    if len(values) != outcomes.total:
        raise ChordError(f"Of the results of group {outcomes.id} only {len(values)} are still kept.")
    return values


class LazyValues(Sequence[Any]):
    """The values of a chord's header, read from the store in pages as they are asked for."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._page: list[MemberResult] = []
        self._first = 0

    def __len__(self) -> int:
        return self._outcomes.total

    def __iter__(self) -> Iterator[Any]:
        for page in _pages(self._outcomes.app, self._outcomes.id):
            for member in page:
                yield _outcome(member).value

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        index = place if place >= 0 else place + len(self)
        if not self._first <= index < self._first + len(self._page):
            self._first = index - index % PAGE if index >= 0 else 0
            self._page = self._outcomes.app.store.results(self._outcomes.id, self._first, PAGE) if index >= 0 else []
        if not 0 <= index - self._first < len(self._page):
            raise IndexError(f"The header has no member {place}.")
        return _outcome(self._page[index - self._first]).value


def lazy_values(outcomes: Outcomes) -> LazyValues:
    """The values of all members in order, to be read in pages. Raises ChordError naming the first that did not end
    well."""
    view = outcomes.view()
    if view.failed + view.cancelled:
        for page in _pages(outcomes.app, outcomes.id):
            _checked(page)
    return LazyValues(outcomes)


def _checked(page: list[MemberResult]) -> list[Any]:
    """The values of a page. Raises ChordError naming the first member that did not end well."""
    values: list[Any] = []
    for member in page:
        _, state, value = _outcome(member)
        if state in _REVERSED:
            error = ChordError(f"Dependency {member.id} raised {value!r}")
            error.__cause__ = value if isinstance(value, BaseException) else None
            raise error
        values.append(value)
    return values


# -- the handle ---------------------------------------------------------------------------------------------------
class Members(Sequence[AsyncResult[R]]):
    """The handles of a group's members; called, their outcomes in order."""

    def __init__(self, result: GroupResult[R]) -> None:
        self._result = result

    def __len__(self) -> int:
        return self._result.total

    @overload
    def __getitem__(self, place: int) -> AsyncResult[R]: ...
    @overload
    def __getitem__(self, place: slice) -> list[AsyncResult[R]]: ...
    def __getitem__(self, place: int | slice) -> AsyncResult[R] | list[AsyncResult[R]]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        index = place if place >= 0 else place + len(self)
        found = self._result.app.store.results(self._result.id, index, 1) if index >= 0 else []
        if not found:
            raise IndexError(f"The group has no member {place}.")
        return self._result.handle(found[0].id)

    def __iter__(self) -> Iterator[AsyncResult[R]]:
        for page in _pages(self._result.app, self._result.id):
            for member in page:
                yield self._result.handle(member.id)

    def __call__(self) -> Iterator[MemberOutcome]:
        """(index, state, value or exception) of every member, in pages of 1,000."""
        result = self._result
        for page in _pages(result.app, result.id):
            for member in page:
                yield _outcome(member, result.convert)


class GroupResult(_Counters, Generic[R]):
    """A group that was sent. Counters are one read at any size."""

    def __init__(
        self,
        id: str,
        app: Smallage | None = None,
        task: Task[Any, R] | None = None,
        then: AsyncResult[Any] | None = None,
        parent: Any = None,
    ) -> None:
        from smallage.app import current_app

        self.id = id
        self.app = app if app is not None else current_app()
        self.then = then
        """The handle of the body, if there is one."""
        self.parent = parent
        self.known: list[Any] | None = None
        """The members' handles, for who sent the group."""
        self._task = task

    @classmethod
    def restore(cls, id: str, app: Smallage | None = None) -> GroupResult[Any] | None:
        """The handle of a group that was sent before, here or elsewhere; None if the store does not know it."""
        made: GroupResult[Any] = cls(id, app)
        view = made.app.store.group(id)
        if view is None:
            return None
        made.then = AsyncResult(view.body, made.app) if view.body else None
        return made

    def handle(self, task_id: str) -> AsyncResult[R]:
        """The handle of a member."""
        return AsyncResult(task_id, self.app, self._task)

    def convert(self, value: Any) -> Any:
        """A member's value as the task's annotation has it."""
        return self._task.convert_result(value) if self._task is not None else value

    # -- members --------------------------------------------------------------------------------------------------
    @property
    def results(self) -> Members[R]:
        """The members' handles as a sequence; `results()` yields (index, state, value or exception) of each."""
        return Members(self)

    children = results

    def __iter__(self) -> Iterator[AsyncResult[R]]:
        return iter(self.results)

    def __len__(self) -> int:
        return self.total

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, place: int) -> AsyncResult[R]:
        return self.results[place]

    # -- following ------------------------------------------------------------------------------------------------
    def snapshot(self) -> Snapshot:
        """All counters in one read."""
        return _snapshot(self.view())

    async def asnapshot(self) -> Snapshot:
        """`snapshot` without blocking the event loop."""
        from smallage.aio import in_thread

        return await in_thread(self.snapshot)

    def progress(self, timeout: float | None = None) -> Iterator[Snapshot]:
        """Snapshots: one now, then one for each change (at most ten a second), the last when all have ended.

        Raises TimeoutError when that takes longer than `timeout` seconds.
        """
        deadline = deadline_of(timeout)
        if (now := self.snapshot()).ended:
            yield now
            return
        with Waiter(self.app.hub, self.id) as waiter:
            last: Snapshot | None = None
            shown_at = 0.0
            while True:
                shot = self.snapshot()
                if shot != last:
                    shown_at = time.monotonic()
                    yield shot
                    last = shot
                if shot.ended:
                    return
                waiter.wait(self._patience(deadline, timeout))
                time.sleep(max(0.0, shown_at + BETWEEN - time.monotonic()))

    async def aprogress(self, timeout: float | None = None) -> AsyncIterator[Snapshot]:
        """`progress` for asyncio."""
        from smallage.aio import AsyncWaiter, in_thread

        deadline = deadline_of(timeout)
        async with AsyncWaiter(self.app.hub, self.id) as waiter:
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
                await waiter.wait(self._patience(deadline, timeout))
                await asyncio.sleep(max(0.0, shown_at + BETWEEN - time.monotonic()))

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

    # -- waiting --------------------------------------------------------------------------------------------------
    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Any = None,
        disable_sync_subtasks: bool = True,
        on_interval: Any = None,
    ) -> list[Any]:
        """Wait until all have ended; their values in order.

        Raises the first member's exception as soon as one has failed; with `propagate=False` exceptions stand in the
        list. `callback(task_id, value)` gets the values instead of the list. Raises TimeoutError after `timeout`
        seconds; the tasks go on.
        """
        check_may_wait(not disable_sync_subtasks)
        deadline = deadline_of(timeout)
        if not self._settled(propagate):
            with Waiter(self.app.hub, self.id) as waiter:
                while not self._settled(propagate):
                    waiter.wait(self._patience(deadline, timeout))
        return self._values(propagate, callback)

    join = get

    async def aget(self, timeout: float | None = None, propagate: bool = True) -> list[Any]:
        """`get` for asyncio."""
        from smallage.aio import AsyncWaiter, in_thread

        check_may_wait(False)
        deadline = deadline_of(timeout)
        async with AsyncWaiter(self.app.hub, self.id) as waiter:
            while not await in_thread(self._settled, propagate):
                await waiter.wait(self._patience(deadline, timeout))
        return await in_thread(self._values, propagate)

    def _settled(self, propagate: bool) -> bool:
        shot = self.snapshot()
        return shot.ended or (propagate and shot.failed + shot.cancelled > 0)

    def _patience(self, deadline: float | None, timeout: float | None) -> float:
        if deadline is None:
            return REREAD
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"The group {self.id} has not ended within {timeout:g} seconds; it goes on.")
        return min(left, REREAD)

    def _parents(self) -> tuple[str, ...]:
        return () if self.parent is None else (self.parent.id, *self.parent._parents())

    def _follow(self) -> None:
        """Raise the error of the oldest parent that has failed, if any has."""
        if self.parent is not None:
            self.parent._follow()
            self.parent._raise_failure()

    def _raise_failure(self) -> None:
        view = self.app.store.group(self.id)
        if view is None or not view.failed + view.cancelled:
            return
        for page in _pages(self.app, self.id):
            for member in page:
                _, state, value = _outcome(member, self.convert)
                if state in _REVERSED:
                    raise value

    def _values(self, propagate: bool, callback: Callable[[str, Any], Any] | None = None) -> list[Any]:
        values: list[Any] = []
        for page in _pages(self.app, self.id):
            for member in page:
                _, state, value = _outcome(member, self.convert)
                if propagate and state in _REVERSED:
                    raise value
                if callback is None:
                    values.append(value)
                elif member.state in TERMINAL:
                    callback(member.id, value)
        return values

    # -- acting ---------------------------------------------------------------------------------------------------
    def cancel(self, terminate: bool = False) -> int:
        """Cancel what has not started, in one step; with `terminate` also what runs. Returns how many ended now."""
        return self.app.store.group_revoke(self.id, terminate=terminate)

    def revoke(self, connection: Any = None, terminate: bool = False, signal: Any = None, **_: Any) -> None:
        """`cancel`, by Celery's name."""
        self.cancel(terminate)

    def retry_failed(self) -> int:
        """Run the failed members again and wait for them anew. Returns how many."""
        return self.app.store.group_retry(self.id)

    def save(self, backend: Any = None) -> None:
        """Celery's: every group can be restored until it expires, so there is nothing to save."""

    def forget(self) -> None:
        """Remove the ended group with its members' results; while it has not ended nothing happens."""
        self.app.store.forget([self.id])

    delete = forget

    def as_tuple(self) -> tuple[tuple[str, Any], list[Any]]:
        parent = self.parent.as_tuple() if self.parent is not None else None
        return (self.id, parent), [one.as_tuple() for one in self]

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, GroupResult) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<GroupResult: {self.id}>"
