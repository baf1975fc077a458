"""What operators and callers do to tasks from outside: revoke, retry, requeue, forget, pause, purge, unpark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smallage.stores.base import AHEAD_MAX, Order, RevokeVerdict
from smallage.stores.sqlite.ledger import RESULT_INSERT, Act
from smallage.stores.sqlite.lines import STEP, TASK_DELETE
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import CANCELLED, DONE, PLAIN, RUNNING, Group, Task
from smallage.stores.sqlite.transaction import GROUP_COLUMNS, TASK_COLUMNS

TASK_MARK_REVOKED = query("task_mark_revoked")
OPEN_MEMBERS = f"{TASK_COLUMNS} {query('tasks_of_group_open')}"
DEAD_MEMBERS = f"{TASK_COLUMNS} {query('tasks_of_group_dead')}"
LINKED_READY = f"{TASK_COLUMNS} {query('tasks_linked_ready')}"
LINKED_SCHEDULED = f"{TASK_COLUMNS} {query('tasks_linked_scheduled')}"
PARKED_ALL = f"{TASK_COLUMNS} {query('tasks_parked_all')}"
PURGE_READY, PURGE_SCHEDULED = query("purge_ready"), query("purge_scheduled")
LAST_ROW = query("last_row")
GROUPS_OF_QUEUE = f"{GROUP_COLUMNS} {query('groups_of_queue')}"
QUEUE_PAUSE = query("queue_pause")
AHEAD_PUT, AHEAD_AGAIN = query("ahead_put"), query("ahead_again")
AHEAD_FORGET, AHEAD_OLDEST = query("ahead_forget"), query("ahead_oldest")
MAX_BELLS: Final = 64


def revoke(act: Act, ids: Sequence[str], terminate: bool) -> list[RevokeVerdict]:
    """See `Store.revoke`."""
    return [_revoke_one(act, task_id, terminate) for task_id in ids]


def _revoke_one(act: Act, task_id: str, terminate: bool) -> RevokeVerdict:
    task = act.find_task(task_id)
    if task is not None:
        return _revoke_task(act, task, terminate)
    rowed = act.rowed(task_id)
    if rowed is None:
        _remember(act, task_id)
        return "unknown"
    group, index = rowed
    if act.member_end(group, index) is not None:
        return "ended"
    revoke_row(act, group, index)
    return "cancelled"


def _remember(act: Act, task_id: str) -> None:
    """The task may be on its way still."""
    act.run(AHEAD_AGAIN, (task_id, act.now))
    if act.changes():
        return
    act.run(AHEAD_PUT, (task_id, act.now))
    act.book.ahead += 1
    if act.book.ahead > AHEAD_MAX:
        act.run(AHEAD_OLDEST, (act.book.ahead - AHEAD_MAX,))
        act.book.ahead -= act.changes()


def _revoke_task(act: Act, task: Task, terminate: bool) -> RevokeVerdict:
    if task.state >= DONE:
        return "ended"
    if task.after is not None:
        return "running"
    if task.state == RUNNING:
        if not terminate:
            act.execute(TASK_MARK_REVOKED, (task.seq,))
            return "running"
        act.send(task.session, Order(session="", kind="cancel", id=task.id, tok=task.tok))
        act.drop_claim(task)
        act.end(task, CANCELLED, "terminated", None)
        return "cancelled"
    act.end(task, CANCELLED, "revoked", None)
    return "cancelled"


def revoke_row(act: Act, group: Group, index: int) -> None:
    """End one unclaimed like member: a hole before which or after which the cursor stands."""
    act.execute(RESULT_INSERT, (group.num, index, CANCELLED, 1, 0, 0, act.now, "revoked", None))
    act.changed.append(f"{group.id}.{index}")
    group.holes += 1
    if not group.unclaimed:
        act.unplace_cursor(group)
    act.count(group, CANCELLED)


def group_revoke(act: Act, group_id: str, terminate: bool) -> int:
    """See `Store.group_revoke`."""
    group = act.find_group(group_id)
    if group is None or group.ended_us:
        return 0
    group.revoked = 1
    n = act.cancel_rows(group)
    for task in act.tasks(OPEN_MEMBERS, group.id):
        if task.state != RUNNING or terminate:
            n += _revoke_task(act, task, terminate) == "cancelled"
    act.touch(group)
    act.finish_if_ended(group)
    return n


def group_retry(act: Act, group_id: str) -> int:
    """See `Store.group_retry`."""
    group = act.find_group(group_id)
    if group is None:
        return 0
    group.revoked = 0
    group.touched = True
    return sum(act.revive(task) for task in act.tasks(DEAD_MEMBERS, group.id))


def requeue(act: Act, ids: Sequence[str]) -> list[bool]:
    """See `Store.requeue`."""
    answers: list[bool] = []
    for task_id in ids:
        task = act.find_task(task_id)
        answers.append(task is not None and task.state >= DONE and act.revive(task))
    return answers


def forget(act: Act, ids: Sequence[str]) -> int:
    """See `Store.forget`."""
    return sum(_forget_one(act, task_id) for task_id in ids)


def _forget_one(act: Act, task_id: str) -> bool:
    if act.book.ahead:
        act.run(AHEAD_FORGET, (task_id,))
        act.book.ahead -= act.changes()
    group = act.find_group(task_id)
    if group is not None and group.ended_us:
        act.remove_group(group)
        return True
    task = act.find_task(task_id)
    if task is not None and task.state >= DONE and task.grp is None:
        act.execute(TASK_DELETE, (task.seq,))
        return True
    return False


def pause(act: Act, queue: str, paused: bool) -> None:
    """See `Store.pause` and `Store.resume`."""
    act.execute(QUEUE_PAUSE, (queue, int(paused)))
    if not paused:
        act.ring(queue, MAX_BELLS)


def purge_plain(act: Act, queue: str, last: int | None) -> tuple[int, int]:
    """Remove a bounded number of the tasks of a queue that no group must hear of, up to the row `last` (None: the
    newest one there is). Returns how many and that row."""
    act.rates.let_go_queue(queue)  # each time: claims between two steps hold back more
    if last is None:
        last = act.row(LAST_ROW)[0] or 0
    removed = [row[0] for each in (PURGE_READY, PURGE_SCHEDULED) for row in act.run(each, (queue, last, STEP))]
    act.changed += removed
    act.book.purged += len(removed)
    act.forget_due()
    return len(removed), last


def purge_linked(act: Act, queue: str) -> int:
    """Cancel the members of groups in a queue, bodies, and what something follows; returns how many."""
    n = 0
    act.rates.let_go_queue(queue)
    while linked := act.tasks(LINKED_READY, queue) + act.tasks(
        LINKED_SCHEDULED, queue
    ):  # an end may release a body into this queue
        for task in linked:
            act.end(task, CANCELLED, "revoked", None)
            if task.kind == PLAIN and act.any_group(task.grp) is None:
                act.run(TASK_DELETE, (task.seq,))
        n += len(linked)
    act.save()
    for row in act.execute(GROUPS_OF_QUEUE, (queue,)).fetchall():
        group = act.any_group(Group(row).id)
        assert group is not None
        n += act.cancel_rows(group)
        act.finish_if_ended(group)
    act.book.purged += n
    return n


def unpark(act: Act, name: str | None) -> int:
    """See `Store.unpark`."""
    if name is not None:
        return act.unpark(name)
    n = 0
    while parked := act.tasks(PARKED_ALL, 1):
        n += act.unpark(parked[0].name)
    return n
