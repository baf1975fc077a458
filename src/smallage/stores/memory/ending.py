"""How tasks of the memory store leave the running state, and how they and their groups end."""

from __future__ import annotations

from collections import OrderedDict

from smallage.core.message import FOLLOW_ANY, FOLLOW_DEAD, Envelope, Message, digest, member_id
from smallage.core.states import OPEN, State
from smallage.stores.base import TOMBSTONE_MAX, after_id, reclaim_delay_us
from smallage.stores.memory.books import Books
from smallage.stores.memory.records import Group, MemberEnd, Record, envelope_times

PARK_DELAY_US = 1_000_000
"""Wait of a parked task whose name a live session knows."""
DIED = frozenset({"crashed", "lost", "unknown-task"})
"""Why the store gives up on a task; `FOLLOW_DEAD` asks to hear of these."""


class Ending(Books):
    """The edges out of running, and the terminal edge."""

    # -- leaving the running state ----------------------------------------------------------------------------------
    def drop_claim(self, record: Record) -> None:
        """The task is in nobody's hands any more."""
        if record.session in self.sessions:
            self.sessions[record.session].held.pop(record.id, None)
        record.session, record.nonce = None, ""
        if group := self.groups.get(record.group or ""):
            group.running -= 1
            self.touch(group)

    def goes_back(self, record: Record, now: int) -> bool:
        """False, and the task ends cancelled, if it was revoked while it ran, alone or with its group."""
        record.ran = False
        group = self.groups.get(record.group or "")
        if record.revoked or (group is not None and group.revoked):
            self.end(record, "cancelled", "revoked", None, now)
            return False
        return True

    def charge(self, record: Record, now: int, witnessed: bool, error: bytes | None = None) -> None:
        """Charge a crash or a loss: at once again the first time, then later, then dead."""
        if witnessed:
            record.crashes += 1
        else:
            record.lost += 1
        if not self.goes_back(record, now):
            return
        if record.crashes > record.envelope.max_crashes:
            self.end(record, "dead", "crashed", error, now)
        elif record.lost > record.envelope.max_lost:
            self.end(record, "dead", "lost", error, now)
        elif record.crashes + record.lost == 1:
            self.to_ready(record, front=True)
        else:
            self.to_scheduled(record, now + reclaim_delay_us(record.crashes + record.lost), now)

    def take_back(self, session_id: str, now: int) -> list[str]:
        """End a lost session; all it held is charged a loss."""
        session = self.sessions.pop(session_id)
        held = sorted((self.records[i] for i in session.held), key=lambda record: -record.tok)
        for record in held:
            self.drop_claim(record)
            self.charge(record, now, witnessed=False)
        return [record.id for record in reversed(held)]

    def park(self, record: Record, now: int) -> None:
        name = record.envelope.name
        if any(name in session.info.names for session in self.sessions.values()):
            self.to_scheduled(record, now + PARK_DELAY_US, now)
        else:
            record.state = "parked"
            self.parked.setdefault(name, OrderedDict())[record.id] = None

    def unpark(self, name: str) -> int:
        ids = list(self.parked.get(name, ()))
        for task_id in ids:
            record = self.records[task_id]
            self.unlist_parked(record)
            self.to_ready(record)
        return len(ids)

    def vacate(self, record: Record, now: int) -> None:
        """The task gave its place to others: it waits as a seat, and for the group whose body it was it has ended."""
        record.state, record.seat = "waiting", True
        record.payload = record.row = record.progress = record.due_us = record.expires_us = None
        if record.body_of in self.groups:
            self.groups[record.body_of].body_ended_us = now
        record.body_of = None
        group = self.groups.get(record.group or "")
        if record.like and group is not None and record.index is not None:
            record.like = False
            group.unlike[record.index] = record.id

    # -- ends -------------------------------------------------------------------------------------------------------
    def end(
        self, record: Record, state: State, reason: str | None, result: bytes | None, now: int, follow: bool = True
    ) -> None:
        """The terminal edge: result, reason, group, watchers and follow-up in one step. The record stands in no order
        now. `follow` False: whoever ended it has worked out what follows."""
        payload, row = self.payload_of(record)
        record.state, record.reason, record.ended_us = state, reason, now
        record.due_us = record.progress = None
        keeps = record.envelope.keep_us != 0 or state == "dead"
        record.result = result if keeps else None
        if state != "dead":
            record.payload = record.row = None
        self.changed.add(record.id)
        if record.body_of in self.groups:
            self.groups[record.body_of].body_ended_us = now
        if group := self.groups.get(record.group or ""):
            self.count(group, record, now)
        elif record.tombstone:
            self._bury(record)
        wanted = min(record.envelope.follow, FOLLOW_DEAD) if record.like else record.envelope.follow
        if follow and payload is not None and wanted >= (FOLLOW_DEAD if reason in DIED else FOLLOW_ANY):
            self.follow_up(record, record.envelope.name, record.queue, record.priority, payload, row, now)

    def follow_up(
        self, ended: Record, name: str, queue: str, priority: int, payload: bytes, row: bytes | None, now: int
    ) -> None:
        """A new task in front, for a worker to work out what follows the end of `ended`."""
        task_id = after_id(ended.id, ended.gen)
        old = self.find_record(task_id, now)
        if old is not None and old.state in OPEN:
            return
        envelope = Envelope(name=name, queue=queue, priority=priority, keep_us=0)
        self.records[task_id] = record = Record(
            id=task_id, envelope=envelope, payload=payload, digest=digest(Message(task_id, payload, envelope)),
            state="ready", queue=queue, priority=priority, row=row, after=ended.id, after_reason=ended.reason,
            pushed_us=now,
        )  # fmt: skip
        self.to_ready(record, front=True)

    def _bury(self, record: Record) -> None:
        self.tombstones.append(record.id)
        while len(self.tombstones) > TOMBSTONE_MAX:
            oldest = self.records.get(self.tombstones.popleft())
            if oldest is not None and oldest.tombstone:
                del self.records[oldest.id]

    def count(self, group: Group, record: Record, now: int) -> None:
        """Count an ended member; a like one that did not fail gives up its record."""
        if record.state == "done":
            group.done += 1
        elif record.state == "dead":
            group.failed += 1
        else:
            group.cancelled += 1
        if record.like and record.state != "dead":
            assert record.index is not None
            group.ends[record.index] = MemberEnd(
                record.state, record.result, record.reason, record.gen, record.settled, record.started_us, now
            )
            self.records.pop(record.id, None)
        self.touch(group)
        self.finish_if_ended(group, now)

    def body_of(self, group: Group) -> Record | None:
        """The group's body, unless something else has taken its id or it was replaced."""
        body = self.records.get(group.body or "")
        return body if body is not None and body.body_of == group.id else None

    def finish_if_ended(self, group: Group, now: int) -> None:
        """When the last member has ended, the group ends and its body is released."""
        if not group.sealed or group.ended_us or group.done + group.failed + group.cancelled < group.total:
            return
        group.ended_us = now
        body = self.body_of(group)
        if body is not None and body.state == "waiting":
            due, body.expires_us = envelope_times(body.envelope, now)
            self.to_scheduled(body, due or now, now)

    def cancel_rows(self, group: Group, now: int) -> int:
        """End the unclaimed like members as cancelled."""
        n = 0
        for index in range(group.cursor, len(group.rows)):
            if index not in group.ends:
                group.ends[index] = MemberEnd("cancelled", reason="revoked", ended_us=now)
                self.changed.add(member_id(group.id, index))
                n += 1
        group.cursor = len(group.rows)
        group.cancelled += n
        self.unplace_cursor(group)
        if n:
            self.touch(group)
        return n

    # -- running again ----------------------------------------------------------------------------------------------
    def revive(self, record: Record) -> bool:
        """Run an ended task again, if its payload is still there. Its group counts it as open once more."""
        if self.payload_of(record)[0] is None:
            return False
        self.count_again(record)
        if record.body_of in self.groups:
            self.groups[record.body_of].body_ended_us = 0
        self.start_anew(record)
        record.ran = False
        record.expires_us = None
        record.started_us = 0
        self.to_ready(record)
        return True

    def start_anew(self, record: Record) -> None:
        """A new generation, with counters at zero and without an end."""
        record.gen += 1
        record.failures = record.crashes = record.lost = record.releases = record.settled = 0
        record.reason = record.result = None
        record.revoked = False
        record.ended_us = 0

    def count_again(self, record: Record) -> None:
        """Its group counts an ended member as open once more."""
        group = self.groups.get(record.group or "")
        if group is None:
            return
        if record.state == "dead":
            group.failed -= 1
        else:
            group.cancelled -= 1
        group.ended_us = 0
        self.touch(group)
        self.rewait_body(group)

    def rewait_body(self, group: Group) -> None:
        """A body that is dead, or has not started, waits for the group again; one that ran or runs stays."""
        body = self.body_of(group)
        if body is None or body.state not in ("dead", "ready", "scheduled"):
            return
        if body.state == "dead":
            group.body_ended_us = 0
            self.count_again(body)
            self.start_anew(body)
        else:
            self.unplace(body)
        body.state, body.due_us, body.expires_us = "waiting", None, None
