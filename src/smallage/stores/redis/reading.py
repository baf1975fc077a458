"""Verbs for readers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from smallage.core.message import member_id
from smallage.core.states import State
from smallage.stores.base import MAX_PUSH, GroupView, MemberResult, TaskView
from smallage.stores.redis import receiving
from smallage.stores.redis.keys import decode_id, encode_id
from smallage.stores.redis.partition import Partition

if TYPE_CHECKING:
    from smallage.stores.redis.watching import RedisWatch

_PAGE = 250
_LETTERS = {"r": "ready", "s": "scheduled", "n": "running", "w": "waiting", "p": "parked"}
_TOTALS = ("done", "dead", "cancelled", "stale", "pruned", "purged")


class Reading(Partition):
    """state, watch, group, results, counts, find, payload, audit."""

    def state(self, ids: Sequence[str]) -> list[TaskView | None]:
        """See `Store.state`."""
        views: list[TaskView | None] = []
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            replies = self._link.run("state", *[encode_id(task_id) for task_id in page])
            views += map(receiving.task_view, page, replies)
        return views

    def watch(self) -> RedisWatch:
        """See `Store.watch`."""
        from smallage.stores.redis.watching import RedisWatch  # with threading: for those who wait

        return RedisWatch(self._link)

    def group(self, group: str) -> GroupView | None:
        """See `Store.group`."""
        reply = self._link.run("group", encode_id(group))
        if reply is None:
            return None
        total, done, failed, cancelled, running, retried, seq, opened, ended = map(int, reply[:9])
        sealed, revoked, body = (*reply[9:], None, None, None)[:3]
        return GroupView(
            id=group, total=total, done=done, failed=failed, cancelled=cancelled, running=running,
            sealed=sealed is not None, revoked=revoked is not None, body=decode_id(body) if body else None, seq=seq,
            retried=retried, opened_us=opened, ended_us=ended,
        )  # fmt: skip

    def results(self, group: str, offset: int, n: int) -> list[MemberResult]:
        """See `Store.results`."""
        raw_ids = self._link.run("member_ids", encode_id(group), offset, min(n, MAX_PUSH))
        if raw_ids is None:
            return []
        ids = [decode_id(raw) if raw else member_id(group, offset + i) for i, raw in enumerate(raw_ids)]
        return [receiving.member_result(offset + i, view) for i, view in enumerate(self.state(ids)) if view is not None]

    def counts(self) -> dict[str, dict[str, int]]:
        """See `Store.counts`."""
        totals, by_queue, names = self._link.run("counts", *_TOTALS)
        queues = {number: name.decode() for name, number in zip(names[::2], names[1::2], strict=True)}
        queues[b"0"] = "celery"
        out: dict[str, dict[str, int]] = {"": {name: int(n or 0) for name, n in zip(_TOTALS, totals, strict=True)}}
        for field, n in zip(by_queue[::2], by_queue[1::2], strict=True):
            if int(n):
                number = field[:-1]
                queue = number[1:].decode() if number[:1] == b"=" else queues[number]
                out.setdefault(queue, {})[_LETTERS[field[-1:].decode()]] = int(n)
        return out

    def find(self, state: State, n: int = 100, after: str | None = None) -> list[TaskView]:
        """See `Store.find`. The order is that of the index: by due time, by end, by line."""
        from smallage.stores.redis.indexes import Indexes

        found: list[TaskView] = []
        entries = Indexes(self._link).entries(state, None if after is None else encode_id(after))
        while len(found) < n and (page := list(islice(entries, _PAGE))):
            # An entry may have outlived its record; where a group of that id was opened anew it is nobody's row.
            replies = [reply if reply and reply[0] == b"t" else None for reply in self._link.run("state", *page)]
            views = map(receiving.task_view, map(decode_id, page), replies)
            found += [view for view in views if view is not None and view.state == state]
        return found[:n]

    def payload(self, task_id: str) -> tuple[bytes, bytes | None] | None:
        """See `Store.payload`."""
        reply = self._link.run("payload", encode_id(task_id))
        if reply is None:
            return None
        return reply[0], reply[1] if len(reply) > 1 else None

    def audit(self) -> list[str]:
        """See `Store.audit`."""
        from smallage.stores.redis import auditing  # only tests and `doctor` need it

        return auditing.breaches(self._link)
