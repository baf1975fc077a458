"""The memory store's readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smallage.core.states import TERMINAL, State
from smallage.stores.base import MAX_PUSH, GroupView, MemberResult, TaskView
from smallage.stores.memory.acts import Acts
from smallage.stores.memory.audit import breaches
from smallage.stores.memory.notice import MemoryWatch
from smallage.stores.memory.records import Group


class Reading(Acts):
    """What changes nothing."""

    def state(self, ids: Sequence[str]) -> list[TaskView | None]:
        with self._act() as (books, now):
            return [books.view(task_id, now) for task_id in ids]

    def watch(self) -> MemoryWatch:
        return MemoryWatch(self._books.watches)

    def group(self, group: str) -> GroupView | None:
        with self._act() as (books, now):
            found = books.find_group(group, now)
            return found.view() if found else None

    def results(self, group: str, offset: int, n: int) -> list[MemberResult]:
        with self._act() as (books, now):
            found = books.find_group(group, now)
            if found is None:
                return []
            places = range(offset, min(offset + min(n, MAX_PUSH), found.total))
            views = [(index, books.view(found.member(index), now)) for index in places]
            return [MemberResult(i, v.id, v.state, v.result, v.reason) for i, v in views if v is not None]

    def counts(self) -> dict[str, dict[str, int]]:
        with self._act() as (books, _):
            out: dict[str, dict[str, int]] = {"": {"done": 0, "dead": 0, "cancelled": 0, **books.counters}}
            for record in books.records.values():
                if record.state in TERMINAL:
                    out[""][record.state] += 0 if record.tombstone else 1
                else:
                    _add(out, record.queue, record.state, 1)
            for group in books.groups.values():
                if group.template is not None:
                    waiting = "scheduled" if group.entry in books.due else "ready"
                    queue = group.template.envelope.queue
                    _add(out, queue, waiting, len(list(_unclaimed(group))))
                    for end in group.ends.values():
                        out[""][end.state] += 1
            return out

    def find(self, state: State, n: int = 100, after: str | None = None) -> list[TaskView]:
        with self._act() as (books, now):
            ids = sorted(r.id for r in books.records.values() if r.state == state and books.find_record(r.id, now))
            return [books.records[i].view() for i in ids if after is None or i > after][:n]

    def payload(self, task_id: str) -> tuple[bytes, bytes | None] | None:
        with self._act() as (books, now):
            record = books.find_record(task_id, now)
            if record is not None:
                payload, row = books.payload_of(record)
                return (payload, row) if payload is not None else None
            rowed = books.rowed(task_id, now)
            if rowed is None or rowed[1] in rowed[0].ends or rowed[0].template is None:
                return None
            return rowed[0].template.payload, rowed[0].rows[rowed[1]]

    def audit(self) -> list[str]:
        with self._act() as (books, now):
            return breaches(books, now)


def _unclaimed(group: Group) -> Iterator[int]:
    for index in range(group.cursor, len(group.rows)):
        if index not in group.ends:
            yield index


def _add(out: dict[str, dict[str, int]], queue: str, state: str, n: int) -> None:
    if n:
        of = out.setdefault(queue, {})
        of[state] = of.get(state, 0) + n
