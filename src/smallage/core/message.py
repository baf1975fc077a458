"""The three values that travel: a `Message` on its way, a `Claim` in somebody's hands, an `Outcome` at its end.

All are frozen. Times are integers in microseconds since the Unix epoch (`*_us`), measured by the store's clock and
never by a worker's. Payloads, results, rows and progress notes are opaque bytes: only `core/codec.py` reads them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec

DAY_US = 86_400_000_000
FOREVER = -1
"""`keep_us` of a record that is never pruned."""
FOLLOW_DEAD = 1
FOLLOW_ANY = 2
MAX_INT = 2**53
"""Integers in envelopes stay within ±2^53, the range that Lua keeps exact."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says to the store; like tasks share one envelope object, which makes bulk pushes small."""

    name: str
    """Registered name of the task."""
    queue: str = "celery"
    priority: int = 0
    """0 to 9; 0 is served first."""
    delay_us: int = 0
    """Countdown, added by the store to its own clock at the push. Ignored when `due_us` is given."""
    due_us: int | None = None
    """Instant before which the task is not claimed (`eta`)."""
    expires_in_us: int | None = None
    """Age, counted by the store from the push, after which an unstarted task ends as expired."""
    expires_us: int | None = None
    """Instant after which an unstarted task ends as expired; with `expires_in_us`, the earlier wins."""
    keep_us: int = DAY_US
    """How long the record with its result is kept after the end. 0: nothing is kept but the id, for the
    de-duplication window (`ignore_result`). `FOREVER`: until forgotten."""
    max_crashes: int = 3
    """Witnessed deaths of the holder that a started task survives; one more and it is dead."""
    max_lost: int = 10
    """Unwitnessed losses that the task survives; one more and it is dead."""
    follow: int = 0
    """When an end that the store itself makes must be followed up by a worker: 0 never, `FOLLOW_DEAD` when the task
    died (crashed, lost, unknown-task), `FOLLOW_ANY` also when it expired or was cancelled."""


class Message(msgspec.Struct, frozen=True):
    """A task on its way: what the store needs to know, plus bytes that it never reads."""

    id: str
    payload: bytes
    envelope: Envelope
    group: str | None = None
    """Id of the group that counts this task, for members with tasks or options of their own."""
    index: int | None = None
    """Place of the member in its group, from 0."""
    waits: bool = False
    """A seat: kept in state waiting until a message with its id fills it or an `End` is given to it."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A task in somebody's hands. Every act for it presents (id, gen, tok, nonce)."""

    id: str
    gen: int
    """1 at push, one more for each requeue."""
    tok: int
    """Fencing token: rises with every claim of the partition."""
    nonce: str
    name: str
    payload: bytes
    queue: str
    priority: int = 0
    row: bytes | None = None
    """The member's own arguments when `payload` is a group's template."""
    failures: int = 0
    """Attempts that ended in a retry so far in this generation (`request.retries`)."""
    crashes: int = 0
    lost: int = 0
    releases: int = 0
    """Releases, snoozes and parkings."""
    group: str | None = None
    index: int | None = None
    body_of: str | None = None
    """Id of the group whose outcomes this task is to read: it is the group's body."""
    pushed_us: int = 0
    claimed_us: int = 0
    expires_us: int | None = None
    keep_us: int = DAY_US
    after: str | None = None
    """Id of a task that the store itself has ended: no body runs, what follows that end is worked out from this claim's
    payload and settled as this claim's end."""
    reason: str | None = None
    """Why the store ended it, with `after`: a dead task's reason, or a cancelled one's."""


class End(msgspec.Struct, frozen=True):
    """The end of a task that never runs because of how another ended: a later step of a chain that failed."""

    id: str
    state: Literal["done", "dead", "cancelled"]
    name: str = ""
    queue: str = "celery"
    result: bytes | None = None
    reason: str | None = None
    """For dead ones "upstream", or "expired" if the earlier task did; for cancelled ones as in `Cancelled`."""
    keep_us: int = DAY_US


