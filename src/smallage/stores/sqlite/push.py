"""push: new tasks in, all or none."""

from __future__ import annotations

from collections.abc import Sequence

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
    found, over, known = verdicts(act, messages)
    if "conflict" not in found:
        act.run_each(TASK_DELETE, [(seq,) for seq in over])
        insert(act, messages, found, known)
    return found


def verdicts(act: Act, messages: Sequence[Message]) -> tuple[list[PushVerdict], list[int], list[bytes]]:
    """A verdict for each message, the rows of tasks with these ids whose life is over, and the messages' digests."""
    known: dict[str, bytes | None] = {}
    over: list[int] = []
    now = act.now
    for task_id, seq, old, kind, prune_us, group_prune_us in rows_by_ids(
        act.run, TASK_DIGESTS, TASK_DIGEST, [message.id for message in messages]
    ):
        if (prune_us or now + 1) <= now or (group_prune_us or now + 1) <= now:
            over.append(seq)
        else:
            known[task_id] = None if kind == LIKE else old
    found: list[PushVerdict] = []
    digests: list[bytes] = []
    for message in messages:
        new = digest(message)
        digests.append(new)
        task_id = message.id
        if task_id in known:
            found.append("dup" if known[task_id] == new else "conflict")
        elif len(task_id) > 37 and act.rowed(task_id):
            found.append("conflict")
        else:
            known[task_id] = new
            found.append("ok")
    return found, over, digests


def insert(act: Act, messages: Sequence[Message], found: Sequence[PushVerdict], digests: Sequence[bytes]) -> None:
    """Write those of the messages that were found ok, and place them in order."""
    now, back, run = act.now, act.book.back, act.run
    envelope, due, expires, queue = None, None, None, ""
    strokes: dict[str, int] = {}
    for message, verdict, known in zip(messages, found, digests, strict=True):
        if verdict != "ok":
            continue
        e = message.envelope
        if e is not envelope:
            envelope = e
            due, expires = envelope_times(e, now)
            if due is not None and due > now:
                act.note_due(due, e.queue)
            else:
                due = None
                queue = e.queue
        if due is None:
            back += 1
            strokes[queue] = strokes.get(queue, 0) + 1
        run(
            TASK_INSERT,
            (
                message.id, READY if due is None else SCHEDULED, e.queue, e.priority, back, e.name, message.group,
                message.index, None, due, expires, now, e.keep_us, e.max_crashes, e.max_lost, known, None,
                message.payload,
            ),
        )  # fmt: skip
    act.book.back = back
    for queue, n in strokes.items():
        act.ring(queue, n)


def insert_body(act: Act, message: Message, group: str) -> None:
    """Write the body of a group, which waits for the last member's end."""
    e = message.envelope
    row = (
        message.id, WAITING, e.queue, e.priority, 0, e.name, message.group, message.index, group, None, None,
        act.now, e.keep_us, e.max_crashes, e.max_lost, digest(message), encode_envelope(e), message.payload,
    )  # fmt: skip
    act.run(TASK_INSERT, row)


def insert_new(act: Act, messages: Sequence[Message]) -> None:
    """Push what is not there yet; ids that are taken are passed over."""
    if messages:
        found, over, known = verdicts(act, messages)
        act.run_each(TASK_DELETE, [(seq,) for seq in over])
        insert(act, messages, found, known)
