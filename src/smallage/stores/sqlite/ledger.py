"""The steps that verbs are made of: what stands where, how claims and tasks end, what a group counts."""

from __future__ import annotations

from typing import Any, Final

import apsw

from smallage.core.message import member_id
from smallage.stores.base import Order, reclaim_delay_us
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import (
    CANCELLED,
    CURSOR,
    DEAD,
    DONE,
    LIKE,
    PARKED,
    READY,
    SCHEDULED,
    WAITING,
    Group,
    Task,
    decode_envelope,
    prune_at,
)
from smallage.stores.sqlite.transaction import TASK_BY_ID, TASK_COLUMNS, Transaction

PARK_DELAY_US: Final = 1_000_000
"""Wait of a parked task whose name a live session knows."""
STEP: Final = 1_000
"""Rows that one statement handles."""

TASKS_DUE = f"{TASK_COLUMNS} {query('tasks_due')}"
TASKS_HELD = f"{TASK_COLUMNS} {query('tasks_held')}"
TASKS_PARKED = f"{TASK_COLUMNS} {query('tasks_parked')}"
CURSOR_OF_GROUP = f"{TASK_COLUMNS} {query('cursor_of_group')}"
TASK_END = query("task_end")
TASK_PLACE = query("task_place")
TASK_PROMOTE = query("task_promote")
TASK_REVIVE = query("task_revive")
TASK_REWAIT = query("task_rewait")
TASK_ENVELOPE = query("task_envelope")
TASK_DELETE = query("task_delete")
NEXT_DUE = query("next_due")
LINE_LAST = query("line_last")
LINE_FIRST = query("line_first")
PARKED_LAST = query("parked_last")
GROUP_DELETE = query("group_delete")
GROUP_TASKS_DELETE = query("group_tasks_delete")
RESULT_INSERT = query("result_insert")
TEMPLATE_DUE_OVER = query("template_due_over")
RESULTS_CANCEL = query("results_cancel")
CURSOR_INSERT = query("cursor_insert")
NAME_KNOWN = query("name_known")
SESSION_NAME_OF = query("session_name_of")
INBOX_PUT = query("inbox_put")


