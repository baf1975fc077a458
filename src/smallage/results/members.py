"""The members of a group, and its body, as its handle shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from smallage.core.message import member_id
from smallage.result import AsyncResult
from smallage.results.outcomes import MemberOutcome, outcome_of, pages_of
from smallage.results.sets import look

if TYPE_CHECKING:
    from smallage.groups import GroupResult

R = TypeVar("R")


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
        if found:
            return self._result.handle(found[0].id)
        if 0 <= index < self._result.expected:
            return self._result.handle(member_id(self._result.id, index))
        raise IndexError(f"The group has no member {place}.")

    def __iter__(self) -> Iterator[AsyncResult[R]]:
        place = 0
        for page in pages_of(self._result.app, self._result.id):
            for member in page:
                yield self._result.handle(member.id)
            place += len(page)
        for index in range(place, self._result.expected):
            yield self._result.handle(member_id(self._result.id, index))

    def __call__(self) -> Iterator[MemberOutcome]:
        """(index, state, value or exception) of every member, in pages of 1,000."""
        result = self._result
        for page in pages_of(result.app, result.id):
            for member in page:
                yield outcome_of(member, result.convert)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Members):
            return self._result.id == other._result.id
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self) -> str:
        return f"<the members of {self._result.id}>"


class Known(list[Any]):
    """The handles of a group's members, for who made them; called, their outcomes in order."""

    def __init__(self, result: GroupResult[Any], handles: Iterable[Any]) -> None:
        super().__init__(handles)
        self._result = result

    def __call__(self) -> Iterator[MemberOutcome]:
        if self._result._stored() is not None:
            yield from Members(self._result)()
            return
        look(self._result.app, self)
        for index, one in enumerate(self):
            state, value, _ = one._read()
            yield MemberOutcome(index, state, value)


class Body(AsyncResult[Any]):
    """The result of a group's body; called, it has something called when the group's members have ended."""

    group: GroupResult[Any]

    def __call__(self, callback: Callable[[Any], Any], on_error: Callable[[BaseException], Any] | None = None) -> Any:
        return self.group._call_later(callback, on_error)
