"""push: new tasks in, all or none."""

from __future__ import annotations

from collections.abc import Sequence

from smallage.core.message import Message, digest
from smallage.stores.base import PushVerdict
from smallage.stores.sqlite.ledger import TASK_DELETE, Act, envelope_times
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import LIKE, READY, SCHEDULED, WAITING, encode_envelope
from smallage.stores.sqlite.transaction import rows_by_ids

TASK_DIGEST = query("task_digest")
TASK_DIGESTS = query("task_digests")
TASK_INSERT = query("task_insert")
TASK_TAKE_OUT = query("task_take_out")


def push(act: Act, messages: Sequence[Message]) -> list[PushVerdict]:
    """See `Store.push`."""
    digests = [digest(message) for message in messages]
    if _insert_all(act, messages, digests):
        return ["ok"] * len(messages)
    found, over, digests = verdicts(act, messages)
    if "conflict" not in found:
        act.run_each(TASK_DELETE, [(seq,) for seq in over])
        insert(act, messages, found, digests)
    return found


def _insert_all(act: Act, messages: Sequence[Message], digests: Sequence[bytes]) -> bool:
    """Write all, if no id is taken; False, and nothing is written, if one is or may be."""
    if any(len(message.id) > 37 for message in messages):
        return False  # may be a like member's
    inserted = insert(act, messages, ["ok"] * len(messages), digests)
    if inserted == len(messages):
        return True
    act.run_each(TASK_TAKE_OUT, [(message.id,) for message in messages[:inserted]])
    return False


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


def insert(act: Act, messages: Sequence[Message], found: Sequence[PushVerdict], digests: Sequence[bytes]) -> int:
    """Write those of the messages that were found ok, and place them in order. Stops at the first whose id is taken;
    returns how many were passed."""
    now, run, changes = act.now, act.run, act.changes
    envelope, due, expires = None, None, None
    strokes: dict[str, int] = {}
    passed = 0
    for message, verdict, known in zip(messages, found, digests, strict=True):
        passed += 1
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
        queue, pos = e.queue, 0
        if due is None:
            pos = act.back(queue, e.priority)
            strokes[queue] = strokes.get(queue, 0) + 1
        run(
            TASK_INSERT,
            (
                message.id, READY if due is None else SCHEDULED, queue, e.priority, pos, e.name, message.group,
                message.index, None, due, expires, now, e.keep_us, e.max_crashes, e.max_lost, known, None,
                message.payload,
            ),
        )  # fmt: skip
        if not changes():
            act.forget_due()
            return passed - 1
    for queue, n in strokes.items():
        act.ring(queue, n)
    return passed


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