class Done(msgspec.Struct, frozen=True, tag=True):
    """The task ended well; `then` is pushed in the same act."""

    result: bytes | None = None
    then: tuple[Message, ...] = ()
    ends: tuple[End, ...] = ()


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The task ended badly and goes to the dead letters."""

    error: bytes | None = None
    reason: Literal["failed", "crashed", "lost", "expired", "undecodable", "damaged", "unknown-task"] = "failed"
    then: tuple[Message, ...] = ()
    ends: tuple[End, ...] = ()


class Cancelled(msgspec.Struct, frozen=True, tag=True):
    """The task was stopped on request while it ran."""

    result: bytes | None = None
    reason: str = "revoked"


class Retry(msgspec.Struct, frozen=True, tag=True):
    """The attempt failed; the task waits for another. Counts one failure."""

    delay_us: int = 0
    due_us: int | None = None
    """Instant of the next attempt; wins over `delay_us`."""
    error: bytes | None = None
    payload: bytes | None = None
    """New payload, or None to keep the old. A group member's is complete: template and row no longer apply."""
    queue: str | None = None
    priority: int | None = None
    expires_us: int | None = None
    """New expiry instant, 0 to clear it, None to keep it."""
    note: bytes | None = None
    """Shown as progress while it waits (the state RETRY with its error)."""


class Snooze(msgspec.Struct, frozen=True, tag=True):
    """Not now: the task goes back to wait `delay_us`, and no attempt is spent."""

    delay_us: int


class Released(msgspec.Struct, frozen=True, tag=True):
    """Handed back unstarted to the front of its queue; no attempt is spent."""


class Replaced(msgspec.Struct, frozen=True, tag=True):
    """The task gave its place to others: it waits like a seat, and one of `then` (or what follows them) fills it. No
    attempt is spent."""

    then: tuple[Message, ...] = ()


class Parked(msgspec.Struct, frozen=True, tag=True):
    """Nobody here knows the task's name: kept aside until a session announces it. No attempt is spent."""


class Crashed(msgspec.Struct, frozen=True, tag=True):
    """The holder was seen to die while the body ran: charged to the task's crash budget."""

    error: bytes | None = None
    """Kept as the result if the budget is spent."""


Outcome: TypeAlias = Done | Failed | Cancelled | Retry | Snooze | Released | Replaced | Parked | Crashed


class Settlement(msgspec.Struct, frozen=True):
    """How a claim ended, presented to the store under the claim's token."""

    id: str
    gen: int
    tok: int
    nonce: str
    outcome: Outcome


@lru_cache(maxsize=1024)
def _digest_start(name: str, queue: str, priority: int) -> Any:
    from hashlib import sha256  # loads OpenSSL, which a process that never pushes or takes need not

    return sha256(f"{name}\0{queue}\0{priority}\0".encode())


def digest(message: Message) -> bytes:
    """8 bytes that tell two messages with the same id apart: over name, queue, priority and payload, not the times."""
    envelope = message.envelope
    hashed = _digest_start(envelope.name, envelope.queue, envelope.priority).copy()
    hashed.update(message.payload)
    return bytes(hashed.digest()[:8])


def settlement(claim: Claim, outcome: Outcome) -> Settlement:
    """The settlement that ends `claim` with `outcome`."""
    return Settlement(claim.id, claim.gen, claim.tok, claim.nonce, outcome)


def member_id(group: str, index: int) -> str:
    """Id of a like member of a group; `member_of` reads it back."""
    return f"{group}.{index}"


def opener_id(group: str) -> str:
    """Id of the built-in task that opens a group which comes behind a task."""
    return f"{group}:expand"


def member_of(task_id: str) -> tuple[str, int] | None:
    """(group id, index) if `task_id` is the id of a like member: a canonical UUID, a dot and a plain number."""
    if len(task_id) < 38 or task_id[36] != "." or task_id[8] != "-":
        return None
    group, _, index = task_id.partition(".")
    if not (index.isascii() and index.isdigit()) or (len(index) > 1 and index[0] == "0") or len(index) > 9:
        return None
    return (group, int(index)) if is_uuid(group) else None


_HEX = frozenset("0123456789abcdef")


def is_uuid(text: str) -> bool:
    """True for a UUID in its canonical spelling: 36 characters, lower case, dashes in place."""
    if len(text) != 36 or text[8] != "-" or text[13] != "-" or text[18] != "-" or text[23] != "-":
        return False
    return _HEX.issuperset(text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:])
