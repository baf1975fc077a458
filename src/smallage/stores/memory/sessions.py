"""The memory store's verbs of sessions: their lives, leases, orders and answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from smallage.stores.base import ANSWER_US, LEASE_US, PARKED_US, Held, Order, SessionInfo, SessionView, Ticked
from smallage.stores.memory.acts import Acts
from smallage.stores.memory.notice import MemoryMailbox
from smallage.stores.memory.records import Session


class Sessions(Acts):
    """Who works here, and what becomes of the work of those who are lost."""

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

    def answer(self, ticket: str, node: str, data: bytes) -> None:
        with self._act() as (books, now):
            books.answers[ticket] = (now, {**self._answers(ticket, now), node: data})
            books.changed.add(ticket)

    def answers(self, ticket: str) -> dict[str, bytes]:
        with self._act() as (_, now):
            return self._answers(ticket, now)

    def _answers(self, ticket: str, now: int) -> dict[str, bytes]:
        at, by_node = self._books.answers.get(ticket, (0, {}))
        return dict(by_node) if at + ANSWER_US > now else {}
