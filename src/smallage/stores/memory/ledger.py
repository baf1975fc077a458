"""The memory store's books: records, groups, order, and the steps that verbs are made of. Nothing here takes the lock.

A ready or scheduled *entry* is a task id, or a star and a group id for the group's unclaimed like members.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator

from smallage.core.message import Claim, Message, digest, member_id, member_of
from smallage.core.states import TERMINAL, State
from smallage.stores.base import TOMBSTONE_MAX, Order, TaskView, reclaim_delay_us
from smallage.stores.memory.notice import Bells, MemoryMailbox, MemoryWatch
from smallage.stores.memory.records import Group, MemberEnd, Record, Session, envelope_times, new_record

PARK_DELAY_US = 1_000_000
"""Wait of a parked task whose name a live session knows."""


class Ledger:
    """State and its transitions. `now` is always handed in."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.groups: dict[str, Group] = {}
        self.sessions: dict[str, Session] = {}
        self.ready: dict[tuple[str, int], OrderedDict[str, None]] = {}
        self.due: dict[str, int] = {}
        self._due_heap: list[tuple[int, str]] = []
        self.parked: dict[str, OrderedDict[str, None]] = {}
        self.paused: set[str] = set()
        self.tombstones: deque[str] = deque()
        self.counters = {"stale": 0, "pruned": 0, "purged": 0}
        self.bells = Bells()
        self.watches: set[MemoryWatch] = set()
        self.orders: dict[str, deque[Order]] = {}
        self.mailboxes: dict[str, MemoryMailbox] = {}
        self.last_tok = 0
        self._changed: set[str] = set()

    # -- looking up -------------------------------------------------------------------------------------------------
    def find_record(self, task_id: str, now: int) -> Record | None:
        """The record, unless its life is over."""
        record = self.records.get(task_id)
        if record is None or record.gone(now):
            return None
        if record.group is not None and record.group in self.groups and self.groups[record.group].gone(now):
            return None
        return record

    def find_group(self, group_id: str, now: int) -> Group | None:
        group = self.groups.get(group_id)
        return None if group is None or group.gone(now) else group

    def rowed(self, task_id: str, now: int) -> tuple[Group, int] | None:
        """(group, index) if the id is a like member that was added to a living group."""
        place = member_of(task_id)
        group = self.find_group(place[0], now) if place else None
        return (group, place[1]) if place and group and place[1] < len(group.rows) else None

    def view(self, task_id: str, now: int) -> TaskView | None:
        record = self.find_record(task_id, now)
        if record is not None:
            return record.view()
        rowed = self.rowed(task_id, now)
        return self.row_view(*rowed) if rowed else None

    def row_view(self, group: Group, index: int) -> TaskView:
        """A like member without a record: ended, or not yet claimed."""
        assert group.template is not None
        envelope, end = group.template.envelope, group.ends.get(index)
        waiting: State = "scheduled" if group.entry in self.due else "ready"
        return TaskView(
            id=member_id(group.id, index), state=end.state if end else waiting, name=envelope.name,
            queue=envelope.queue, priority=envelope.priority, group=group.id, index=index,
            gen=end.gen if end else 1, tok=end.settled if end else 0, settled=end.settled if end else 0,
            reason=end.reason if end else None, result=end.result if end else None,
            ran=end is not None and end.state == "done", due_us=None if end else self.due.get(group.entry),
            expires_us=group.expires_us, pushed_us=group.opened_us,
            started_us=end.started_us if end else 0, ended_us=end.ended_us if end else 0,
        )  # fmt: skip

    def payload_of(self, record: Record) -> tuple[bytes | None, bytes | None]:
        """(payload, row) of a record; a like member's are its group's template and its row."""
        if record.payload is not None or not record.like or record.group is None:
            return record.payload, None
        group = self.groups[record.group]
        assert group.template is not None
        assert record.index is not None
        return group.template.payload, group.rows[record.index]

    # -- order ------------------------------------------------------------------------------------------------------
    def enqueue(self, entry: str, queue: str, priority: int, front: bool = False, strokes: int = 1) -> None:
        """Put an entry into ready order and ring the queue's bell."""
        line = self.ready.setdefault((queue, priority), OrderedDict())
        line[entry] = None
        line.move_to_end(entry, last=not front)
        self.bells.ring(queue, strokes)

    def delay(self, entry: str, due: int, queue: str) -> None:
        """Put an entry into scheduled order; ring if nothing else is due sooner."""
        nearest = self.next_due()
        self.due[entry] = due
        heapq.heappush(self._due_heap, (due, entry))
        if nearest is None or due < nearest:
            self.bells.ring(queue)

    def next_due(self) -> int | None:
        while self._due_heap and self.due.get(self._due_heap[0][1]) != self._due_heap[0][0]:
            heapq.heappop(self._due_heap)
        return self._due_heap[0][0] if self._due_heap else None

    def promote(self, now: int) -> int:
        """Make what is due ready, in order of due time; returns how many entries."""
        n = 0
        while (due := self.next_due()) is not None and due <= now:
            entry = heapq.heappop(self._due_heap)[1]
            del self.due[entry]
            n += 1
            if entry.startswith("*"):
                group = self.groups[entry[1:]]
                assert group.template is not None
                group.due_us = None
                self.enqueue(
                    entry, group.template.envelope.queue, group.template.envelope.priority,
                    strokes=len(group.rows) - group.cursor,
                )  # fmt: skip
            else:
                self.to_ready(self.records[entry])
        return n

    def to_ready(self, record: Record, front: bool = False) -> None:
        record.state, record.due_us = "ready", None
        self.enqueue(record.id, record.queue, record.priority, front)

    def to_scheduled(self, record: Record, due: int, now: int) -> None:
        """Wait until `due`; ready at once (at the back) if that is not in the future."""
        if due <= now:
            self.to_ready(record)
        else:
            record.state, record.due_us = "scheduled", due
            self.delay(record.id, due, record.queue)

    def unplace(self, record: Record) -> None:
        """Take a waiting record out of whatever order it stands in."""
        if record.state == "ready":
            self.ready.get((record.queue, record.priority), OrderedDict()).pop(record.id, None)
        elif record.state == "scheduled":
            self.due.pop(record.id, None)
        elif record.state == "parked":
            self.unlist_parked(record)

    def unlist_parked(self, record: Record) -> None:
        line = self.parked[record.envelope.name]
        del line[record.id]
        if not line:
            del self.parked[record.envelope.name]

    # -- claiming ---------------------------------------------------------------------------------------------------
    def take(self, queue: str, session_id: str, nonce: str, now: int, n: int) -> list[Claim]:
        """Claim up to `n` entries of a queue, by priority and order."""
        claims: list[Claim] = []
        for priority in range(10):
            line = self.ready.get((queue, priority))
            while line and len(claims) < n:
                record = self.next_record(next(iter(line)), line, now)
                if record is not None and not self.ended_at_claim(record, now):
                    claims.append(self.hand_out(record, session_id, nonce, now))
        if not any(self.ready.get((queue, priority)) for priority in range(10)):
            self.bells.silence(queue)
        return claims

    def next_record(self, entry: str, line: OrderedDict[str, None], now: int) -> Record | None:
        """The record behind the first entry of a line; a group's next unclaimed member gets one made."""
        if not entry.startswith("*"):
            del line[entry]
            return self.records[entry]
        group = self.groups[entry[1:]]
        record = self.member_record(group, group.cursor)
        group.cursor += 1
        self.skip_ended(group)
        return record

    def skip_ended(self, group: Group) -> None:
        """Move the cursor to the next unclaimed row; behind the last one, the group stands in no order."""
        while group.cursor < len(group.rows) and group.cursor in group.ends:
            group.cursor += 1
        if group.cursor >= len(group.rows):
            self.unplace_cursor(group)

    def member_record(self, group: Group, index: int, state: State = "ready") -> Record:
        """Give a like member a record of its own."""
        assert group.template is not None
        envelope = group.template.envelope
        record = Record(
            id=member_id(group.id, index), envelope=envelope, payload=None, digest=group.digest or b"", state=state,
            queue=envelope.queue, priority=envelope.priority, group=group.id, index=index, like=True,
            expires_us=group.expires_us, pushed_us=group.opened_us,
        )  # fmt: skip
        self.records[record.id] = record
        return record

    def ended_at_claim(self, record: Record, now: int) -> bool:
        """End what may not start any more: expired tasks, members of revoked groups."""
        if record.expires_us is not None and record.expires_us <= now:
            self.end(record, "dead", "expired", None, now)
            return True
        return False

    def hand_out(self, record: Record, session_id: str, nonce: str, now: int) -> Claim:
        self.last_tok = max(self.last_tok + 1, now)
        record.state, record.session, record.ran = "running", session_id, True
        record.tok, record.nonce, record.started_us = self.last_tok, nonce, now
        self.sessions[session_id].held[record.id] = None
        if group := self.groups.get(record.group or ""):
            group.running += 1
            self.touch(group)
        return self.claim_of(record)

    def claim_of(self, record: Record) -> Claim:
        payload, row = self.payload_of(record)
        assert payload is not None
        return Claim(
            id=record.id, gen=record.gen, tok=record.tok, nonce=record.nonce, name=record.envelope.name,
            payload=payload, row=row, queue=record.queue, priority=record.priority, failures=record.failures,
            crashes=record.crashes, lost=record.lost, releases=record.releases, group=record.group,
            index=record.index, body_of=record.body_of, pushed_us=record.pushed_us, claimed_us=record.started_us,
            expires_us=record.expires_us, keep_us=record.envelope.keep_us,
        )  # fmt: skip

    # -- leaving the running state ------------------------------------------------------------------------------------
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

    # -- ends -------------------------------------------------------------------------------------------------------
    def end(self, record: Record, state: State, reason: str | None, result: bytes | None, now: int) -> None:
        """The terminal edge: result, reason, group and watchers in one step. The record stands in no order now."""
        record.state, record.reason, record.ended_us = state, reason, now
        record.due_us = record.progress = None
        keeps = record.envelope.keep_us != 0 or state == "dead"
        record.result = result if keeps else None
        if state != "dead":
            record.payload = None
        self._changed.add(record.id)
        if record.body_of in self.groups:
            self.groups[record.body_of].body_ended_us = now
        if group := self.groups.get(record.group or ""):
            self.count(group, record, now)
        elif record.tombstone:
            self.tombstones.append(record.id)
            while len(self.tombstones) > TOMBSTONE_MAX:
                oldest = self.records.get(self.tombstones.popleft())
                if oldest is not None and oldest.tombstone:
                    self.remove(oldest.id)

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

    def touch(self, group: Group) -> None:
        group.seq += 1
        self._changed.add(group.id)

    def finish_if_ended(self, group: Group, now: int) -> None:
        """When the last member has ended, the group ends and its body is released."""
        if not group.sealed or group.ended_us or group.done + group.failed + group.cancelled < group.total:
            return
        group.ended_us = now
        body = self.records.get(group.body or "")
        if body is not None and body.state == "waiting":
            due, body.expires_us = envelope_times(body.envelope, now)
            self.to_scheduled(body, due or now, now)

    def cancel_rows(self, group: Group, now: int) -> int:
        """End the unclaimed like members as cancelled."""
        n = 0
        for index in range(group.cursor, len(group.rows)):
            if index not in group.ends:
                group.ends[index] = MemberEnd("cancelled", reason="revoked", ended_us=now)
                self._changed.add(member_id(group.id, index))
                n += 1
        group.cursor = len(group.rows)
        group.cancelled += n
        self.unplace_cursor(group)
        if n:
            self.touch(group)
        return n

    def unplace_cursor(self, group: Group) -> None:
        self.due.pop(group.entry, None)
        if group.template is not None:
            envelope = group.template.envelope
            self.ready.get((envelope.queue, envelope.priority), OrderedDict()).pop(group.entry, None)

    def place_cursor(self, group: Group, added: int, now: int) -> None:
        """Put a group with unclaimed rows into ready or scheduled order, once."""
        assert group.template is not None
        envelope = group.template.envelope
        if group.entry in self.due:
            return
        if group.due_us is not None and group.due_us > now:
            self.delay(group.entry, group.due_us, envelope.queue)
            return
        group.due_us = None
        if group.entry in self.ready.get((envelope.queue, envelope.priority), ()):
            self.bells.ring(envelope.queue, added)
        else:
            self.enqueue(group.entry, envelope.queue, envelope.priority, strokes=added)

    # -- in and out -------------------------------------------------------------------------------------------------
    def verdict(self, message: Message, now: int) -> str:
        """ok, dup or conflict for pushing this message now."""
        record = self.find_record(message.id, now)
        if record is not None and not record.like:
            return "dup" if record.digest == digest(message) else "conflict"
        return "conflict" if self.rowed(message.id, now) else "ok"

    def insert(self, message: Message, now: int, state: State = "ready") -> Record:
        """Write a new record and place it."""
        self.remove(message.id)
        record = self.records[message.id] = new_record(message, now, state)
        if record.state == "ready":
            self.enqueue(record.id, record.queue, record.priority)
        elif record.state == "scheduled":
            assert record.due_us is not None
            self.delay(record.id, record.due_us, record.queue)
        return record

    def remove(self, task_id: str) -> bool:
        return self.records.pop(task_id, None) is not None

    def revive(self, record: Record) -> bool:
        """Run an ended task again, if its payload is still there. Its group counts it as open once more."""
        if self.payload_of(record)[0] is None:
            return False
        if group := self.groups.get(record.group or ""):
            if record.state == "dead":
                group.failed -= 1
            else:
                group.cancelled -= 1
            group.ended_us = 0
            self.touch(group)
            self.rewait_body(group)
        if record.body_of in self.groups:
            self.groups[record.body_of].body_ended_us = 0
        record.gen += 1
        record.failures = record.crashes = record.lost = record.releases = record.settled = 0
        record.ran = record.revoked = False
        record.reason = record.result = record.expires_us = None
        record.started_us = record.ended_us = 0
        self.to_ready(record)
        return True

    def rewait_body(self, group: Group) -> None:
        """A body that is dead, or has not started, waits for the group again; one that ran or runs stays."""
        body = self.records.get(group.body or "")
        if body is None or body.state not in ("dead", "ready", "scheduled"):
            return
        if body.state == "dead":
            group.body_ended_us = 0
            body.gen += 1
            body.failures = body.crashes = body.lost = body.releases = body.settled = 0
            body.reason = body.result = None
            body.ended_us = 0
        else:
            self.unplace(body)
        body.state, body.due_us, body.expires_us = "waiting", None, None

    def prune(self, now: int) -> None:
        """Remove what has outlived its retention; give up on names nobody knows."""
        for record in [r for r in self.records.values() if r.gone(now)]:
            self.remove(record.id)
            self.counters["pruned"] += 1
        for group in [g for g in self.groups.values() if g.gone(now)]:
            self.counters["pruned"] += self.remove_group(group.id)
        while self.tombstones and self.tombstones[0] not in self.records:
            self.tombstones.popleft()

    def remove_group(self, group_id: str) -> int:
        """Remove a group, if it is there, and its members' records; returns how many records."""
        group = self.groups.get(group_id)
        gone = list(self.members(group)) if group else []
        for record in gone:
            self.remove(record.id)
        self.groups.pop(group_id, None)
        return len(gone)

    def members(self, group: Group) -> Iterator[Record]:
        """The members that have records."""
        for index in range(max(group.total, len(group.rows))):
            record = self.records.get(group.member(index))
            if record is not None and record.group == group.id:
                yield record

    def send(self, order: Order) -> bool:
        session = self.sessions.get(order.session)
        if session is None:
            return False
        inbox = session.info.inbox
        self.orders.setdefault(inbox, deque()).append(order)
        if inbox in self.mailboxes:
            self.mailboxes[inbox].ring()
        return True

    def tell_watches(self) -> None:
        """Tell watchers what the verb changed; called once at its end."""
        if self._changed:
            for watch in list(self.watches):
                watch.tell(self._changed)
            self._changed = set()


__all__ = ["TERMINAL", "Ledger"]
