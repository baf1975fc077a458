"""announce, tick, leave and orders: who lives, who is lost, what comes due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from smallage.core.message import DAY_US
from smallage.stores.base import (
    AHEAD_US,
    ANSWER_US,
    LEASE_US,
    PARKED_US,
    TOMBSTONE_MAX,
    Order,
    SessionInfo,
    Ticked,
)
from smallage.stores.sqlite.ledger import TASKS_HELD, Act
from smallage.stores.sqlite.lines import STEP, TASK_DELETE
from smallage.stores.sqlite.liveness import boot_id
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import CANCELLED, DEAD, DONE, Group
from smallage.stores.sqlite.transaction import GROUP_COLUMNS, TASK_COLUMNS

SESSION_BY_NAME = query("session_by_name")
SESSION_SAVE = query("session_save")
SESSION_INFORM = query("session_inform")
SESSION_RENEW = query("session_renew")
SESSION_DELETE = query("session_delete")
SESSION_LONGEST_LEASE = query("session_longest_lease")
SESSION_CUT = query("session_cut")
SESSIONS_JUDGED = query("sessions_judged")
SESSION_NAMES_CLEAR = query("session_names_clear")
SESSION_NAMES_ADD = query("session_names_add")
INBOX_CLEAR = query("inbox_clear")
INBOX_TAKE = query("inbox_take")
TASKS_PARKED_OLD = f"{TASK_COLUMNS} {query('tasks_parked_old')}"
GROUPS_GONE = f"{GROUP_COLUMNS} {query('groups_gone')}"
PRUNE_ENDED = query("prune_ended")
TOMBSTONES_OVER = query("tombstones_over")
ANSWERS_OLD, SCHEDULES_OLD = query("answers_old"), query("schedules_old")
AHEAD_OLD = query("ahead_old")
PRUNED_AT_ONCE: Final = 500
GROUPS_AT_ONCE: Final = 20

_encode = msgspec.msgpack.Encoder().encode


def announce(act: Act, session: str, info: SessionInfo) -> None:
    """See `Store.announce`."""
    reached(act)
    (sid,) = act.row(SESSION_SAVE, session, info.lease_us, act.boot + info.lease_us, boot_id(), info.inbox)
    act.run(SESSION_INFORM, (sid, _encode(info)))
    act.execute(SESSION_NAMES_CLEAR, (sid,))
    act.run_each(SESSION_NAMES_ADD, [(sid, name) for name in info.names])
    act.execute(INBOX_CLEAR)
    for name in info.names:
        act.unpark(name)


def reached(act: Act) -> None:
    """The grace rule: see the module text of `smallage.stores.base`. A new boot has no memory of the old one's clock;
    sessions of an older boot are dead whatever their lease."""
    book, now = act.book, act.boot
    lease = act.row(SESSION_LONGEST_LEASE)[0] or LEASE_US
    if book.reached_boot is not None:
        back = now < book.reached_boot
        if back or now - book.reached_boot > lease // 2:
            book.grace_boot = now + lease
        if back:
            act.execute(SESSION_CUT, (now,))
    book.reached_boot = now


def tick(act: Act, sessions: Sequence[str], dead: Sequence[str]) -> tuple[Ticked, bool]:
    """See `Store.tick`; and whether there is nothing more to prune."""
    reached(act)
    here = boot_id()
    unknown = [name for name in sessions if act.row(SESSION_RENEW, name, act.boot, here) is None]
    lost, foreign = _judge(act, set(sessions), list(dict.fromkeys(dead)))
    taken = [task_id for sid, _ in lost for task_id in _end_session(act, sid, lost=True)]
    promoted = act.promote()
    _give_up_parked(act)
    pruned_all = prune(act)
    ticked = Ticked(
        now_us=act.now,
        next_due_us=act.next_due(),
        next_lease_us=min(foreign) - act.boot + act.now if foreign else None,
        unknown=tuple(unknown),
        promoted=promoted,
        taken_back=tuple(taken),
    )
    return ticked, pruned_all


def _judge(act: Act, renewed: set[str], dead: list[str]) -> tuple[list[tuple[int, str]], list[int]]:
    """Lost sessions, the proven dead first, then by the end of their leases; and the lease ends of the others that were
    not renewed."""
    here = boot_id()
    judging = act.boot >= act.book.grace_boot
    lost: list[tuple[tuple[int, int, str], int, str]] = []
    foreign: list[int] = []
    for sid, name, lease_end, boot in act.run(SESSIONS_JUDGED).fetchall():
        if name in renewed and boot == here:
            continue
        if name in dead:
            lost.append(((0, dead.index(name), ""), sid, name))
        elif boot != here or (judging and lease_end <= act.boot):
            lost.append(((1, lease_end, name), sid, name))
        else:
            foreign.append(lease_end)
    return [(sid, name) for _, sid, name in sorted(lost)], foreign


def leave(act: Act, session: str) -> list[str]:
    """See `Store.leave`."""
    row = act.row(SESSION_BY_NAME, session)
    return _end_session(act, row[0], lost=False) if row else []


def _end_session(act: Act, sid: int, lost: bool) -> list[str]:
    """Take back what a session holds, charging a loss if it was lost; ids in order of tokens."""
    held = act.tasks(TASKS_HELD, sid)
    act.execute(SESSION_DELETE, (sid,))
    for task in held:
        act.drop_claim(task)
        if lost:
            act.charge(task, witnessed=False)
        else:
            act.release(task)
    return [task.id for task in reversed(held)]


def _give_up_parked(act: Act) -> None:
    for task in act.tasks(TASKS_PARKED_OLD, act.now - PARKED_US, STEP):
        act.end(task, DEAD, "unknown-task", None)


def prune(act: Act) -> bool:
    """Remove a bounded number of what has outlived its retention; False if there may be more."""
    act.save()
    act.run(PRUNE_ENDED, (act.now, PRUNED_AT_ONCE))
    pruned = act.changes()
    act.book.pruned += pruned
    groups = act.run(GROUPS_GONE, (act.now, GROUPS_AT_ONCE)).fetchall()
    for row in groups:
        act.book.pruned += act.remove_group(Group(row))
    _prune_notes(act)
    over = 0
    for state in (DONE, CANCELLED):
        oldest = act.run(TOMBSTONES_OVER, (TOMBSTONE_MAX, PRUNED_AT_ONCE, state)).fetchall()
        act.run_each(TASK_DELETE, oldest)
        over += len(oldest)
    return max(pruned, over) < PRUNED_AT_ONCE and len(groups) < GROUPS_AT_ONCE


def _prune_notes(act: Act) -> None:
    """Remove what is remembered for a while only."""
    act.run(ANSWERS_OLD, (act.now - ANSWER_US,))
    act.run(SCHEDULES_OLD, (act.now - DAY_US,))
    if act.book.ahead:
        act.run(AHEAD_OLD, (act.now - AHEAD_US,))
        act.book.ahead -= act.changes()


def take_orders(act: Act, box: str) -> list[Order]:
    """The orders of a mailbox, oldest first; they are gone from it."""
    rows = sorted(act.execute(INBOX_TAKE, (box,)))
    return [Order(session, kind, task_id, tok, text) for _, session, kind, task_id, tok, text in rows]


def control(act: Act, order: Order) -> bool:
    """See `Store.control`."""
    row = act.row(SESSION_BY_NAME, order.session)
    return row is not None and act.send(row[0], order)