class Act(Transaction):
    """A verb's transaction with the steps it takes."""

    def __init__(self, connection: apsw.Connection, now: int, boot: int) -> None:
        super().__init__(connection, now, boot)
        self._last: dict[tuple[str, int], int] = {}
        self._next_due: int | None = None
        self._next_due_known = False

    # -- order ------------------------------------------------------------------------------------------------------
    def back(self, queue: str, priority: int, n: int = 1) -> int:
        """The first of `n` places behind all ready entries of a queue and priority."""
        key = (queue, priority)
        last = self._last.get(key)
        if last is None:
            last = self.row(LINE_LAST, queue, priority)[0] or 0
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
            self.run_each(TASK_PROMOTE, [(e.seq, self.back(e.queue, e.priority)) for e in entries])
            for entry in entries:
                if entry.kind == CURSOR and (group := self.any_group(entry.grp)) is not None:
                    self._due_is_over(group)
                    self.ring(entry.queue, group.unclaimed)
                else:
                    self.ring(entry.queue)
            promoted += len(entries)
            self._next_due_known = False
        return promoted

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
        self._place(task, READY, end(task.queue, task.priority), None)
        self.ring(task.queue)

    def to_scheduled(self, task: Task, due: int) -> None:
        """Wait until `due`; ready at once (at the back) if that is not in the future."""
        if due <= self.now:
            self.to_ready(task)
            return
        self.note_due(due, task.queue)
        self._place(task, SCHEDULED, 0, due)

    def _place(self, task: Task, state: int, pos: int, due: int | None) -> None:
        if task.state == SCHEDULED:
            self._next_due_known = False
        task.state, task.due_us, task.session, task.nonce = state, due, None, None
        self.run(
            TASK_PLACE,
            (
                task.seq, state, task.queue, task.priority, pos, due, task.expires_us, task.settled, task.failures,
                task.crashes, task.lost, task.releases, task.ran,
            ),
        )  # fmt: skip

    # -- leaving the running state ----------------------------------------------------------------------------------
    def drop_claim(self, task: Task) -> None:
        """The task is in nobody's hands any more; what follows writes its row."""
        group = self.any_group(task.grp)
        if group is not None:
            group.running -= 1
            self.touch(group)

    def goes_back(self, task: Task) -> bool:
        """False, and the task ends cancelled, if it was revoked while it ran, alone or with its group."""
        task.ran = 0
        group = self.any_group(task.grp)
        if task.revoked or (group is not None and group.revoked):
            self.end(task, CANCELLED, "revoked", None)
            return False
        return True

    def charge(self, task: Task, witnessed: bool, error: bytes | None = None) -> None:
        """Charge a crash or a loss: at once again the first time, then later, then dead."""
        if witnessed:
            task.crashes += 1
        else:
            task.lost += 1
        if not self.goes_back(task):
            return
        if task.crashes > task.max_crashes:
            self.end(task, DEAD, "crashed", error)
        elif task.lost > task.max_lost:
            self.end(task, DEAD, "lost", error)
        elif task.crashes + task.lost == 1:
            self.to_ready(task, front=True)
        else:
            self.to_scheduled(task, self.now + reclaim_delay_us(task.crashes + task.lost))

    def release(self, task: Task) -> None:
        """To the front, unspent."""
        task.releases += 1
        if self.goes_back(task):
            self.to_ready(task, front=True)

    def park(self, task: Task) -> None:
        if self.row(NAME_KNOWN, task.name) is not None:
            self.to_scheduled(task, self.now + PARK_DELAY_US)
        else:
            last = self.row(PARKED_LAST, task.name)[0] or 0
            self._place(task, PARKED, last + 1, None)

    def unpark(self, name: str) -> int:
        n = 0
        while parked := self.tasks(TASKS_PARKED, name, STEP):
            for task in parked:
                self.to_ready(task)
            n += len(parked)
        return n

    # -- ends -------------------------------------------------------------------------------------------------------
    def end(self, task: Task, state: int, reason: str | None, result: bytes | None) -> None:
        """The terminal edge: result, reason, group and watchers in one step."""
        if task.state == SCHEDULED:
            self._next_due_known = False
        task.state, task.ended_us = state, self.now
        if task.keep_us == 0 and state != DEAD:
            result = None
        self.changed.append(task.id)
        if (target := self.any_group(task.body_of)) is not None:
            target.body_ended_us = self.now
            target.touched = True
        group = self.any_group(task.grp)
        if task.kind == LIKE and state != DEAD and group is not None:
            self.run(TASK_DELETE, (task.seq,))
            self.run(
                RESULT_INSERT,
                (
                    group.num, task.idx, state, task.gen, task.settled, task.started_us, self.now, reason, result,
                ),
            )  # fmt: skip
        else:
            self._end_row(task, state, reason, result)
        if group is not None:
            self.count(group, state)

    def _end_row(self, task: Task, state: int, reason: str | None, result: bytes | None) -> None:
        ignored = state != DEAD and task.keep_us == 0 and task.grp is None
        task.prune_us = prune_at(state, task.keep_us, self.now, task.grp is not None)
        self.run(
            TASK_END,
            (
                task.seq, state, reason, result, self.now, task.prune_us, ignored, task.settled, task.failures,
                task.crashes, task.lost, task.releases, task.ran, task.revoked,
            ),
        )  # fmt: skip

    def count(self, group: Group, state: int, n: int = 1) -> None:
        """Count ended members."""
        if state == DONE:
            group.done += n
        elif state == DEAD:
            group.failed += n
        else:
            group.cancelled += n
        self.touch(group)
        self.finish_if_ended(group)

    def touch(self, group: Group) -> None:
        group.changes += 1
        if not group.touched or not self.changed or self.changed[-1] != group.id:
            self.changed.append(group.id)
        group.touched = True

    def finish_if_ended(self, group: Group) -> None:
        """When the last member has ended, the group ends and its body is released."""
        if not group.sealed or group.ended_us or group.done + group.failed + group.cancelled < group.total:
            return
        group.ended_us = self.now
        group.touched = True
        if group.body is None or (row := self.row(TASK_BY_ID, group.body)) is None:
            return
        body = Task(row)
        if body.state == WAITING:
            envelope = decode_envelope(self.row(TASK_ENVELOPE, body.seq)[0])
            due, body.expires_us = envelope_times(envelope, self.now)
            self.to_scheduled(body, due or self.now)

    # -- groups' unclaimed rows ---------------------------------------------------------------------------------------
    def cursor_of(self, group: Group) -> Task | None:
        row = self.row(CURSOR_OF_GROUP, group.id)
        return Task(row) if row is not None else None

    def place_cursor(self, group: Group) -> None:
        """Put a group with unclaimed rows into ready or scheduled order, once."""
        cursor = self.cursor_of(group)
        if cursor is not None:
            if cursor.state == READY:
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
        group.cursor, group.holes = group.total, 0
        group.touched = True
        cursor = self.cursor_of(group)
        if cursor is not None:
            self.run(TASK_DELETE, (cursor.seq,))
            if cursor.state == SCHEDULED:
                self._next_due_known = False

    def cancel_rows(self, group: Group) -> int:
        """End the unclaimed like members as cancelled."""
        n = group.unclaimed
        if not group.like:
            return 0
        if n:
            self.run(RESULTS_CANCEL, (group.num, group.cursor, group.total, self.now))
            if n <= STEP:
                self.changed += [member_id(group.id, index) for index in range(group.cursor, group.total)]
            else:
                self.all_changed = True
            group.cancelled += n
            self.touch(group)
        self.unplace_cursor(group)
        return int(n)

    # -- again, out, orders -------------------------------------------------------------------------------------------
    def revive(self, task: Task) -> bool:
        """Run an ended task again, if its payload is still there. Its group counts it as open once more."""
        if not task.kept and task.kind != LIKE:
            return False
        group = self.any_group(task.grp)
        if group is not None:
            if task.state == DEAD:
                group.failed -= 1
            else:
                group.cancelled -= 1
            group.ended_us = 0
            self.touch(group)
            self._rewait_body(group)
        if (target := self.any_group(task.body_of)) is not None:
            target.body_ended_us = 0
            target.touched = True
        self.run(TASK_REVIVE, (task.seq, READY, self.back(task.queue, task.priority)))
        self.ring(task.queue)
        return True

    def _rewait_body(self, group: Group) -> None:
        """A body that is dead, or has not started, waits for the group again; one that ran or runs stays."""
        row = self.row(TASK_BY_ID, group.body) if group.body is not None else None
        if row is None:
            return
        body = Task(row)
        if body.state == DEAD:
            group.body_ended_us = 0
        elif body.state not in (READY, SCHEDULED):
            return
        if body.state == SCHEDULED:
            self._next_due_known = False
        self.run(TASK_REWAIT, (body.seq, int(body.state == DEAD)))

    def remove_group(self, group: Group) -> int:
        """Remove a group and its members; returns how many of them had tasks."""
        kinds = [row[0] for row in self.execute(GROUP_TASKS_DELETE, (group.id,))]
        self.run(GROUP_DELETE, (group.num,))
        self._groups[group.id] = None
        return sum(kind != CURSOR for kind in kinds)

    def send(self, sid: int | None, order: Order) -> bool:
        """Put an order into the inbox of a session."""
        row = self.row(SESSION_NAME_OF, sid)
        if row is None:
            return False
        self.run(INBOX_PUT, (row[1], row[0], order.kind, order.id, order.tok, order.text))
        self.boxes.add(row[1])
        return True


def envelope_times(envelope: Any, now: int) -> tuple[int | None, int | None]:
    """(due, expiry) as instants of the store's clock for something pushed or released at `now`."""
    due = envelope.due_us
    if due is None and envelope.delay_us > 0:
        due = now + envelope.delay_us
    expires = envelope.expires_us or None
    if envelope.expires_in_us and (expires is None or now + envelope.expires_in_us < expires):
        expires = now + envelope.expires_in_us
    return due, expires
