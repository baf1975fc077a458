"""settle and progress: how claims end, or go back to wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, cast

import msgspec

from smallage.core.message import (
    Cancelled,
    Claim,
    Crashed,
    Done,
    End,
    Failed,
    Message,
    Outcome,
    Parked,
    Released,
    Replaced,
    Retry,
    Settlement,
    Snooze,
    member_of,
)
from smallage.stores.base import MAX_THEN, Claimed, ClaimRequest, Settled, SettleVerdict
from smallage.stores.sqlite.claim import claim
from smallage.stores.sqlite.ledger import Act
from smallage.stores.sqlite.push import insert_new
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import CANCELLED, DEAD, DONE, FEW, LARGE, NUMBERS, RUNNING, WAITING, Task, prune_at

FINISH_PLAIN = query("finish_plain")
MEMBER_FINISH = query("member_finish")
MEMBER_LEAVE = query("member_leave")
CURRENT_CLAIMS = query("current_claims")
CURRENT_MEMBERS = query("current_members")
FINISH_MANY = query("finish_many")
MEMBERS_FINISH = query("members_finish")
MEMBERS_LEAVE = query("members_leave")
TASK_NEW_PAYLOAD = query("task_new_payload")
TASK_NOTE = query("task_note")
TASK_TAKE_OUT = query("task_take_out")
END_INSERT = query("end_insert")
TASK_UNSEAT = query("task_unseat")
_Row: TypeAlias = tuple[str, int, int, str, bytes | None]
_encode: Final = msgspec.json.Encoder().encode


def settle(act: Act, session: str, settlements: Sequence[Settlement], request: ClaimRequest | None) -> Settled:
    """See `Store.settle`."""
    verdicts: list[SettleVerdict] = []
    for kind, run in _runs(settlements):
        done = _finish_alike(act, kind, run) if kind is not None else set()
        if len(done) == len(run):
            verdicts += ["ok"] * len(run)
        else:
            _check_size(run)
            tasks = act.tasks_by_ids([given.id for given in run if given.id not in done])
            verdicts += ["ok" if given.id in done else _settle_one(act, tasks.get(given.id), given) for given in run]
    claimed = Claimed(now_us=act.now)
    if request is not None:
        act.save()
        claimed = claim(act, session, request)
    return Settled(tuple(verdicts), claimed)


def _runs(settlements: Sequence[Settlement]) -> Iterator[tuple[str | None, Sequence[Settlement]]]:
    """Settlements of one kind that follow one another. The order counts where an end releases or pushes something."""
    start = 0
    kind = _kind(settlements[0])
    for end in range(1, len(settlements)):
        other = _kind(settlements[end])
        if other != kind:
            yield kind, settlements[start:end]
            start, kind = end, other
    yield kind, settlements[start:]


def _kind(given: Settlement) -> str | None:
    """For the common case, done and nothing follows: a like member's group, "" for a plain task. None for others."""
    outcome = given.outcome
    if type(outcome) is not Done or outcome.then or outcome.ends:
        return None
    task_id = given.id
    return task_id[:36] if len(task_id) > 37 and task_id[36] == "." else ""


def _finish_alike(act: Act, kind: str, settlements: Sequence[Settlement]) -> set[str]:
    """End plain tasks, or like members of one group, as done; returns the ids of those that did. When all claims are
    current they end in one statement, else one by one."""
    rows: list[_Row] = []
    large = False
    for given in settlements:
        result = cast(Done, given.outcome).result
        large = large or (result is not None and len(result) > LARGE)
        rows.append((given.id, given.gen, given.tok, given.nonce, result))
    if len({row[0] for row in rows}) < len(rows):
        return set()
    if not kind:
        done = _finish(act, rows, large)
    elif (group := act.find_group(kind)) is not None:
        done = _finish_members(act, group.num, rows, large)
        if done:
            group.running -= len(done)
            act.count(group, DONE, len(done))
    else:
        return set()
    act.changed += done
    return done


def _hexed(rows: list[_Row]) -> str:
    """The rows as one JSON array, results in hex."""
    return _encode([(*row[:4], None if row[4] is None else row[4].hex()) for row in rows]).decode()


def _finish(act: Act, rows: list[_Row], large: bool) -> set[str]:
    now = act.now
    if len(rows) >= FEW and not large:
        given = _hexed(rows)
        if act.row(CURRENT_CLAIMS, given)[0] == len(rows):
            act.run(FINISH_MANY, (given, now))
            return {row[0] for row in rows}
    done: set[str] = set()
    for row in rows:
        act.run(FINISH_PLAIN, (*row, now))
        if act.changes():
            done.add(row[0])
    return done


def _finish_members(act: Act, num: int, rows: list[_Row], large: bool) -> set[str]:
    """Ends of like members go to their group's results."""
    now = act.now
    if len(rows) >= FEW and not large:
        given = _hexed(rows)
        if act.row(CURRENT_MEMBERS, given, rows[0][0][:36])[0] == len(rows):
            act.run(MEMBERS_FINISH, (given, now, num))
            act.run(MEMBERS_LEAVE, (given,))
            return {row[0] for row in rows}
    done: set[str] = set()
    for row in rows:
        act.run(MEMBER_FINISH, (*row, now, num))
        if act.changes():
            act.run(MEMBER_LEAVE, (row[0],))
            done.add(row[0])
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
            act.end(task, DONE, None, outcome.result, given=True)
            _follow(act, outcome.ends, outcome.then)
        case Failed():
            task.failures, task.ran = task.failures + 1, 0
            act.end(task, DEAD, outcome.reason, outcome.error, given=True)
            _follow(act, outcome.ends, outcome.then)
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
        case Replaced():
            task.releases += 1
            if act.goes_back(task):
                act.vacate(task)
                _follow(act, (), outcome.then)
        case Parked():
            task.releases += 1
            if act.goes_back(task):
                act.park(task)
        case Crashed():
            act.charge(task, witnessed=True, error=outcome.error)


def _check_size(settlements: Sequence[Settlement]) -> None:
    for given in settlements:
        outcome = given.outcome
        n = len(outcome.then) if isinstance(outcome, Done | Failed | Replaced) else 0
        n += len(outcome.ends) if isinstance(outcome, Done | Failed) else 0
        if n > MAX_THEN:
            raise ValueError(
                f"a settlement takes at most {MAX_THEN} messages and ends; send a task that pushes the rest"
            )


def _follow(act: Act, ends: Sequence[End], then: Sequence[Message]) -> None:
    """What a worker gave along with the end of a task."""
    for each in ends:
        _give_end(act, each)
    insert_new(act, then)


def _give_end(act: Act, given: End) -> None:
    """End what waits under an id, or make a record that has ended."""
    task = act.find_task(given.id)
    state = NUMBERS[given.state]
    if task is not None:
        if task.state == WAITING:
            if task.seat:
                act.run(TASK_UNSEAT, (task.seq,))
            act.end(task, state, given.reason, given.result, given=True)
        return
    if member_of(given.id) is not None:
        return
    result = given.result if state == DEAD or given.keep_us != 0 else None
    act.run(TASK_TAKE_OUT, (given.id,))
    act.run(
        END_INSERT,
        (
            given.id, state, given.queue, given.name, act.now, prune_at(state, given.keep_us, act.now, False),
            state != DEAD and given.keep_us == 0, given.keep_us, given.reason, result,
        ),
    )  # fmt: skip
    act.changed.append(given.id)


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
