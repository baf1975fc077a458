"""What is read of groups: counters, and how the members ended, in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

import msgspec

from smallage.core.errors import ChordError, TaskError
from smallage.results.reading import PROPAGATE_STATES, read
from smallage.stores.base import GroupView, MemberResult, TaskView

if TYPE_CHECKING:
    from smallage.app import Smallage

PAGE: Final = 1_000


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


def snapshot_of(view: GroupView) -> Snapshot:
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


def outcome_of(member: MemberResult, convert: Callable[[Any], Any] | None = None) -> MemberOutcome:
    view = TaskView(id=member.id, state=member.state, result=member.result, reason=member.reason)
    state, value, _ = read(view, convert)
    return MemberOutcome(member.index, state, value)


def pages_of(app: Smallage, name: str, size: int = PAGE) -> Iterator[list[MemberResult]]:
    """The members of a group, some at a time."""
    offset = 0
    while page := app.store.results(name, offset, size):
        yield page
        offset += len(page)


class Counters:
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


class Outcomes(Counters):
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
        for page in pages_of(self.app, self.id, min(size, PAGE)):
            yield [outcome_of(member) for member in page]

    def values(self) -> Iterator[Any]:
        """The values of the members that ended well, in order."""
        return (value for _, state, value in self if state not in PROPAGATE_STATES)

    def failures(self) -> Iterator[MemberOutcome]:
        """The members that failed, were cancelled or expired; `value` is the exception."""
        return (one for one in self if one.state in PROPAGATE_STATES)

    def __repr__(self) -> str:
        return f"<Outcomes {self.id}>"


def chord_values(outcomes: Outcomes) -> list[Any]:
    """The values of all members in order. Raises ChordError naming the first that did not end well."""
    values: list[Any] = []
    for page in pages_of(outcomes.app, outcomes.id):
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
        for page in pages_of(self._outcomes.app, self._outcomes.id):
            for member in page:
                yield outcome_of(member).value

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
        return outcome_of(self._page[index - self._first]).value


def lazy_values(outcomes: Outcomes) -> LazyValues:
    """The values of all members in order, to be read in pages. Raises ChordError naming the first that did not end
    well."""
    view = outcomes.view()
    if view.failed + view.cancelled:
        for page in pages_of(outcomes.app, outcomes.id):
            _checked(page)
    return LazyValues(outcomes)


def _checked(page: list[MemberResult]) -> list[Any]:
    """The values of a page. Raises ChordError naming the first member that did not end well."""
    values: list[Any] = []
    for member in page:
        _, state, value = outcome_of(member)
        if state in PROPAGATE_STATES:
            error = ChordError(f"Dependency {member.id} raised {value!r}")
            error.__cause__ = value if isinstance(value, BaseException) else None
            raise error
        values.append(value)
    return values
