"""The memory store's books: records, groups, and the orders that they stand in. Nothing here takes the lock.

An *entry* in ready or scheduled order is a task id, or a star and a group id for the group's unclaimed like members.
An entry stands in one place: a ready line, scheduled order, a parked line or a held back line.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator

from smallage.core.message import member_id, member_of
from smallage.core.states import State
from smallage.stores.base import AHEAD_MAX, AHEAD_US, Order, ScheduleView, TaskView
from smallage.stores.memory.notice import Bells, MemoryMailbox, MemoryWatch
from smallage.stores.memory.records import Group, Limit, Line, Record, Session


class Books:
    """What there is and where it stands. `now` is always handed in."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.groups: dict[str, Group] = {}
        self.sessions: dict[str, Session] = {}
        self.ready: dict[tuple[str, int], Line] = {}
        self.due: dict[str, int] = {}
        self._due_heap: list[tuple[int, str]] = []
        self.parked: dict[str, Line] = {}
        self.limits: dict[str, Limit] = {}
        self.held_back: dict[str, tuple[Limit, str, int]] = {}
        self.due_keys: dict[str, int] = {}
        self.ahead: OrderedDict[str, int] = OrderedDict()
        self.paused: set[str] = set()
        self.tombstones: deque[str] = deque()
        self.schedules: dict[str, ScheduleView] = {}
        self.removed_schedules: dict[str, tuple[bytes, int, int]] = {}
        self.answers: dict[str, tuple[int, dict[str, bytes]]] = {}
        self.counters = {"stale": 0, "pruned": 0, "purged": 0}
        self.bells = Bells()
        self.watches: set[MemoryWatch] = set()
        self.orders: dict[str, deque[Order]] = {}
        self.mailboxes: dict[str, MemoryMailbox] = {}
        self.last_tok = 0
        self.changed: set[str] = set()

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
            return record.payload, record.row
        group = self.groups[record.group]
        assert group.template is not None
        assert record.index is not None
        return group.template.payload, group.rows[record.index]

    def members(self, group: Group) -> Iterator[Record]:
        """The members that have records, in order of place."""
        for index in range(max(group.total, len(group.rows))):
            record = self.records.get(group.member(index))
            if record is not None and record.group == group.id:
                yield record

    # -- ready and scheduled order ----------------------------------------------------------------------------------
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
        """The earliest instant in scheduled order, that of a key with held back entries included."""
        instants = list(self.due_keys.values())
        entry_due = self._next_entry_due()
        return min(instants if entry_due is None else [*instants, entry_due], default=None)

    def _next_entry_due(self) -> int | None:
        while self._due_heap and self.due.get(self._due_heap[0][1]) != self._due_heap[0][0]:
            heapq.heappop(self._due_heap)
        return self._due_heap[0][0] if self._due_heap else None

    def promote(self, now: int) -> int:
        """Make what is due ready, in order of due time; returns how many entries."""
        n = 0
        while (due := self._next_entry_due()) is not None and due <= now:
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
        for key in [key for key, instant in self.due_keys.items() if instant <= now]:
            del self.due_keys[key]
            self.limits[key].rung_us = now
            self.ring_held_back(self.limits[key])
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
            self.unready(record.id, record.queue, record.priority)
        elif record.state == "scheduled":
            self.due.pop(record.id, None)
        elif record.state == "parked":
            self.unlist_parked(record)

    def unready(self, entry: str, queue: str, priority: int) -> None:
        """Take an entry out of its ready line, or out of the held back line it stands in instead."""
        self.ready.get((queue, priority), OrderedDict()).pop(entry, None)
        self.let_go(entry)

    def unlist_parked(self, record: Record) -> None:
        line = self.parked[record.envelope.name]
        del line[record.id]
        if not line:
            del self.parked[record.envelope.name]

    # -- the cursors of like members --------------------------------------------------------------------------------
    def skip_ended(self, group: Group) -> None:
        """Move the cursor to the next unclaimed row; behind the last one, the group stands in no order."""
        while group.cursor < len(group.rows) and group.cursor in group.ends:
            group.cursor += 1
        if group.cursor >= len(group.rows):
            self.unplace_cursor(group)

    def unplace_cursor(self, group: Group) -> None:
        self.due.pop(group.entry, None)
        if group.template is not None:
            self.unready(group.entry, group.template.envelope.queue, group.template.envelope.priority)

    def place_cursor(self, group: Group, added: int, now: int) -> None:
        """Put a group with unclaimed rows into ready or scheduled order, once."""
        assert group.template is not None
        envelope = group.template.envelope
        if group.entry in self.due or group.entry in self.held_back:
            return
        if group.due_us is not None and group.due_us > now:
            self.delay(group.entry, group.due_us, envelope.queue)
            return
        group.due_us = None
        if group.entry in self.ready.get((envelope.queue, envelope.priority), ()):
            self.bells.ring(envelope.queue, added)
        else:
            self.enqueue(group.entry, envelope.queue, envelope.priority, strokes=added)

    # -- what limits hold back --------------------------------------------------------------------------------------
    def hold_back(self, entry: str, limit: Limit, queue: str, priority: int) -> None:
        """Move the first entry of a ready line to the end of its key's line."""
        del self.ready[queue, priority][entry]
        limit.lines.setdefault((queue, priority), OrderedDict())[entry] = None
        self.held_back[entry] = (limit, queue, priority)
        self.due_keys[limit.key] = limit.instant

    def let_go(self, entry: str) -> None:
        """Take an entry out of its held back line, if it stands in one."""
        if entry not in self.held_back:
            return
        limit, queue, priority = self.held_back.pop(entry)
        del limit.lines[queue, priority][entry]
        if not limit.lines[queue, priority]:
            del limit.lines[queue, priority]
        if not limit.lines:
            self.due_keys.pop(limit.key, None)
            if limit.forgotten:
                del self.limits[limit.key]

    def ring_held_back(self, limit: Limit) -> None:
        """One token, one stroke; without a limit all that it held back may run."""
        for (queue, _), line in limit.lines.items():
            self.bells.ring(queue, 1 if limit.spec else len(line))

    # -- ids revoked before their tasks came ------------------------------------------------------------------------
    def revoke_ahead(self, task_id: str, now: int) -> None:
        self.ahead[task_id] = now
        self.ahead.move_to_end(task_id)
        while len(self.ahead) > AHEAD_MAX:
            self.ahead.popitem(last=False)

    def is_revoked_ahead(self, task_id: str, now: int) -> bool:
        at = self.ahead.get(task_id)
        return at is not None and at + AHEAD_US > now

    # -- telling ----------------------------------------------------------------------------------------------------
    def touch(self, group: Group) -> None:
        group.seq += 1
        self.changed.add(group.id)

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
        if self.changed:
            for watch in list(self.watches):
                watch.tell(self.changed)
            self.changed = set()
