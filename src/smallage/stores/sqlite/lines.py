"""What stands where: ready and scheduled order, groups' places in it, what comes due."""

from __future__ import annotations

import apsw

from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rates import Rates
from smallage.stores.sqlite.rows import CURSOR, KEY, READY, SCHEDULED, Group, Task
from smallage.stores.sqlite.transaction import TASK_COLUMNS, Transaction

STEP = 1_000
"""Rows that one statement handles."""

TASKS_DUE = f"{TASK_COLUMNS} {query('tasks_due')}"
CURSOR_OF_GROUP = f"{TASK_COLUMNS} {query('cursor_of_group')}"
TASK_PLACE = query("task_place")
TASK_PROMOTE = query("task_promote")
TASK_DELETE = query("task_delete")
NEXT_DUE = query("next_due")
LINE_LAST = query("line_last")
LINE_FIRST = query("line_first")
TEMPLATE_DUE_OVER = query("template_due_over")
CURSOR_INSERT = query("cursor_insert")


class Lines(Transaction):
    """A verb's transaction with the order of the queues."""

    def __init__(self, connection: apsw.Connection, now: int, boot: int) -> None:
        super().__init__(connection, now, boot)
        self._last: dict[tuple[str, int], int] = {}
        self._next_due: int | None = None
        self._next_due_known = False
        self._rates: Rates | None = None
        self.any_ahead: int | None = None
        """Whether any id was revoked without a task; None if that is not known."""

    @property
    def rates(self) -> Rates:
        if self._rates is None:
            self._rates = Rates(self)
        return self._rates

    def save(self) -> None:
        if self._rates is not None:
            self._rates.save()
        super().save()

    # -- order ------------------------------------------------------------------------------------------------------
    def back(self, queue: str, priority: int, n: int = 1) -> int:
        """The first of `n` places behind all ready entries of a queue and priority."""
        key = (queue, priority)
        last = self._last.get(key)
        if last is None:
            last, self.any_ahead = self.row(LINE_LAST, queue, priority)
            last = last or 0
        self._last[key] = last + n
        return int(last + 1)

    def front(self, queue: str, priority: int) -> int:
        """A place before all ready entries of a queue and priority."""
        return int(self.row(LINE_FIRST, queue, priority)[0] or 0) - 1

    def ring(self, queue: str, strokes: int = 1) -> None:
        """After the commit, let so many listeners of the queue know."""
        self.rings[queue] = self.rings.get(queue, 0) + strokes

    def next_due(self) -> int | None:
        if not self._next_due_known:
            self._next_due = self.row(NEXT_DUE)[0]
            self._next_due_known = True
        return self._next_due

    def promote(self) -> int:
        """Make what is due ready, in order of due time; returns how many entries."""
        promoted = 0
        while (due := self.next_due()) is not None and due <= self.now:
            entries = self.tasks(TASKS_DUE, self.now, STEP)
            for entry in entries:
                if entry.kind == KEY:
                    self.rates.come_due(entry.name, entry.seq)
                else:
                    self._promote_one(entry)
                    promoted += 1
            self._next_due_known = False
        return promoted

    def _promote_one(self, entry: Task) -> None:
        self.run(TASK_PROMOTE, (entry.seq, self.back(entry.queue, entry.priority)))
        if entry.kind == CURSOR and (group := self.any_group(entry.grp)) is not None:
            self._due_is_over(group)
            self.ring(entry.queue, group.unclaimed)
        else:
            self.ring(entry.queue)

    def forget_due(self) -> None:
        """What was noted as scheduled may not be."""
        self._next_due_known = False

    def note_due(self, due: int, queue: str) -> None:
        """Something was scheduled; ring if nothing else is due sooner."""
        nearest = self.next_due()
        if nearest is None or due < nearest:
            self.ring(queue)
            self._next_due = due

    def to_ready(self, task: Task, front: bool = False) -> None:
        end = self.front if front else self.back
        self.place(task, READY, end(task.queue, task.priority), None)
        self.ring(task.queue)

    def to_scheduled(self, task: Task, due: int) -> None:
        """Wait until `due`; ready at once (at the back) if that is not in the future."""
        if due <= self.now:
            self.to_ready(task)
            return
        self.note_due(due, task.queue)
        self.place(task, SCHEDULED, 0, due)

    def place(self, task: Task, state: int, pos: int, due: int | None) -> None:
        """Write an open task, in nobody's hands, where it stands from now on."""
        self.unplace(task)
        task.state, task.due_us, task.session, task.nonce, task.hold = state, due, None, None, None
        self.run(
            TASK_PLACE,
            (
                task.seq, state, task.queue, task.priority, pos, due, task.expires_us, task.settled, task.failures,
                task.crashes, task.lost, task.releases, task.ran,
            ),
        )  # fmt: skip

    def unplace(self, task: Task) -> None:
        """A task is leaving its place in whatever order; its row is written by the caller."""
        if task.state == SCHEDULED:
            self._next_due_known = False
        if task.hold is not None:
            self.rates.let_go(task.hold)

    # -- groups' places ---------------------------------------------------------------------------------------------
    def cursor_of(self, group: Group) -> Task | None:
        row = self.row(CURSOR_OF_GROUP, group.id)
        return Task(row) if row is not None else None

    def place_cursor(self, group: Group) -> None:
        """Put a group with unclaimed rows into ready or scheduled order, once."""
        cursor = self.cursor_of(group)
        if cursor is not None:
            if cursor.state == READY and cursor.hold is None:
                self.ring(group.t_queue, group.unclaimed)
            return
        due = group.t_due_us
        if due is not None and due > self.now:
            state, pos = SCHEDULED, 0
            self.note_due(due, group.t_queue)
        else:
            state, pos, due = READY, self.back(group.t_queue, group.t_priority), None
            self._due_is_over(group)
            self.ring(group.t_queue, group.unclaimed)
        self.run(
            CURSOR_INSERT,
            (
                state, group.t_queue, group.t_priority, pos, group.t_name, group.id, due, group.t_expires_us,
                group.opened_us, group.t_keep_us, group.t_max_crashes, group.t_max_lost, group.t_digest,
            ),
        )  # fmt: skip

    def _due_is_over(self, group: Group) -> None:
        if group.t_due_us is not None:
            group.t_due_us = None
            self.run(TEMPLATE_DUE_OVER, (group.num,))

    def unplace_cursor(self, group: Group) -> None:
        """No unclaimed row is left: take the group out of the order."""
        group.cursor, group.holes = group.rows, 0
        group.touched = True
        cursor = self.cursor_of(group)
        if cursor is not None:
            self.unplace(cursor)
            self.run(TASK_DELETE, (cursor.seq,))
