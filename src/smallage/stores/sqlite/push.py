"""push: new tasks in, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smallage.core.message import Message, digest
from smallage.stores.base import PushVerdict
from smallage.stores.sqlite.ledger import TASK_DELETE, Act, envelope_times, rows_by_ids
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import LIKE, READY, SCHEDULED, WAITING, encode_envelope

TASK_DIGEST = query("task_digest")
TASK_DIGESTS = query("task_digests")
TASK_INSERT = query("task_insert")


def push(act: Act, messages: Sequence[Message]) -> list[PushVerdict]:
    """See `Store.push`."""
    found, over = verdicts(act, messages)
    if "conflict" not in found:
        act.executemany(TASK_DELETE, [(seq,) for seq in over])
        insert(act, [message for message, verdict in zip(messages, found, strict=True) if verdict == "ok"])
    return found


def verdicts(act: Act, messages: Sequence[Message]) -> tuple[list[PushVerdict], list[int]]:
    """A verdict for each message, and the rows of tasks with these ids whose life is over."""
    known: dict[str, bytes | None] = {}
    over: list[int] = []
    now = act.now
    for task_id, seq, old, kind, prune_us, group_prune_us in rows_by_ids(
        act.execute, TASK_DIGESTS, TASK_DIGEST, [message.id for message in messages]
    ):
        if (prune_us or now + 1) <= now or (group_prune_us or now + 1) <= now:
            over.append(seq)
        else:
            known[task_id] = None if kind == LIKE else old
    found: list[PushVerdict] = []
    for message in messages:
        new = digest(message)
        if message.id in known:
            found.append("dup" if known[message.id] == new else "conflict")
        elif len(message.id) > 37 and act.rowed(message.id):
            found.append("conflict")
        else:
            known[message.id] = new
            found.append("ok")
    return found, over


def insert(act: Act, messages: Sequence[Message]) -> None:
    """Write new tasks and place them in order."""
    now, back = act.now, act.book.back
    rows: list[tuple[Any, ...]] = []
    for message in messages:
        e = message.envelope
        due, expires = envelope_times(e, now)
        state, pos = READY, 0
        if due is not None and due > now:
            state = SCHEDULED
            act.note_due(due, e.queue)
        else:
            due = None
            back += 1
            pos = back
        rows.append(
            (
                message.id, 0, state, e.queue, e.priority, pos, e.name, message.group, message.index, None, due,
                expires, now, e.keep_us, e.max_crashes, e.max_lost, digest(message), None, message.payload,
            )
        )  # fmt: skip
        if pos:
            act.rings.add(e.queue)
    act.book.back = back
    act.executemany(TASK_INSERT, rows)


def insert_body(act: Act, message: Message, group: str) -> None:
    """Write the body of a group, which waits for the last member's end."""
    e = message.envelope
    row = (
        message.id, 0, WAITING, e.queue, e.priority, 0, e.name, message.group, message.index, group, None, None,
        act.now, e.keep_us, e.max_crashes, e.max_lost, digest(message), encode_envelope(e), message.payload,
    )  # fmt: skip
    act.execute(TASK_INSERT, row)


def insert_new(act: Act, messages: Sequence[Message]) -> None:
    """Push what is not there yet; ids that are taken are passed over."""
    found, over = verdicts(act, messages)
    act.executemany(TASK_DELETE, [(seq,) for seq in over])
    insert(act, [message for message, verdict in zip(messages, found, strict=True) if verdict == "ok"])
