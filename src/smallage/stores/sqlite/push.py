"""push: new tasks in, all or none; and messages that fill seats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import apsw
import msgspec

from smallage.core.message import FOLLOW_ANY, Envelope, Message, digest
from smallage.stores.base import PushVerdict
from smallage.stores.sqlite.ledger import TASK_REWAIT, Act, envelope_times
from smallage.stores.sqlite.lines import TASK_DELETE
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import (
    DEAD,
    FEW,
    LARGE,
    LIKE,
    READY,
    SCHEDULED,
    WAITING,
    Task,
    encode_envelope,
)
from smallage.stores.sqlite.transaction import TASK_BY_ID, rows_by_ids

TASK_DIGEST = query("task_digest")
TASK_DIGESTS = query("task_digests")
TASK_INSERT = query("task_insert")
TASK_TAKE_OUT = query("task_take_out")
TASKS_INSERT = query("tasks_insert")
TASK_FILL = query("task_fill")
TASK_ABSORB = query("task_absorb")

_encode = msgspec.json.Encoder().encode

Finding: TypeAlias = Literal["ok", "dup", "conflict", "fill", "absorb"]
"""A verdict, or what "ok" means for a seat: the message fills it, or comes too late, as the seat was cancelled."""


def push(act: Act, messages: Sequence[Message]) -> list[PushVerdict]:
    """See `Store.push`."""
    digests = [digest(message) for message in messages]
    if _insert_all(act, messages, digests):
        act.revoked_ahead([message.id for message in messages])
        return ["ok"] * len(messages)
    found, over, digests = verdicts(act, messages)
    if "conflict" not in found:
        write(act, messages, found, over, digests)
    return [plain(finding) for finding in found]


def plain(finding: Finding) -> PushVerdict:
    return "ok" if finding == "fill" or finding == "absorb" else finding


def write(
    act: Act,
    messages: Sequence[Message],
    found: Sequence[Finding],
    over: Sequence[int],
    digests: Sequence[bytes],
    group: str | None = None,
) -> None:
    """Write what was found, as members if a group is given; those whose ids are taken are passed over."""
    act.run_each(TASK_DELETE, [(seq,) for seq in over])
    insert(act, messages, found, digests, group)
    act.revoked_ahead([message.id for message, finding in zip(messages, found, strict=True) if finding == "ok"])


def _insert_all(act: Act, messages: Sequence[Message], digests: Sequence[bytes]) -> bool:
    """Write all, if no id is taken; False, and nothing is written, if one is or may be."""
    if any(len(message.id) > 37 for message in messages):
        return False  # may be a like member's
    inserted = insert(act, messages, ["ok"] * len(messages), digests)
    if inserted == len(messages):
        return True
    act.run_each(TASK_TAKE_OUT, [(message.id,) for message in messages[:inserted]])
    return False


def verdicts(
    act: Act, messages: Sequence[Message], repeats: bool = True
) -> tuple[list[Finding], list[int], list[bytes]]:
    """What each message meets, the rows that are to make room, and the messages' digests. `repeats`: by a verb that is
    repeated after a lost reply, so that a message equal to what made a seat is that one again."""
    known: dict[str, bytes | None] = {}
    special: dict[str, Any] = {}
    over: list[int] = []
    now = act.now
    message_waits = any(message.waits for message in messages)
    for row in rows_by_ids(act.run, TASK_DIGESTS, TASK_DIGEST, [message.id for message in messages]):
        task_id, seq, old, kind, prune_us, group_prune_us, seat, _, never_came, _, _ = row
        if (prune_us or now + 1) <= now or (group_prune_us or now + 1) <= now:
            over.append(seq)
        else:
            known[task_id] = None if kind == LIKE else old
            if kind != LIKE and (seat or never_came or message_waits):
                special[task_id] = row
    found: list[Finding] = []
    digests: list[bytes] = []
    for message in messages:
        new = digest(message)
        digests.append(new)
        task_id = message.id
        finding: Finding | None = None
        if task_id in special:
            finding = _at_special(message, new, special.pop(task_id), repeats, over)
            if finding in ("ok", "fill", "absorb"):
                known[task_id] = new
        if finding is None:
            if task_id in known:
                finding = "dup" if known[task_id] == new else "conflict"
            elif len(task_id) > 37 and act.rowed(task_id):
                finding = "conflict"
            else:
                known[task_id] = new
                finding = "ok"
        found.append(finding)
    return found, over, digests


def _at_special(message: Message, new: bytes, row: Any, repeats: bool, over: list[int]) -> Finding | None:
    """What a message meets that waits, or that comes to a seat or to a task that makes room; None if only the digest
    counts."""
    _, seq, old, _, _, _, seat, state, never_came, member, body = row
    same = old == new
    if seat and not message.waits and not (repeats and same):
        return "fill" if state == WAITING else "absorb"
    if never_came and not member and not same:
        over.append(seq)
        return "ok"
    if never_came and member and not body and not same and not message.waits:
        return "fill"
    return "dup" if message.waits else None


def insert(
    act: Act, messages: Sequence[Message], found: Sequence[Finding], digests: Sequence[bytes], group: str | None = None
) -> int:
    """Write those of the messages that were found ok or fill seats, and place them in order. Stops before the first
    ones whose ids are taken; returns how many were passed."""
    start = 0
    while start < len(messages):
        end = _alike(messages, found, start) if group is None else start
        if end - start >= FEW:
            written = _insert_alike(act, messages[start:end], digests[start:end])
        else:
            end = start + 1
            written = _write_one(act, messages[start], found[start], digests[start], group)
        if not written:
            act.forget_due()
            return start
        start = end
    return start


def _write_one(act: Act, message: Message, finding: Finding, known: bytes, group: str | None) -> bool:
    if finding == "ok":
        return _insert_one(act, message, known, group)
    if finding == "fill":
        fill(act, message, known)
    elif finding == "absorb":
        absorb(act, message, known)
    return True


def _alike(messages: Sequence[Message], found: Sequence[Finding], start: int) -> int:
    """Where the run of messages ends that one statement can write: one envelope, no groups, nothing large."""
    envelope = messages[start].envelope
    for end in range(start, len(messages)):
        message = messages[end]
        if message.envelope is not envelope or message.waits or len(message.payload) > LARGE:
            return end
        if found[end] != "ok":
            return end
    return len(messages)


def _place(act: Act, e: Envelope, n: int) -> tuple[int, int, int | None, int | None]:
    """(state, first place, due, expiry) of `n` new tasks, which come next in their line."""
    due, expires = envelope_times(e, act.now)
    if due is not None and due > act.now:
        act.note_due(due, e.queue)
        return SCHEDULED, 0, due, expires
    act.ring(e.queue, n)
    return READY, act.back(e.queue, e.priority, n), None, expires


def _insert_alike(act: Act, messages: Sequence[Message], digests: Sequence[bytes]) -> bool:
    """Write a run of messages; False, and nothing is written, if an id is taken."""
    e = messages[0].envelope
    state, pos, due, expires = _place(act, e, len(messages))
    rows = [(message.id, known.hex(), message.payload.hex()) for message, known in zip(messages, digests, strict=True)]
    try:
        act.run(
            TASKS_INSERT,
            (
                _encode(rows).decode(), state, e.queue, e.priority, pos, e.name, due, expires, act.now, e.keep_us,
                e.max_crashes, e.max_lost, e.follow,
            ),
        )  # fmt: skip
    except apsw.ConstraintError as error:
        if getattr(error, "extendedresult", None) != apsw.SQLITE_CONSTRAINT_UNIQUE:
            raise
        return False
    return True


def _insert_one(act: Act, message: Message, known: bytes, group: str | None) -> bool:
    """Write a message, as a member if a group is given; False if its id is taken."""
    e = message.envelope
    if message.waits:
        state, pos, due, expires, payload = WAITING, 0, None, None, None
    else:
        (state, pos, due, expires), payload = _place(act, e, 1), message.payload
    act.run(
        TASK_INSERT,
        (
            message.id, state, e.queue, e.priority, pos, e.name, group, message.index if group else None, None, due,
            expires, act.now, e.keep_us, e.max_crashes, e.max_lost, known, None, payload, e.follow, message.waits,
        ),
    )  # fmt: skip
    return bool(act.changes())


def fill(act: Act, message: Message, known: bytes, body_of: str | None = None) -> None:
    """The message of a seat has come: it is a task now, or waits on, as the body of a group. After a replacement it is
    a new run, whose deliveries go on from those of the old one. A member that was ended before it came is a seat again
    first."""
    task = Task(act.row(TASK_BY_ID, message.id))
    if task.state == DEAD:
        act.count_again(task)
        act.run(TASK_REWAIT, (task.seq, 1))
        task = Task(act.row(TASK_BY_ID, message.id))
    e = message.envelope
    state, pos, due, expires = (WAITING, 0, None, None) if body_of is not None else _place(act, e, 1)
    act.run(
        TASK_FILL,
        (
            task.seq, state, e.queue, e.priority, pos, e.name, due, expires, act.now, e.keep_us, e.max_crashes,
            e.max_lost, known, encode_envelope(e) if body_of else None, message.payload, e.follow, body_of,
            task.releases + task.failures + task.crashes + task.lost,
        ),
    )  # fmt: skip


def absorb(act: Act, message: Message, known: bytes) -> None:
    """The message of a seat has come too late: the seat was cancelled."""
    task = Task(act.row(TASK_BY_ID, message.id))
    act.run(TASK_ABSORB, (task.seq, known))
    e = message.envelope
    if e.follow >= FOLLOW_ANY:
        act.follow_up(task.id, task.gen, task.reason, e.queue, e.priority, e.name, message.payload, None)


def insert_body(act: Act, message: Message, group: str) -> None:
    """Write the body of a group, which waits for the last member's end."""
    e = message.envelope
    row = (
        message.id, WAITING, e.queue, e.priority, 0, e.name, None, None, group, None, None,
        act.now, e.keep_us, e.max_crashes, e.max_lost, digest(message), encode_envelope(e), message.payload,
        e.follow, 0,
    )  # fmt: skip
    act.run(TASK_INSERT, row)


def insert_new(act: Act, messages: Sequence[Message], repeats: bool = False) -> None:
    """Push what can be, and leave the rest: what follows an end, or comes along with something else."""
    if len({message.id for message in messages}) < len(messages):
        for message in messages:  # the later ones meet the earlier ones
            insert_new(act, [message], repeats)
    elif messages:
        found, over, known = verdicts(act, messages, repeats)
        write(act, messages, found, over, known)
