"""The memory store's verbs that bring work in."""

from __future__ import annotations

from collections.abc import Sequence

from smallage.core.message import Message, digest, member_id
from smallage.stores.base import MAX_PUSH, GroupBatch, PushVerdict
from smallage.stores.memory.acts import Acts
from smallage.stores.memory.ledger import Ledger
from smallage.stores.memory.records import Group, envelope_times


class Pushing(Acts):
    """push and group_push."""

    def push(self, messages: Sequence[Message]) -> list[PushVerdict]:
        if len(messages) > MAX_PUSH:
            raise ValueError(f"push takes at most {MAX_PUSH} messages a call; split the batch")
        with self._act() as (books, now):
            verdicts = self._verdicts(messages, now)
            if "conflict" not in verdicts:
                for message, verdict in zip(messages, verdicts, strict=True):
                    if verdict == "ok":
                        books.accept(message, now)
            return verdicts

    def _verdicts(self, messages: Sequence[Message], now: int) -> list[PushVerdict]:
        seen: dict[str, bytes] = {}
        verdicts: list[PushVerdict] = []
        for message in messages:
            verdict: PushVerdict = self._books.verdict(message, now)
            if verdict == "ok" and message.id in seen:
                verdict = "dup" if seen[message.id] == digest(message) else "conflict"
            seen.setdefault(message.id, digest(message))
            verdicts.append(verdict)
        return verdicts

    def group_push(self, batch: GroupBatch) -> PushVerdict:
        if len(batch.rows) + len(batch.members) + len(batch.also) > MAX_PUSH:
            raise ValueError(
                f"group_push takes at most {MAX_PUSH} rows, members and other messages a call; split the batch"
            )
        with self._act() as (books, now):
            return self._late(books, batch, now) if batch.late else self._build(books, batch, now)

    def _build(self, books: Ledger, batch: GroupBatch, now: int) -> PushVerdict:
        group = books.find_group(batch.id, now)
        old = group if group is not None else Group(batch.id, batch.keep_us, now)
        added = len(batch.rows) + len(batch.members)
        dup_places = added == 0 or batch.offset + added <= old.total
        dup_seal = not batch.seal or (old.sealed and (batch.body is None or batch.body.id == old.body))
        if self._conflicts(books, batch, old, dup_places, dup_seal, now):
            return "conflict"
        if dup_places and dup_seal and group is not None:
            return "dup"
        if group is None:
            books.remove_group(batch.id)
        books.groups[batch.id] = old
        if not dup_places:
            self._add_rows(books, old, batch, now)
            for message in batch.members:
                assert message.index is not None
                self._add_member(books, old, message, message.index, now)
        if batch.seal and not old.sealed:
            self._seal(books, old, batch.body, now)
        books.touch(old)
        books.finish_if_ended(old, now)
        self._bring(batch.also, now)
        return "ok"

    def _conflicts(
        self, books: Ledger, batch: GroupBatch, old: Group, dup_places: bool, dup_seal: bool, now: int
    ) -> bool:
        if batch.template is not None and old.digest is not None and digest(batch.template) != old.digest:
            return True
        if batch.rows and ((old.unlike and not old.rows) or (batch.template is None and old.template is None)):
            return True
        if batch.members and (batch.rows or old.rows):
            return True
        if not dup_places and (old.sealed or batch.offset != old.total):
            return True
        if old.sealed and not dup_seal:
            return True
        if any(self._foreign(books, old, message, message.index, now) for message in batch.members):
            return True
        news = [] if dup_places else list(batch.members)
        if batch.body is not None and not dup_seal:
            news.append(batch.body)
        return any(books.verdict(message, now, repeats=False) == "conflict" for message in news)

    def _foreign(self, books: Ledger, group: Group, member: Message, index: int | None, now: int) -> bool:
        """A task of this id is there and is no such member of the group: it would never be counted."""
        record = books.find_record(member.id, now)
        if record is None or books.makes_room(record):
            return False
        return (record.group, record.index) != (group.id, index)

    def _add_rows(self, books: Ledger, group: Group, batch: GroupBatch, now: int) -> None:
        if not batch.rows:
            return
        if group.template is None:
            assert batch.template is not None
            group.template, group.digest = batch.template, digest(batch.template)
            group.due_us, group.expires_us = envelope_times(batch.template.envelope, now)
        first = len(group.rows)
        group.rows.extend(batch.rows)
        group.total += len(batch.rows)
        if group.revoked:
            books.cancel_rows(group, now)
            return
        for index in range(first, len(group.rows)) if books.ahead else ():
            if books.is_revoked_ahead(member_id(group.id, index), now):
                books.end(books.member_record(group, index), "cancelled", "revoked", None, now)
        books.skip_ended(group)
        if group.cursor < len(group.rows):
            books.place_cursor(group, len(batch.rows), now)

    def _add_member(self, books: Ledger, group: Group, message: Message, index: int, now: int) -> None:
        group.unlike[index] = message.id
        group.total += 1
        if books.verdict(message, now, repeats=False) == "ok":
            books.accept(message, now, member=(group, index))

    def _seal(self, books: Ledger, group: Group, body: Message | None, now: int) -> None:
        group.sealed = True
        if body is not None:
            group.body = body.id
            if books.verdict(body, now, repeats=False) == "ok":
                books.accept(body, now, body_of=group)

    def _late(self, books: Ledger, batch: GroupBatch, now: int) -> PushVerdict:
        if batch.rows or batch.template or batch.seal or batch.body:
            raise ValueError("a late batch carries members (and `also`) only")
        group = books.find_group(batch.id, now)
        if group is None or group.ended_us or not group.sealed:
            return "conflict"
        news: dict[str, Message] = {}
        for message in batch.members:
            record, rowed = books.find_record(message.id, now), books.rowed(message.id, now)
            if record is not None and not books.makes_room(record):
                known = record.group == group.id
            else:
                known = rowed is not None and rowed[0] is group
                if rowed is None:
                    news.setdefault(message.id, message)
                    continue
            if not known:
                return "conflict"
        for message in news.values():
            self._add_member(books, group, message, group.total, now)
        if not news:
            return "dup"
        books.touch(group)
        books.finish_if_ended(group, now)
        self._bring(batch.also, now)
        return "ok"

    def _bring(self, messages: Sequence[Message], now: int) -> None:
        """Push or fill what can be, and leave the rest: `then` and `also`."""
        for message in messages:
            if self._books.verdict(message, now, repeats=False) == "ok":
                self._books.accept(message, now)
