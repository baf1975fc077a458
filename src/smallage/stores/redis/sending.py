"""Messages and outcomes as arguments of scripts. Neighbours with one envelope object are sent as one run."""

from __future__ import annotations

from collections.abc import Sequence

from smallage.core.message import (
    DAY_US,
    Cancelled,
    Crashed,
    Done,
    Envelope,
    Failed,
    Message,
    Outcome,
    Parked,
    Released,
    Retry,
    Settlement,
    Snooze,
    digest,
)
from smallage.stores.base import ClaimRequest, GroupBatch
from smallage.stores.redis.keys import encode_id
from smallage.stores.redis.wire import Word

_NOTHING: tuple[Word, ...] = (0,)


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


def runs(messages: Sequence[Message]) -> list[Word]:
    """Number of runs, then the runs, as include/insert.lua reads them."""
    words: list[Word] = [0]
    number = begun = 0
    envelope: Envelope | None = None
    group: str | None = None
    for message in messages:
        if message.envelope is not envelope or message.group != group:
            envelope, group = message.envelope, message.group
            number += 1
            begun = len(words)
            words += (
                0, envelope.name, envelope.queue, envelope.priority, *times(envelope), kept(envelope.keep_us),
                budgets(envelope), b"" if group is None else encode_id(group),
            )  # fmt: skip
        words[begun] += 1  # type: ignore[operator]
        words += (encode_id(message.id), message.payload, digest(message))
        if group is not None:
            words.append(message.index or 0)
    words[0] = number
    return words


def group_batch(batch: GroupBatch) -> list[Word]:
    """The arguments of group_push after the epoch."""
    words: list[Word] = [encode_id(batch.id), kept(batch.keep_us), batch.offset]
    if batch.template is None:
        words.append(0)
    else:
        envelope = batch.template.envelope
        words += (
            1, envelope.name, envelope.queue, envelope.priority, *times(envelope), kept(envelope.keep_us),
            budgets(envelope), digest(batch.template), batch.template.payload,
        )  # fmt: skip
    words.append(len(batch.rows))
    words += batch.rows
    words += runs(batch.members)
    words.append(1 if batch.seal else 0)
    if batch.body is None:
        words.append(0)
    else:
        words += runs([batch.body])
    return words


def request_words(session: str, request: ClaimRequest) -> list[Word]:
    """The arguments of claim."""
    return [session, request.nonce, request.n, len(request.queues), *request.queues]


def settlement_words(words: list[Word], given: Settlement) -> None:
    """Append one settlement, as include/settling.lua reads it."""
    words += (encode_id(given.id), given.gen, given.tok, given.nonce)
    outcome = given.outcome
    if type(outcome) is Done and not outcome.then:
        if outcome.result is None:
            words.append("e")
        else:
            words += ("d", outcome.result)
    else:
        words += _less_common(outcome)


def _less_common(outcome: Outcome) -> list[Word]:
    match outcome:
        case Done():
            return ["D", *absent_or_bytes(outcome.result), *runs(outcome.then)]
        case Failed():
            return ["f", *absent_or_bytes(outcome.error), outcome.reason, *runs(outcome.then)]
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
