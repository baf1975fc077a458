"""The memory store's verbs of operators: what people do to tasks, groups, queues and limits."""

from __future__ import annotations

from collections.abc import Sequence

from smallage.core.states import TERMINAL
from smallage.stores.base import LimitSpec, LimitView, Order, RevokeVerdict
from smallage.stores.memory.acts import Acts
from smallage.stores.memory.records import Limit


class Operating(Acts):
    """Cancel, run again, forget, pause, limit."""

    def revoke(self, ids: Sequence[str], terminate: bool = False) -> list[RevokeVerdict]:
        with self._act() as (_, now):
            return [self._revoke_one(task_id, terminate, now) for task_id in ids]

    def _revoke_one(self, task_id: str, terminate: bool, now: int) -> RevokeVerdict:
        books = self._books
        record = books.find_record(task_id, now)
        if record is None:
            return self._revoke_absent(task_id, now)
        if record.state in TERMINAL:
            return "ended"
        if record.after is not None:
            return "running"
        if record.state == "running":
            if not terminate:
                record.revoked = True
                return "running"
            books.send(Order(session=record.session or "", kind="cancel", id=record.id, tok=record.tok))
            books.drop_claim(record)
            books.end(record, "cancelled", "terminated", None, now)
            return "cancelled"
        books.unplace(record)
        books.end(record, "cancelled", "revoked", None, now)
        return "cancelled"

    def _revoke_absent(self, task_id: str, now: int) -> RevokeVerdict:
        """Revoke what has no record: a row that nobody has claimed yet, or a task that is still to come."""
        books = self._books
        rowed = books.rowed(task_id, now)
        if rowed is None:
            books.revoke_ahead(task_id, now)
            return "unknown"
        if rowed[1] in rowed[0].ends:
            return "ended"
        books.end(books.member_record(*rowed), "cancelled", "revoked", None, now)
        books.skip_ended(rowed[0])
        return "cancelled"

    def group_revoke(self, group: str, terminate: bool = False) -> int:
        with self._act() as (books, now):
            found = books.find_group(group, now)
            if found is None or found.ended_us:
                return 0
            found.revoked = True
            n = books.cancel_rows(found, now)
            for record in list(books.members(found)):
                if record.state not in TERMINAL and (record.state != "running" or terminate):
                    n += self._revoke_one(record.id, terminate, now) == "cancelled"
            books.touch(found)
            books.finish_if_ended(found, now)
            return n

    def group_retry(self, group: str) -> int:
        with self._act() as (books, now):
            found = books.find_group(group, now)
            if found is None:
                return 0
            found.revoked = False
            return sum(books.revive(r) for r in list(books.members(found)) if r.state == "dead")

    def requeue(self, ids: Sequence[str]) -> list[bool]:
        with self._act() as (books, now):
            records = [books.find_record(task_id, now) for task_id in ids]
            return [r is not None and r.state in TERMINAL and books.revive(r) for r in records]

    def forget(self, ids: Sequence[str]) -> int:
        with self._act() as (_, now):
            return sum(self._forget_one(task_id, now) for task_id in ids)

    def _forget_one(self, task_id: str, now: int) -> bool:
        books = self._books
        books.ahead.pop(task_id, None)
        group = books.find_group(task_id, now)
        if group is not None and group.ended_us:
            books.remove_group(task_id)
            return True
        record = books.find_record(task_id, now)
        if record is not None and record.state in TERMINAL and record.group is None:
            return books.remove(task_id)
        return False

    def pause(self, queue: str) -> None:
        with self._act() as (books, _):
            books.paused.add(queue)

    def resume(self, queue: str) -> None:
        with self._act() as (books, _):
            books.paused.discard(queue)
            books.bells.ring(queue, 64)

    def purge(self, queue: str) -> int:
        with self._act() as (books, now):
            n, waiting = 0, ("ready", "scheduled")
            while found := [
                r for r in books.records.values() if r.queue == queue and r.state in waiting and r.after is None
            ]:
                n += len(found)  # an end may release a body into this queue: then once more
                for record in found:
                    books.unplace(record)
                    books.end(record, "cancelled", "revoked", None, now)
                    if record.group not in books.groups:
                        books.remove(record.id)
            for group in list(books.groups.values()):
                if group.template is not None and group.template.envelope.queue == queue:
                    n += books.cancel_rows(group, now)
                    books.finish_if_ended(group, now)
            books.counters["purged"] += n
            return n

    def unpark(self, name: str | None = None) -> int:
        with self._act() as (books, _):
            names = list(books.parked) if name is None else [name]
            return sum(books.unpark(each) for each in names)

    # -- limits -----------------------------------------------------------------------------------------------------
    def limit(self, key: str, spec: LimitSpec | None, default: bool = False) -> None:
        with self._act() as (books, now):
            limit = books.limits.setdefault(key, Limit(key))
            if default:
                limit.default = spec
            else:
                limit.override = spec
            limit.cut(now)
            if limit.forgotten:
                limit.tat = 0
            if limit.lines:
                books.due_keys[key] = limit.instant if limit.spec else now
                books.ring_held_back(limit)
            elif limit.forgotten:
                del books.limits[key]

    def limits(self, keys: Sequence[str] | None = None) -> dict[str, LimitView]:
        with self._act() as (books, _):
            names = sorted(books.limits) if keys is None else [key for key in keys if key in books.limits]
            return {key: books.limits[key].view() for key in names if not books.limits[key].forgotten}
