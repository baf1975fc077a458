"""The memory store's verbs of those who work: claim, settle, progress, listen."""

from __future__ import annotations

from collections.abc import Sequence

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
)
from smallage.stores.base import MAX_THEN, Claimed, ClaimRequest, Settled, SettleVerdict
from smallage.stores.memory.ledger import Taking
from smallage.stores.memory.pushing import Pushing
from smallage.stores.memory.records import Record


class Working(Pushing):
    """Claims and how they end."""

    def claim(self, session: str, request: ClaimRequest) -> Claimed:
        with self._act() as (_, now):
            return self._claim(session, request, now)

    def _claim(self, session_id: str, request: ClaimRequest, now: int) -> Claimed:
        books = self._books
        session = books.sessions.get(session_id)
        books.promote(now)
        if session is None or request.n <= 0:
            return Claimed((), books.next_due(), now)
        if session.nonce == request.nonce:
            again = [books.records[i] for i in session.held if books.records[i].nonce == request.nonce]
            claims = tuple(books.claim_of(record) for record in sorted(again, key=lambda record: record.tok))
            return Claimed(claims, books.next_due(), now)
        session.nonce = request.nonce
        taking = Taking(session_id, request.nonce, request.n, now)
        for queue in request.queues:
            if queue not in books.paused and not taking.full:
                books.take(queue, taking)
        return Claimed(tuple(taking.claims), now if taking.exhausted else books.next_due(), now)

    def settle(self, session: str, settlements: Sequence[Settlement], request: ClaimRequest | None = None) -> Settled:
        for given in settlements:
            if len(_then(given.outcome)) + len(_ends(given.outcome)) > MAX_THEN:
                raise ValueError(f"a settlement carries at most {MAX_THEN} messages and ends; push the rest by a task")
        with self._act() as (_, now):
            verdicts = tuple([self._settle_one(settlement, now) for settlement in settlements])
            return Settled(verdicts, self._claim(session, request, now) if request else Claimed(now_us=now))

    def _settle_one(self, given: Settlement, now: int) -> SettleVerdict:
        books = self._books
        record = books.find_record(given.id, now)
        if record is not None and record.state == "running":
            if (record.gen, record.tok, record.nonce) == (given.gen, given.tok, given.nonce):
                record.settled = given.tok
                books.drop_claim(record)
                self._apply(record, given.outcome, now)
                return "ok"
        if self._settled_before(record, given, now):
            return "dup"
        books.counters["stale"] += 1
        return "stale"

    def _settled_before(self, record: Record | None, given: Settlement, now: int) -> bool:
        if record is not None:
            return (record.gen, record.settled) == (given.gen, given.tok)
        rowed = self._books.rowed(given.id, now)
        end = rowed[0].ends.get(rowed[1]) if rowed else None
        return end is not None and (end.gen, end.settled) == (given.gen, given.tok)

    def _apply(self, record: Record, outcome: Outcome, now: int) -> None:
        books = self._books
        match outcome:
            case Done():
                books.end(record, "done", None, outcome.result, now, follow=False)
                self._follow(outcome.then, outcome.ends, now)
            case Failed():
                record.failures, record.ran = record.failures + 1, False
                books.end(record, "dead", outcome.reason, outcome.error, now, follow=False)
                self._follow(outcome.then, outcome.ends, now)
            case Cancelled():
                books.end(record, "cancelled", outcome.reason, outcome.result, now)
            case Retry():
                record.failures += 1
                if books.goes_back(record, now):
                    self._retry(record, outcome, now)
            case Crashed():
                books.charge(record, now, witnessed=True, error=outcome.error)
            case _:
                record.releases += 1
                if books.goes_back(record, now):
                    self._give_back(record, outcome, now)

    def _give_back(self, record: Record, outcome: Outcome, now: int) -> None:
        """The outcomes that spend no attempt."""
        match outcome:
            case Snooze():
                self._books.to_scheduled(record, now + outcome.delay_us, now)
            case Released():
                self._books.to_ready(record, front=True)
            case Parked():
                self._books.park(record, now)
            case Replaced():
                self._books.vacate(record, now)
                self._follow(outcome.then, (), now)

    def _retry(self, record: Record, outcome: Retry, now: int) -> None:
        if outcome.payload is not None:
            record.payload = outcome.payload
        if outcome.queue is not None:
            record.queue = outcome.queue
        if outcome.priority is not None:
            record.priority = outcome.priority
        if outcome.expires_us is not None:
            record.expires_us = outcome.expires_us or None
        record.progress = outcome.note
        if group := self._books.groups.get(record.group or ""):
            group.retried += 1
        self._books.changed.add(record.id)
        due = outcome.due_us if outcome.due_us is not None else now + outcome.delay_us
        self._books.to_scheduled(record, due, now)

    def _follow(self, then: Sequence[Message], ends: Sequence[End], now: int) -> None:
        for end in ends:
            self._books.give_end(end, now)
        self._bring(then, now)

    def progress(self, claim: Claim, note: bytes) -> SettleVerdict:
        with self._act() as (books, now):
            record = books.find_record(claim.id, now)
            current = (claim.gen, claim.tok, claim.nonce)
            if record is None or record.state != "running" or (record.gen, record.tok, record.nonce) != current:
                books.counters["stale"] += 1
                return "stale"
            record.progress = note
            books.changed.add(record.id)
            return "ok"

    def listen(self, session: str, queues: Sequence[str], timeout: float) -> bool:
        return self._books.bells.listen(session, queues, timeout)

    def nudge(self, session: str) -> None:
        self._books.bells.nudge(session)


def _then(outcome: Outcome) -> tuple[Message, ...]:
    return outcome.then if isinstance(outcome, Done | Failed | Replaced) else ()


def _ends(outcome: Outcome) -> tuple[End, ...]:
    return outcome.ends if isinstance(outcome, Done | Failed) else ()
