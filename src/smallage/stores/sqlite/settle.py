"""settle and progress: how claims end, or go back to wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smallage.core.message import (
    Cancelled,
    Claim,
    Crashed,
    Done,
    Failed,
    Outcome,
    Parked,
    Released,
    Retry,
    Settlement,
    Snooze,
)
from smallage.stores.base import Claimed, ClaimRequest, Settled, SettleVerdict
from smallage.stores.sqlite.claim import claim
from smallage.stores.sqlite.ledger import Act
from smallage.stores.sqlite.push import insert_new
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import CANCELLED, DEAD, DONE, RUNNING, Task

FINISH_PLAIN = query("finish_plain")
MEMBER_FINISH = query("member_finish")
MEMBER_LEAVE = query("member_leave")
TASK_NEW_PAYLOAD = query("task_new_payload")
TASK_NOTE = query("task_note")


def settle(act: Act, session: str, settlements: Sequence[Settlement], request: ClaimRequest | None) -> Settled:
    """See `Store.settle`."""
    done = _finish_plain(act, settlements)
    verdicts: list[SettleVerdict]
    if len(done) == len(settlements):
        verdicts = ["ok"] * len(done)
    else:
        rest = [given for given in settlements if given.id not in done]
        tasks = act.tasks_by_ids([given.id for given in rest])
        verdicts = ["ok" if given.id in done else _settle_one(act, tasks.get(given.id), given) for given in settlements]
    claimed = Claimed(now_us=act.now)
    if request is not None:
        act.save()
        claimed = claim(act, session, request)
    return Settled(tuple(verdicts), claimed)


def _finish_plain(act: Act, settlements: Sequence[Settlement]) -> set[str]:
    """The common case in one statement a task: done, nothing follows, in no group. Returns the ids that ended."""
    now = act.now
    rows: list[tuple[Any, ...]] = []
    members: list[tuple[Any, ...]] = []
    for given in settlements:
        outcome = given.outcome
        if type(outcome) is Done and not outcome.then:
            row = (given.id, given.gen, given.tok, given.nonce, outcome.result, now)
            if len(given.id) > 37 and given.id[36] == ".":
                members.append(row)
            else:
                rows.append(row)
    if not (rows or members) or len({given.id for given in settlements}) < len(settlements):
        return set()
    run, changes = act.run, act.changes
    done: set[str] = set()
    for row in rows:
        run(FINISH_PLAIN, row)
        if changes():
            done.add(row[0])
    act.changed += done
    if members:
        done |= _finish_members(act, members)
    return done


def _finish_members(act: Act, rows: list[tuple[Any, ...]]) -> set[str]:
    """The same for like members, whose ends go to their group's results."""
    run, changes = act.run, act.changes
    done: set[str] = set()
    ended: dict[str, int] = {}
    for row in rows:
        task_id = row[0]
        group = act.find_group(task_id[:36])
        if group is None:
            continue
        run(MEMBER_FINISH, (*row, group.num))
        if changes():
            run(MEMBER_LEAVE, (task_id,))
            done.add(task_id)
            ended[group.id] = ended.get(group.id, 0) + 1
    act.changed += done
    for group_id, n in ended.items():
        group = act.any_group(group_id)
        assert group is not None
        group.running -= n
        act.count(group, DONE, n)
    return done


def _settle_one(act: Act, task: Task | None, given: Settlement) -> SettleVerdict:
    if task is not None and act.gone(task):
        task = None
    if task is not None and task.state == RUNNING:
        if (task.gen, task.tok, task.nonce) == (given.gen, given.tok, given.nonce):
            task.settled = given.tok
            act.drop_claim(task)
            _apply(act, task, given.outcome)
            return "ok"
    if _settled_before(act, task, given):
        return "dup"
    act.book.stale += 1
    return "stale"


def _settled_before(act: Act, task: Task | None, given: Settlement) -> bool:
    if task is not None:
        return (task.gen, task.settled) == (given.gen, given.tok)
    rowed = act.rowed(given.id)
    end = act.member_end(*rowed) if rowed else None
    return end is not None and (end[1], end[2]) == (given.gen, given.tok)


def _apply(act: Act, task: Task, outcome: Outcome) -> None:
    match outcome:
        case Done():
            act.end(task, DONE, None, outcome.result)
            insert_new(act, outcome.then)
        case Failed():
            task.failures, task.ran = task.failures + 1, 0
            act.end(task, DEAD, outcome.reason, outcome.error)
            insert_new(act, outcome.then)
        case Cancelled():
            act.end(task, CANCELLED, outcome.reason, outcome.result)
        case Retry():
            task.failures += 1
            if act.goes_back(task):
                _retry(act, task, outcome)
        case Snooze():
            task.releases += 1
            if act.goes_back(task):
                act.to_scheduled(task, act.now + outcome.delay_us)
        case Released():
            act.release(task)
        case Parked():
            task.releases += 1
            if act.goes_back(task):
                act.park(task)
        case Crashed():
            act.charge(task, witnessed=True, error=outcome.error)


def _retry(act: Act, task: Task, outcome: Retry) -> None:
    if outcome.payload is not None:
        act.run(TASK_NEW_PAYLOAD, (task.seq, outcome.payload))
    if outcome.queue is not None:
        task.queue = outcome.queue
    if outcome.priority is not None:
        task.priority = outcome.priority
    if outcome.expires_us is not None:
        task.expires_us = outcome.expires_us or None
    act.run(TASK_NOTE, (task.seq, outcome.note))
    if (group := act.any_group(task.grp)) is not None:
        group.retried += 1
        group.touched = True
    act.changed.append(task.id)
    act.to_scheduled(task, outcome.due_us if outcome.due_us is not None else act.now + outcome.delay_us)


def progress(act: Act, given: Claim, note: bytes) -> SettleVerdict:
    """See `Store.progress`."""
    task = act.find_task(given.id)
    if task is None or task.state != RUNNING or (task.gen, task.tok, task.nonce) != (given.gen, given.tok, given.nonce):
        act.book.stale += 1
        return "stale"
    act.run(TASK_NOTE, (task.seq, note))
    act.changed.append(given.id)
    return "ok"
