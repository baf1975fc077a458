"""How the memory store hands out claims: ready lines, cursors of groups, and what limits hold back."""

from __future__ import annotations

from dataclasses import dataclass, field

from smallage.core.message import Claim, member_id
from smallage.core.states import State
from smallage.stores.base import MAX_HELD_BACK
from smallage.stores.memory.entering import Entering
from smallage.stores.memory.records import Group, Limit, Record


@dataclass(slots=True)
class Taking:
    """A claim under way."""

    session: str
    nonce: str
    n: int
    now: int
    claims: list[Claim] = field(default_factory=list)
    held_back: int = 0

    @property
    def full(self) -> bool:
        return len(self.claims) >= self.n or self.exhausted

    @property
    def exhausted(self) -> bool:
        return self.held_back >= MAX_HELD_BACK


class Ledger(Entering):
    """All the books, and the edge into running."""

    def take(self, queue: str, taking: Taking) -> None:
        """Claim entries of a queue, by priority and order."""
        for priority in range(10):
            for key in sorted(self.limits):
                self._take_held_back(key, queue, priority, taking)
            line = self.ready.get((queue, priority))
            while line and not taking.full:
                entry = next(iter(line))
                limit = self.limit_of(entry)
                if (
                    limit is not None
                    and not self._expired(entry, taking.now)
                    and not self._has_token(limit, taking.now)
                ):
                    self.hold_back(entry, limit, queue, priority)
                    taking.held_back += 1
                else:
                    self._take_entry(entry, limit, taking)
        if not any(self.ready.get((queue, priority)) for priority in range(10)) and not self._lets_go(
            queue, taking.now
        ):
            self.bells.silence(queue)

    def _lets_go(self, queue: str, now: int) -> bool:
        """True if something that was held back for this queue may run now."""
        keys = {limit.key for limit in self.limits.values() if any(place[0] == queue for place in limit.lines)}
        return any(self.limits[key].instant <= now for key in keys)

    def _take_held_back(self, key: str, queue: str, priority: int, taking: Taking) -> None:
        """Claim what a key held back, first come first served, as long as it has tokens."""
        limit = self.limits.get(key)
        while limit is not None and (line := limit.lines.get((queue, priority))):
            if taking.full or not self._has_token(limit, taking.now):
                return
            self._take_entry(next(iter(line)), limit, taking)

    def _take_entry(self, entry: str, limit: Limit | None, taking: Taking) -> None:
        record = self.next_record(entry)
        if self.ended_at_claim(record, taking.now):
            return
        if limit is not None and limit.spec is not None:
            limit.pay(taking.now)
            if limit.lines:
                self.due_keys[limit.key] = limit.instant
        taking.claims.append(self.hand_out(record, taking.session, taking.nonce, taking.now))

    def next_record(self, entry: str) -> Record:
        """The record behind an entry, out of its line; a group's next unclaimed member gets one made."""
        if not entry.startswith("*"):
            record = self.records[entry]
            self.unplace(record)
            return record
        group = self.groups[entry[1:]]
        record = self.member_record(group, group.cursor)
        group.cursor += 1
        self.skip_ended(group)
        return record

    # -- limits -----------------------------------------------------------------------------------------------------
    def limit_of(self, entry: str) -> Limit | None:
        """What limits the tasks of an entry."""
        if not self.limits:
            return None
        if entry.startswith("*"):
            template = self.groups[entry[1:]].template
            assert template is not None
            name = template.envelope.name
        elif self.records[entry].after is not None:
            return None
        else:
            name = self.records[entry].envelope.name
        limit = self.limits.get("task:" + name)
        return limit if limit is not None and limit.spec is not None else None

    def _has_token(self, limit: Limit, now: int) -> bool:
        limit.cut(now)
        if limit.instant <= now:
            return True
        if limit.lines:
            self.due_keys[limit.key] = limit.instant
        return False

    def _expired(self, entry: str, now: int) -> bool:
        holder = self.groups[entry[1:]] if entry.startswith("*") else self.records[entry]
        return holder.expires_us is not None and holder.expires_us <= now

    # -- into somebody's hands --------------------------------------------------------------------------------------
    def member_record(self, group: Group, index: int, state: State = "ready") -> Record:
        """Give a like member a record of its own."""
        assert group.template is not None
        envelope = group.template.envelope
        record = Record(
            id=member_id(group.id, index), envelope=envelope, payload=None, digest=group.digest or b"", state=state,
            queue=envelope.queue, priority=envelope.priority, group=group.id, index=index, like=True,
            expires_us=group.expires_us, pushed_us=group.opened_us,
        )  # fmt: skip
        self.records[record.id] = record
        return record

    def ended_at_claim(self, record: Record, now: int) -> bool:
        """End what may not start any more: expired tasks."""
        if record.expires_us is not None and record.expires_us <= now:
            self.end(record, "dead", "expired", None, now)
            return True
        return False

    def hand_out(self, record: Record, session_id: str, nonce: str, now: int) -> Claim:
        self.last_tok = max(self.last_tok + 1, now)
        record.state, record.session, record.ran = "running", session_id, True
        record.tok, record.nonce, record.started_us = self.last_tok, nonce, now
        self.sessions[session_id].held[record.id] = None
        if group := self.groups.get(record.group or ""):
            group.running += 1
            self.touch(group)
        return self.claim_of(record)

    def claim_of(self, record: Record) -> Claim:
        payload, row = self.payload_of(record)
        assert payload is not None
        return Claim(
            id=record.id, gen=record.gen, tok=record.tok, nonce=record.nonce, name=record.envelope.name,
            payload=payload, row=row, queue=record.queue, priority=record.priority, failures=record.failures,
            crashes=record.crashes, lost=record.lost, releases=record.releases, group=record.group,
            index=record.index, body_of=record.body_of, pushed_us=record.pushed_us, claimed_us=record.started_us,
            expires_us=record.expires_us, keep_us=record.envelope.keep_us, after=record.after,
            reason=record.after_reason,
        )  # fmt: skip
