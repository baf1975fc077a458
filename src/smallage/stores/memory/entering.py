"""How messages become records of the memory store, fill seats, and how records go."""

from __future__ import annotations

from typing import Literal, TypeAlias

from smallage.core.message import DAY_US, FOLLOW_ANY, End, Envelope, Message, digest, member_of
from smallage.stores.base import AHEAD_US, ANSWER_US
from smallage.stores.memory.ending import Ending
from smallage.stores.memory.records import Group, Record, envelope_times, new_record

Verdict: TypeAlias = Literal["ok", "dup", "conflict"]


class Entering(Ending):
    """In and out of the books."""

    def verdict(self, message: Message, now: int, repeats: bool = True) -> Verdict:
        """What comes of a message now: ok writes a record or fills a seat. `repeats`: by a verb that a client repeats
        after a lost reply, so that a message equal to what made the seat is that one again."""
        record = self.find_record(message.id, now)
        if record is None:
            return "conflict" if self.rowed(message.id, now) else "ok"
        if record.like:
            return "conflict"
        same = record.digest == digest(message)
        if record.seat and not message.waits and not (repeats and same):
            return "ok"
        if same:
            return "dup"
        if self.makes_room(record) or (not message.waits and self.may_come_back(record)):
            return "ok"
        return "dup" if message.waits else "conflict"

    def makes_room(self, record: Record) -> bool:
        """True for a task that never ran because an earlier one failed: whoever repeats that one may bring it anew."""
        return record.group is None and self._never_came(record)

    def may_come_back(self, record: Record) -> bool:
        """True for a member of a group that never ran because an earlier step failed: it is a seat again when that one
        is repeated."""
        return record.group is not None and record.body_of is None and self._never_came(record)

    def _never_came(self, record: Record) -> bool:
        if record.state != "dead" or record.like:
            return False
        return record.reason == "upstream" or (record.reason == "expired" and record.payload is None)

    def accept(
        self, message: Message, now: int, *, member: tuple[Group, int] | None = None, body_of: Group | None = None
    ) -> None:
        """Write or fill what has the verdict ok."""
        record = self.find_record(message.id, now)
        if record is not None and self.may_come_back(record):
            self.count_again(record)
            self.start_anew(record)
            record.state, record.seat = "waiting", True
        if record is not None and record.seat:
            self.fill(record, message, now, body_of)
            return
        group, index = (member[0].id, member[1]) if member else (None, None)
        record = self.records[message.id] = new_record(message, now, group, index)
        if body_of is not None:
            self._await_group(record, body_of)
        if self.is_revoked_ahead(message.id, now) or (member is not None and member[0].revoked):
            self.end(record, "cancelled", "revoked", None, now)
        else:
            self.place(record)

    def place(self, record: Record) -> None:
        """Put a new record into the order that its state asks for."""
        if record.state == "ready":
            self.enqueue(record.id, record.queue, record.priority)
        elif record.state == "scheduled":
            assert record.due_us is not None
            self.delay(record.id, record.due_us, record.queue)

    def _await_group(self, record: Record, group: Group) -> None:
        record.state, record.seat, record.body_of = "waiting", False, group.id
        record.due_us = record.expires_us = None

    def fill(self, record: Record, message: Message, now: int, body_of: Group | None = None) -> None:
        """A message comes for a seat. In one that was cancelled nobody sits down, but what follows is worked out."""
        envelope = message.envelope
        record.seat, record.digest = False, digest(message)
        if record.state == "cancelled":
            if envelope.follow >= FOLLOW_ANY:
                self.follow_up(record, envelope.name, envelope.queue, envelope.priority, message.payload, None, now)
            if body_of is not None:
                body_of.body_ended_us = now
            return
        record.payload, record.envelope = message.payload, envelope
        record.queue, record.priority, record.pushed_us = envelope.queue, envelope.priority, now
        record.releases += record.failures + record.crashes + record.lost
        record.failures = record.crashes = record.lost = 0
        if body_of is not None:
            self._await_group(record, body_of)
            return
        due, record.expires_us = envelope_times(envelope, now)
        self.to_scheduled(record, due or now, now)

    def give_end(self, end: End, now: int) -> None:
        """End what waits because of how another task ended, or note the end of what was never there."""
        record = self.find_record(end.id, now)
        if record is None:
            if member_of(end.id):
                return
            envelope = Envelope(name=end.name, queue=end.queue, keep_us=end.keep_us)
            record = self.records[end.id] = Record(
                id=end.id, envelope=envelope, payload=None, digest=b"", state="waiting", queue=end.queue, priority=0,
                pushed_us=now,
            )  # fmt: skip
        if record.state == "waiting":
            record.seat = False
            self.end(record, end.state, end.reason, end.result, now, follow=False)

    # -- out --------------------------------------------------------------------------------------------------------
    def remove(self, task_id: str) -> bool:
        return self.records.pop(task_id, None) is not None

    def remove_group(self, group_id: str) -> int:
        """Remove a group, if it is there, and its members' records; returns how many records."""
        group = self.groups.get(group_id)
        gone = list(self.members(group)) if group else []
        for record in gone:
            self.remove(record.id)
        self.groups.pop(group_id, None)
        return len(gone)

    def prune(self, now: int) -> None:
        """Remove what has outlived its retention."""
        for record in [r for r in self.records.values() if r.gone(now)]:
            self.remove(record.id)
            self.counters["pruned"] += 1
        for group in [g for g in self.groups.values() if g.gone(now)]:
            self.counters["pruned"] += self.remove_group(group.id)
        while self.tombstones and self.tombstones[0] not in self.records:
            self.tombstones.popleft()
        self.ahead = type(self.ahead)((i, at) for i, at in self.ahead.items() if at + AHEAD_US > now)
        self.answers = {ticket: (at, by) for ticket, (at, by) in self.answers.items() if at + ANSWER_US > now}
        self.removed_schedules = {n: old for n, old in self.removed_schedules.items() if old[2] + DAY_US > now}
