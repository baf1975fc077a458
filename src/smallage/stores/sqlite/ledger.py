"""The steps that verbs are made of: how claims and tasks end, what follows, what a group counts."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from smallage.core.message import FOLLOW_ANY, Envelope, Message, digest, member_id
from smallage.stores.base import AHEAD_US, Order, after_id, reclaim_delay_us
from smallage.stores.sqlite.lines import STEP, TASK_DELETE, Lines
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import (
    CANCELLED,
    CHUNK,
    CURSOR,
    DEAD,
    DONE,
    LIKE,
    PARKED,
    READY,
    RUNNING,
    SCHEDULED,
    WAITING,
    Group,
    Task,
    decode_envelope,
    decode_rows,
    prune_at,
)
from smallage.stores.sqlite.transaction import TASK_BY_ID, TASK_COLUMNS, rows_by_ids

PARK_DELAY_US: Final = 1_000_000
"""Wait of a parked task whose name a live session knows."""
DIED: Final = frozenset({"crashed", "lost", "unknown-task"})
"""Ends that the store makes and that `FOLLOW_DEAD` asks for."""

TASKS_HELD = f"{TASK_COLUMNS} {query('tasks_held')}"
TASKS_PARKED = f"{TASK_COLUMNS} {query('tasks_parked')}"
TASK_END = query("task_end")
TASK_REVIVE = query("task_revive")
TASK_REWAIT = query("task_rewait")
TASK_ENVELOPE = query("task_envelope")
TASK_BYTES = query("task_bytes")
TASK_VACATE = query("task_vacate")
PARKED_LAST = query("parked_last")
GROUP_DELETE = query("group_delete")
GROUP_TASKS_DELETE = query("group_tasks_delete")
RESULT_INSERT = query("result_insert")
RESULTS_CANCEL = query("results_cancel")
TEMPLATE_PAYLOAD = query("template_payload")
ROWS_LOAD = query("rows_load")
FOLLOW_OVER, FOLLOW_INSERT = query("follow_over"), query("follow_insert")
AHEAD_ANY = query("ahead_any")
AHEAD_ONE, AHEAD_MANY = query("ahead_one"), query("ahead_many")
NAME_KNOWN = query("name_known")
SESSION_NAME_OF = query("session_name_of")
INBOX_PUT = query("inbox_put")

encode_after = msgspec.msgpack.Encoder().encode


class Act(Lines):
    """A verb's transaction with the steps it takes."""

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
            self.place(task, PARKED, last + 1, None)

    def unpark(self, name: str) -> int:
        n = 0
        while parked := self.tasks(TASKS_PARKED, name, STEP):
            for task in parked:
                self.to_ready(task)
            n += len(parked)
        return n

    def vacate(self, task: Task) -> None:
        """It waits, like a seat, for the one who takes its place."""
        task.state = WAITING
        for_group = self.any_group(task.body_of)
        if for_group is not None:  # as far as it is concerned, its body has ended
            for_group.body_ended_us = self.now
            for_group.touched = True
        self.run(TASK_VACATE, (task.seq, task.settled, task.failures, task.crashes, task.lost, task.releases))

    # -- ends -------------------------------------------------------------------------------------------------------
    def end(self, task: Task, state: int, reason: str | None, result: bytes | None, given: bool = False) -> None:
        """The terminal edge: result, reason, group, watchers and what follows in one step. `given`: a worker says so,
        and knows what follows."""
        if task.follow and not given and self._is_followed(task, reason):
            payload, row = self.payload_of(task)
            if payload is not None:
                self.follow_up(task.id, task.gen, reason, task.queue, task.priority, task.name, payload, row)
        self.unplace(task)
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
        body = self._body_of(group)
        if body is not None and body.state == WAITING:
            envelope = decode_envelope(self.row(TASK_ENVELOPE, body.seq)[0])
            due, body.expires_us = envelope_times(envelope, self.now)
            self.to_scheduled(body, due or self.now)

    def _body_of(self, group: Group) -> Task | None:
        """The group's body, unless it was replaced or something else has its id."""
        row = self.row(TASK_BY_ID, group.body) if group.body is not None else None
        body = Task(row) if row is not None else None
        return body if body is not None and body.body_of == group.id else None

    # -- what follows an end ----------------------------------------------------------------------------------------
    def _is_followed(self, task: Task, reason: str | None) -> bool:
        return reason in DIED or (task.follow >= FOLLOW_ANY and task.kind != LIKE)

    def follow_up(
        self, task_id: str, gen: int, reason: str | None, queue: str, priority: int, name: str, payload: bytes,
        row: bytes | None,
    ) -> None:  # fmt: skip
        """Have a worker see to what follows an end that the store itself made."""
        follower = after_id(task_id, gen)
        self.run(FOLLOW_OVER, (follower,))
        known = digest(Message(follower, payload, Envelope(name=name, queue=queue, priority=priority)))
        self.run(
            FOLLOW_INSERT,
            (
                follower, queue, priority, self.front(queue, priority), name, self.now, known, payload,
                encode_after((task_id, reason, row)),
            ),
        )  # fmt: skip
        self.ring(queue)

    def payload_of(self, task: Task) -> tuple[bytes | None, bytes | None]:
        """(payload, row) of a record; a like member's are its group's template and its row. (None, None): damaged."""
        if task.kept:
            return self.row(TASK_BYTES, task.seq)[0], None
        group = self.any_group(task.grp)
        if task.kind != LIKE or group is None or not group.like:
            return None, None
        try:
            return self.template_and_row(group, task.idx)
        except (TypeError, IndexError):
            return None, None

    def template_and_row(self, group: Group, index: int) -> tuple[bytes, bytes]:
        """What a like member without bytes of its own runs with. Raises TypeError or IndexError if it is not there."""
        rows = decode_rows(self.row(ROWS_LOAD, group.num, index // CHUNK)[0])
        return self.row(TEMPLATE_PAYLOAD, group.num)[0], rows[index % CHUNK]

    def revoked_ahead(self, ids: list[str]) -> None:
        """End those of the tasks, which are new, that were revoked before they came."""
        if self.any_ahead is None:
            self.any_ahead = self.row(AHEAD_ANY)[0]
        if self.any_ahead:
            found = [row[0] for row in rows_by_ids(self.execute, AHEAD_MANY, AHEAD_ONE, ids) if self._is_ahead(row[1])]
            for task in self.tasks_by_ids(found).values():
                if task.state < DONE and task.state != RUNNING:
                    self.end(task, CANCELLED, "revoked", None)

    def _is_ahead(self, at_us: int) -> bool:
        return at_us > self.now - AHEAD_US

    # -- groups' unclaimed rows ---------------------------------------------------------------------------------------
    def cancel_rows(self, group: Group) -> int:
        """End the unclaimed like members as cancelled."""
        n = group.unclaimed
        if not group.like:
            return 0
        if n:
            self.run(RESULTS_CANCEL, (group.num, group.cursor, group.rows, self.now))
            if n <= STEP:
                self.changed += [member_id(group.id, index) for index in range(group.cursor, group.rows)]
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
        self.count_again(task)
        if (target := self.any_group(task.body_of)) is not None:
            target.body_ended_us = 0
            target.touched = True
        self.run(TASK_REVIVE, (task.seq, READY, self.back(task.queue, task.priority)))
        self.ring(task.queue)
        return True

    def count_again(self, task: Task) -> None:
        """Its group counts an ended member as open once more."""
        group = self.any_group(task.grp)
        if group is None:
            return
        if task.state == DEAD:
            group.failed -= 1
        else:
            group.cancelled -= 1
        group.ended_us = 0
        self.touch(group)
        self._rewait_body(group)

    def _rewait_body(self, group: Group) -> None:
        """A body that is dead, or has not started, waits for the group again; one that ran or runs stays."""
        body = self._body_of(group)
        if body is None:
            return
        if body.state == DEAD:
            group.body_ended_us = 0
            self.count_again(body)
        elif body.state not in (READY, SCHEDULED):
            return
        self.unplace(body)
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
