"""Messages and outcomes as arguments of scripts. Neighbours with one envelope object are sent as one run."""

from __future__ import annotations

from collections.abc import Sequence

from smallage.core.message import (
    DAY_US,
    Cancelled,
    Crashed,
    Done,
    End,
    Envelope,
    Failed,
    Message,
    Outcome,
    Parked,
    Released,
    Replaced,
    Retry,
    Settlement,
    Snooze,
    digest,
)
from smallage.stores.base import MAX_THEN, ClaimRequest, GroupBatch
from smallage.stores.redis.keys import encode_id
from smallage.stores.redis.wire import Word

_NOTHING: tuple[Word, ...] = (0,)
_ENDED = {"done": 4, "dead": 5, "cancelled": 6}


def optional(value: int | None) -> Word:
    """An integer, or empty for none."""
    return "" if value is None else value


def absent_or_bytes(value: bytes | None) -> tuple[Word, ...]:
    """Bytes that may be absent."""
    return _NOTHING if value is None else (1, value)


def times(envelope: Envelope) -> tuple[Word, Word, Word, Word]:
    """Delay, due, expires in, expires."""
    return (
        envelope.delay_us or "",
        optional(envelope.due_us),
        envelope.expires_in_us or "",
        envelope.expires_us or "",
    )


def kept(keep_us: int) -> Word:
    """A retention, empty for the usual one."""
    return "" if keep_us == DAY_US else keep_us


def budgets(envelope: Envelope) -> Word:
    """Crash and loss budgets, empty for the usual ones."""
    if envelope.max_crashes == 3 and envelope.max_lost == 10:
        return ""
    return f"{envelope.max_crashes} {envelope.max_lost}"


def runs(messages: Sequence[Message], group: str | None = None) -> list[Word]:
    """Number of runs, then the runs, as include/insert.lua reads them. `group`: whose members they are."""
    words: list[Word] = [0]
    number = begun = 0
    envelope: Envelope | None = None
    waits = False
    for message in messages:
        if message.envelope is not envelope or message.waits is not waits:
            envelope, waits = message.envelope, message.waits
            number += 1
            begun = len(words)
            words += (
                0, envelope.name, envelope.queue, envelope.priority, *times(envelope), kept(envelope.keep_us),
                budgets(envelope), (envelope.follow + (4 if waits else 0)) or "",
                b"" if group is None else encode_id(group),
            )  # fmt: skip
        words[begun] += 1  # type: ignore[operator]
        words += (encode_id(message.id), message.payload, digest(message))
        if group is not None:
            words.append(message.index or 0)
    words[0] = number
    return words


def group_batch(batch: GroupBatch) -> list[Word]:
    """The arguments of group_push after the epoch."""
    words: list[Word] = [encode_id(batch.id), kept(batch.keep_us), batch.offset, 1 if batch.late else 0]
    if batch.template is None:
        words.append(0)
    else:
        envelope = batch.template.envelope
        words += (
            1, envelope.name, envelope.queue, envelope.priority, *times(envelope), kept(envelope.keep_us),
            budgets(envelope), envelope.follow or "", digest(batch.template), batch.template.payload,
        )  # fmt: skip
    words.append(len(batch.rows))
    words += batch.rows
    words += runs(batch.members, batch.id)
    words.append(1 if batch.seal else 0)
    if batch.body is None:
        words.append(0)
    else:
        words += runs([batch.body])
    words += runs(batch.also)
    return words


def request_words(session: str, request: ClaimRequest) -> list[Word]:
    """The arguments of claim."""
    return [session, request.nonce, request.n, len(request.queues), *request.queues]


def settlement_words(words: list[Word], given: Settlement) -> None:
    """Append one settlement, as include/settling.lua reads it."""
    words += (encode_id(given.id), given.gen, given.tok, given.nonce)
    outcome = given.outcome
    if type(outcome) is Done and not outcome.then and not outcome.ends:
        if outcome.result is None:
            words.append("e")
        else:
            words += ("d", outcome.result)
    else:
        words += _less_common(outcome)


def _what_follows(ends: Sequence[End] | None, then: Sequence[Message]) -> list[Word]:
    """Number of ends (where there may be some), the ends, then the messages. Raises ValueError for too many."""
    if len(ends or ()) + len(then) > MAX_THEN:
        raise ValueError(f"a settlement carries at most {MAX_THEN} messages and ends; push the others by a task")
    words: list[Word] = [] if ends is None else [len(ends)]
    for end in ends or ():
        words += (
            encode_id(end.id), _ENDED[end.state], end.name, end.queue, *absent_or_bytes(end.result), end.reason or "",
            kept(end.keep_us),
        )  # fmt: skip
    return [*words, *runs(then)]


def _less_common(outcome: Outcome) -> list[Word]:
    match outcome:
        case Done():
            return ["D", *absent_or_bytes(outcome.result), *_what_follows(outcome.ends, outcome.then)]
        case Failed():
            return [
                "f", *absent_or_bytes(outcome.error), outcome.reason, *_what_follows(outcome.ends, outcome.then),
            ]  # fmt: skip
        case Replaced():
            return ["R", *_what_follows(None, outcome.then)]
        case Cancelled():
            return ["c", *absent_or_bytes(outcome.result), outcome.reason]
        case Retry():
            return [
                "r", optional(outcome.due_us), outcome.delay_us, *absent_or_bytes(outcome.error),
                *absent_or_bytes(outcome.payload), outcome.queue or "", optional(outcome.priority),
                optional(outcome.expires_us), *absent_or_bytes(outcome.note),
            ]  # fmt: skip
        case Snooze():
            return ["s", outcome.delay_us]
        case Released():
            return ["l"]
        case Parked():
            return ["k"]
        case Crashed():
            return ["x", *absent_or_bytes(outcome.error)]
        case _:
            raise TypeError(f"{type(outcome).__name__} is not an outcome that the store can settle")
