"""The verbs of the memory store. Each takes the one lock, reads the clock once, and works on the ledger."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from smallage.core.message import (
    Cancelled,
    Claim,
    Crashed,
    Done,
    Failed,
    Message,
    Parked,
    Released,
    Retry,
    Settlement,
    Snooze,
    digest,
)
from smallage.core.states import TERMINAL, State
from smallage.stores.base import (
    LEASE_US,
    MAX_PUSH,
    PARKED_US,
    Claimed,
    ClaimRequest,
    GroupBatch,
    GroupView,
    Held,
    MemberResult,
    Order,
    PushVerdict,
    RevokeVerdict,
    SessionInfo,
    SessionView,
    Settled,
    SettleVerdict,
    TaskView,
    Ticked,
)
from smallage.stores.memory.audit import breaches
from smallage.stores.memory.ledger import Ledger
from smallage.stores.memory.notice import MemoryMailbox, MemoryWatch
from smallage.stores.memory.records import Group, Record, Session, envelope_times


def _wall_us() -> int:
    return time.time_ns() // 1000


class MemoryStore:
    """See `smallage.stores.base.Store`."""

    def __init__(
        self,
        url: str = "memory://",
        *,
        namespace: str = "smallage",
        clock: Callable[[], int] | None = None,
        nonce: Callable[[], str] | None = None,
    ) -> None:
        self.url = url
        self.namespace = namespace
        self._clock = clock or _wall_us
        self._lock = threading.RLock()
        self._books = Ledger()
        self._reached_us: int | None = None
        self._grace_until_us = 0
        self.epoch = (nonce or (lambda: secrets.token_hex(8)))()

    @contextmanager
    def _act(self) -> Iterator[tuple[Ledger, int]]:
        """One atomic act: the lock is held, the clock read once, watchers told at the end."""
        with self._lock:
            yield self._books, self._clock()
            self._books.tell_watches()

    def setup(self) -> None:
        """Nothing to set up."""

    def close(self) -> None:
        """Nothing to let go of."""

    def after_fork(self) -> None:
        """A forked child has a copy that nobody else sees; start it empty-handed."""
        self._lock = threading.RLock()

    # -- in ---------------------------------------------------------------------------------------------------------
    def push(self, messages: Sequence[Message]) -> list[PushVerdict]:
        if len(messages) > MAX_PUSH:
            raise ValueError(f"push takes at most {MAX_PUSH} messages a call; split the batch")
        with self._act() as (books, now):
            verdicts = self._verdicts(messages, now)
            if "conflict" not in verdicts:
                for message, verdict in zip(messages, verdicts, strict=True):
                    if verdict == "ok":
                        books.insert(message, now)
            return verdicts

    def _verdicts(self, messages: Sequence[Message], now: int) -> list[PushVerdict]:
        seen: dict[str, bytes] = {}
        verdicts: list[PushVerdict] = []
        for message in messages:
            verdict = self._books.verdict(message, now)
            if verdict == "ok" and message.id in seen:
                verdict = "dup" if seen[message.id] == digest(message) else "conflict"
            seen.setdefault(message.id, digest(message))
            verdicts.append(verdict)  # type: ignore[arg-type]
        return verdicts

    def group_push(self, batch: GroupBatch) -> PushVerdict:
        if len(batch.rows) + len(batch.members) > MAX_PUSH:
            raise ValueError(f"group_push takes at most {MAX_PUSH} rows or members a call; split the batch")
        with self._act() as (books, now):
            group = books.find_group(batch.id, now)
            old = group if group is not None else Group(batch.id, batch.keep_us, now)
            messages = list(batch.members) + ([batch.body] if batch.body else [])
            added = len(batch.rows) + len(batch.members)
            dup_places = added == 0 or batch.offset + added <= old.total
            dup_seal = not batch.seal or (old.sealed and (batch.body is None or batch.body.id == old.body))
            taken = "conflict" in self._verdicts(messages, now)
            if taken or self._batch_conflicts(batch, old, dup_places, dup_seal, now):
                return "conflict"
            if dup_places and dup_seal and group is not None:
                return "dup"
            if group is None:
                books.remove_group(batch.id)
            books.groups[batch.id] = old
            if not dup_places:
                self._fill(old, batch, now)
            if batch.seal and not old.sealed:
                self._seal(old, batch, now)
            books.touch(old)
            books.finish_if_ended(old, now)
            return "ok"

    def _batch_conflicts(self, batch: GroupBatch, old: Group, dup_places: bool, dup_seal: bool, now: int) -> bool:
        if batch.template is not None and old.digest is not None and _template_digest(batch.template) != old.digest:
            return True
        if batch.rows and (old.unlike or (batch.template is None and old.template is None)):
            return True
        if batch.members and (batch.rows or old.rows):
            return True
        if any(self._foreign(message, now) for message in batch.members):
            return True
        if not dup_places and (old.sealed or batch.offset != old.total):
            return True
        return old.sealed and not dup_seal

    def _foreign(self, member: Message, now: int) -> bool:
        """A task of this id is there and is no such member of the group: it would never be counted."""
        record = self._books.find_record(member.id, now)
        return record is not None and (record.group, record.index) != (member.group, member.index)

    def _fill(self, group: Group, batch: GroupBatch, now: int) -> None:
        books = self._books
        if batch.rows:
            if group.template is None:
                assert batch.template is not None
                group.template, group.digest = batch.template, _template_digest(batch.template)
                group.due_us, group.expires_us = envelope_times(batch.template.envelope, now)
            group.rows.extend(batch.rows)
            group.total += len(batch.rows)
            if group.revoked:
                books.cancel_rows(group, now)
            else:
                books.place_cursor(group, len(batch.rows), now)
        for message in batch.members:
            assert message.index is not None
            group.unlike[message.index] = message.id
            group.total += 1
            if books.verdict(message, now) == "ok":
                record = books.insert(message, now)
                if group.revoked:
                    books.unplace(record)
                    books.end(record, "cancelled", "revoked", None, now)

    def _seal(self, group: Group, batch: GroupBatch, now: int) -> None:
        group.sealed = True
        if batch.body is not None:
            group.body = batch.body.id
            if self._books.verdict(batch.body, now) == "ok":
                body = self._books.insert(batch.body, now, "waiting")
                body.body_of, body.expires_us = group.id, None

    # -- work -------------------------------------------------------------------------------------------------------
    def claim(self, session: str, request: ClaimRequest) -> Claimed:
        with self._act() as (_, now):
            return self._claim(session, request, now)

    def _claim(self, session_id: str, request: ClaimRequest, now: int) -> Claimed:
        books = self._books
        session = books.sessions.get(session_id)
        books.promote(now)
        claims: list[Claim] = []
        if session is not None and request.n > 0:
            if session.nonce == request.nonce:
                again = [books.records[i] for i in session.held if books.records[i].nonce == request.nonce]
                claims = [books.claim_of(record) for record in sorted(again, key=lambda record: record.tok)]
            else:
                session.nonce = request.nonce
                for queue in request.queues:
                    if queue not in books.paused and len(claims) < request.n:
                        claims += books.take(queue, session_id, request.nonce, now, request.n - len(claims))
        return Claimed(tuple(claims), books.next_due(), now)

    def settle(self, session: str, settlements: Sequence[Settlement], request: ClaimRequest | None = None) -> Settled:
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

    def _apply(self, record: Record, outcome: Any, now: int) -> None:
        books = self._books
        match outcome:
            case Done():
                books.end(record, "done", None, outcome.result, now)
                self._then(outcome.then, now)
            case Failed():
                record.failures, record.ran = record.failures + 1, False
                books.end(record, "dead", outcome.reason, outcome.error, now)
                self._then(outcome.then, now)
            case Cancelled():
                books.end(record, "cancelled", outcome.reason, outcome.result, now)
            case Retry():
                record.failures += 1
                if books.goes_back(record, now):
                    self._retry(record, outcome, now)
            case Snooze():
                record.releases += 1
                if books.goes_back(record, now):
                    books.to_scheduled(record, now + outcome.delay_us, now)
            case Released():
                record.releases += 1
                if books.goes_back(record, now):
                    books.to_ready(record, front=True)
            case Parked():
                record.releases += 1
                if books.goes_back(record, now):
                    books.park(record, now)
            case Crashed():
                books.charge(record, now, witnessed=True, error=outcome.error)

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
        self._books._changed.add(record.id)
        due = outcome.due_us if outcome.due_us is not None else now + outcome.delay_us
        self._books.to_scheduled(record, due, now)

    def _then(self, messages: Sequence[Message], now: int) -> None:
        for message in messages:
            if self._books.verdict(message, now) == "ok":
                self._books.insert(message, now)

    def progress(self, claim: Claim, note: bytes) -> SettleVerdict:
        with self._act() as (books, now):
            record = books.find_record(claim.id, now)
            current = (claim.gen, claim.tok, claim.nonce)
            if record is None or record.state != "running" or (record.gen, record.tok, record.nonce) != current:
                books.counters["stale"] += 1
                return "stale"
            record.progress = note
            books._changed.add(record.id)
            return "ok"

    def listen(self, session: str, queues: Sequence[str], timeout: float) -> bool:
        return self._books.bells.listen(session, queues, timeout)

    def nudge(self, session: str) -> None:
        self._books.bells.nudge(session)

    # -- sessions ---------------------------------------------------------------------------------------------------
    def announce(self, session: str, info: SessionInfo) -> None:
        with self._act() as (books, now):
            self._reached(now)
            known = books.sessions.get(session)
            if known is None:
                books.sessions[session] = Session(info, now + info.lease_us)
            else:
                known.info, known.lease_end_us = info, now + info.lease_us
            for name in info.names:
                books.unpark(name)

    def _reached(self, now: int) -> None:
        """The grace rule: see the module text of `smallage.stores.base`."""
        sessions = self._books.sessions.values()
        lease = max((session.info.lease_us for session in sessions), default=LEASE_US)
        if self._reached_us is not None:
            back = now < self._reached_us
            if back or now - self._reached_us > lease // 2:
                self._grace_until_us = now + lease
            if back:
                for session in sessions:
                    session.lease_end_us = min(session.lease_end_us, now + session.info.lease_us)
        self._reached_us = now

    def tick(self, sessions: Sequence[str], dead: Sequence[str] = ()) -> Ticked:
        with self._act() as (books, now):
            self._reached(now)
            unknown = []
            for session_id in sessions:
                session = books.sessions.get(session_id)
                if session is None:
                    unknown.append(session_id)
                else:
                    session.lease_end_us = max(session.lease_end_us, now + session.info.lease_us)
            lost = [s for s in dict.fromkeys(dead) if s in books.sessions and s not in sessions]
            if now >= self._grace_until_us:
                over = [(v.lease_end_us, s) for s, v in books.sessions.items() if v.lease_end_us <= now]
                lost += [s for _, s in sorted(over) if s not in lost and s not in sessions]
            taken = [task_id for session_id in lost for task_id in books.take_back(session_id, now)]
            promoted = books.promote(now)
            self._give_up_parked(now)
            books.prune(now)
            foreign = [v.lease_end_us for s, v in books.sessions.items() if s not in sessions]
            return Ticked(
                now_us=now, next_due_us=books.next_due(), next_lease_us=min(foreign, default=None),
                unknown=tuple(unknown), promoted=promoted, taken_back=tuple(taken),
            )  # fmt: skip

    def _give_up_parked(self, now: int) -> None:
        for line in list(self._books.parked.values()):
            for record in [self._books.records[i] for i in line]:
                if record.pushed_us + PARKED_US <= now:
                    self._books.unlist_parked(record)
                    self._books.end(record, "dead", "unknown-task", None, now)

    def leave(self, session: str) -> list[str]:
        with self._act() as (books, now):
            gone = books.sessions.get(session)
            if gone is None:
                return []
            held = sorted((books.records[i] for i in gone.held), key=lambda record: -record.tok)
            for record in held:
                books.drop_claim(record)
                record.releases += 1
                if books.goes_back(record, now):
                    books.to_ready(record, front=True)
            del books.sessions[session]
            return [record.id for record in reversed(held)]

    def held(self, session: str) -> list[Held]:
        with self._act() as (books, _):
            known = books.sessions.get(session)
            records = [books.records[i] for i in known.held] if known else []
            return [Held(r.id, r.gen, r.tok, r.nonce) for r in sorted(records, key=lambda r: r.tok)]

    def workers(self) -> list[SessionView]:
        with self._act() as (books, _):
            return [
                SessionView(session=s, info=v.info, lease_end_us=v.lease_end_us, held=len(v.held))
                for s, v in sorted(books.sessions.items())
            ]

    def dead_peers(self) -> list[str]:
        return []

    def control(self, order: Order) -> bool:
        with self._act() as (books, _):
            return books.send(order)

    def mailbox(self, name: str) -> MemoryMailbox:
        with self._act() as (books, _):
            box = books.mailboxes[name] = MemoryMailbox(books.orders.setdefault(name, deque()))
            return box

    # -- readers ----------------------------------------------------------------------------------------------------
    def state(self, ids: Sequence[str]) -> list[TaskView | None]:
        with self._act() as (books, now):
            return [books.view(task_id, now) for task_id in ids]

    def watch(self) -> MemoryWatch:
        return MemoryWatch(self._books.watches)

    def group(self, group: str) -> GroupView | None:
        with self._act() as (books, now):
            found = books.find_group(group, now)
            return found.view() if found else None

    def results(self, group: str, offset: int, n: int) -> list[MemberResult]:
        with self._act() as (books, now):
            found = books.find_group(group, now)
            if found is None:
                return []
            places = range(offset, min(offset + min(n, MAX_PUSH), found.total))
            views = [(index, books.view(found.member(index), now)) for index in places]
            return [MemberResult(i, v.id, v.state, v.result, v.reason) for i, v in views if v is not None]

    def counts(self) -> dict[str, dict[str, int]]:
        with self._act() as (books, _):
            out: dict[str, dict[str, int]] = {"": {"done": 0, "dead": 0, "cancelled": 0, **books.counters}}
            for record in books.records.values():
                if record.state in TERMINAL:
                    out[""][record.state] += 0 if record.tombstone else 1
                else:
                    _add(out, record.queue, record.state, 1)
            for group in books.groups.values():
                if group.template is not None:
                    waiting = "scheduled" if group.entry in books.due else "ready"
                    queue = group.template.envelope.queue
                    _add(out, queue, waiting, len(list(self._unclaimed(group))))
                    for end in group.ends.values():
                        out[""][end.state] += 1
            return out

    def _unclaimed(self, group: Group) -> Iterator[int]:
        for index in range(group.cursor, len(group.rows)):
            if index not in group.ends:
                yield index

    def find(self, state: State, n: int = 100, after: str | None = None) -> list[TaskView]:
        with self._act() as (books, now):
            ids = sorted(r.id for r in books.records.values() if r.state == state and books.find_record(r.id, now))
            return [books.records[i].view() for i in ids if after is None or i > after][:n]

    def payload(self, task_id: str) -> tuple[bytes, bytes | None] | None:
        with self._act() as (books, now):
            record = books.find_record(task_id, now)
            if record is not None:
                payload, row = books.payload_of(record)
                return (payload, row) if payload is not None else None
            rowed = books.rowed(task_id, now)
            if rowed is None or rowed[1] in rowed[0].ends or rowed[0].template is None:
                return None
            return rowed[0].template.payload, rowed[0].rows[rowed[1]]

    def audit(self) -> list[str]:
        with self._act() as (books, now):
            return breaches(books, now)

    # -- operators --------------------------------------------------------------------------------------------------
    def revoke(self, ids: Sequence[str], terminate: bool = False) -> list[RevokeVerdict]:
        with self._act() as (_, now):
            return [self._revoke_one(task_id, terminate, now) for task_id in ids]

    def _revoke_one(self, task_id: str, terminate: bool, now: int) -> RevokeVerdict:
        books = self._books
        record = books.find_record(task_id, now)
        if record is None:
            rowed = books.rowed(task_id, now)
            if rowed is None:
                return "unknown"
            if rowed[1] in rowed[0].ends:
                return "ended"
            books.end(books.member_record(*rowed), "cancelled", "revoked", None, now)
            books.skip_ended(rowed[0])
            return "cancelled"
        if record.state in TERMINAL:
            return "ended"
        if record.state == "running":
            if not terminate:
                record.revoked = True
                return "running"
            books.send(Order(session=record.session or "", kind="cancel", id=record.id, tok=record.tok))
            books.drop_claim(record)
            books.end(record, "cancelled", "terminated", None, now)
            return "cancelled"
        books.unplace(record)
        books.end(record, "cancelled", "revoked", None, now)
        return "cancelled"

    def group_revoke(self, group: str, terminate: bool = False) -> int:
        with self._act() as (books, now):
            found = books.find_group(group, now)
            if found is None or found.ended_us:
                return 0
            found.revoked = True
            n = books.cancel_rows(found, now)
            for record in list(books.members(found)):
                if record.state not in TERMINAL and (record.state != "running" or terminate):
                    n += self._revoke_one(record.id, terminate, now) == "cancelled"
            books.touch(found)
            books.finish_if_ended(found, now)
            return n

    def group_retry(self, group: str) -> int:
        with self._act() as (books, now):
            found = books.find_group(group, now)
            if found is None:
                return 0
            found.revoked = False
            return sum(books.revive(r) for r in list(books.members(found)) if r.state == "dead")

    def requeue(self, ids: Sequence[str]) -> list[bool]:
        with self._act() as (books, now):
            records = [books.find_record(task_id, now) for task_id in ids]
            return [r is not None and r.state in TERMINAL and books.revive(r) for r in records]

    def forget(self, ids: Sequence[str]) -> int:
        with self._act() as (_, now):
            return sum(self._forget_one(task_id, now) for task_id in ids)

    def _forget_one(self, task_id: str, now: int) -> bool:
        books = self._books
        group = books.find_group(task_id, now)
        if group is not None and group.ended_us:
            books.remove_group(task_id)
            return True
        record = books.find_record(task_id, now)
        if record is not None and record.state in TERMINAL and record.group is None:
            return books.remove(task_id)
        return False

    def pause(self, queue: str) -> None:
        with self._act() as (books, _):
            books.paused.add(queue)

    def resume(self, queue: str) -> None:
        with self._act() as (books, _):
            books.paused.discard(queue)
            books.bells.ring(queue, 64)

    def purge(self, queue: str) -> int:
        with self._act() as (books, now):
            n, waiting = 0, ("ready", "scheduled")
            while found := [r for r in books.records.values() if r.queue == queue and r.state in waiting]:
                n += len(found)  # an end may release a body into this queue: then once more
                for record in found:
                    books.unplace(record)
                    books.end(record, "cancelled", "revoked", None, now)
                    if record.group not in books.groups:
                        books.remove(record.id)
            for group in list(books.groups.values()):
                if group.template is not None and group.template.envelope.queue == queue:
                    n += books.cancel_rows(group, now)
                    books.finish_if_ended(group, now)
            books.counters["purged"] += n
            return n

    def unpark(self, name: str | None = None) -> int:
        with self._act() as (books, _):
            names = list(books.parked) if name is None else [name]
            return sum(books.unpark(each) for each in names)


def _template_digest(template: Message) -> bytes:
    return digest(template)


def _add(out: dict[str, dict[str, int]], queue: str, state: str, n: int) -> None:
    if n:
        of = out.setdefault(queue, {})
        of[state] = of.get(state, 0) + n
