"""Verbs for sessions: who works here, whose lease is over, and orders for the living."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from smallage.stores.base import Held, Order, SessionInfo, SessionView, Ticked
from smallage.stores.redis.keys import decode_id, encode_id
from smallage.stores.redis.partition import Partition

if TYPE_CHECKING:
    from smallage.stores.redis.mailbox import RedisMailbox

_info_bytes = msgspec.msgpack.Encoder()
_info_of = msgspec.msgpack.Decoder(SessionInfo)


class Sessions(Partition):
    """announce, tick, leave, held, workers, control, mailbox, answer, answers."""

    def answer(self, ticket: str, node: str, data: bytes) -> None:
        """See `Store.answer`."""
        self._link.run("answer", encode_id(ticket), node, data)

    def answers(self, ticket: str) -> dict[str, bytes]:
        """See `Store.answers`."""
        flat = self._link.run("answers", encode_id(ticket))
        return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}

    def announce(self, session: str, info: SessionInfo) -> None:
        """See `Store.announce`."""
        self._grow(
            "announce", session, info.lease_us, _info_bytes.encode(info), info.inbox, "\0".join(info.names),
            "\0".join(info.queues),
        )  # fmt: skip
        if info.names:
            self._unpark(info.names)

    def tick(self, sessions: Sequence[str], dead: Sequence[str] = ()) -> Ticked:
        """See `Store.tick`. One script does a bounded part; it is repeated while there is more."""
        promoted = 0
        taken: list[str] = []
        while True:
            reply = self._grow("tick", len(sessions), *sessions, len(dead), *dead)
            now, due, lease, unknown, more_promoted, more_taken, more, _ = reply
            promoted += more_promoted
            taken += [decode_id(raw) for raw in more_taken]
            if not more:
                break
        return Ticked(
            now_us=int(now), next_due_us=int(due) if due else None, next_lease_us=int(lease) if lease else None,
            unknown=tuple([raw.decode() for raw in unknown]), promoted=promoted, taken_back=tuple(taken),
        )  # fmt: skip

    def leave(self, session: str) -> list[str]:
        """See `Store.leave`."""
        return [decode_id(raw) for raw in self._link.run("leave", session)]

    def held(self, session: str) -> list[Held]:
        """See `Store.held`."""
        flat = self._link.run("held", session)
        return [
            Held(decode_id(flat[i]), flat[i + 1], int(flat[i + 2]), flat[i + 3].decode())
            for i in range(0, len(flat), 4)
        ]

    def workers(self) -> list[SessionView]:
        """See `Store.workers`."""
        flat = self._link.run("workers")
        views = [
            SessionView(
                session=flat[i].decode(), info=_info(flat[i + 1]), lease_end_us=int(flat[i + 2]), held=flat[i + 3]
            )
            for i in range(0, len(flat), 4)
        ]
        return sorted(views, key=lambda view: view.session)

    def dead_peers(self) -> list[str]:
        """See `Store.dead_peers`: Redis cannot prove a death."""
        return []

    def control(self, order: Order) -> bool:
        """See `Store.control`."""
        words = (order.session, order.kind, encode_id(order.id) if order.id else b"", order.tok, order.text)
        return bool(self._link.run("control", *words, repeat=False))

    def mailbox(self, name: str) -> RedisMailbox:
        """See `Store.mailbox`."""
        from smallage.stores.redis.mailbox import RedisMailbox  # for supervisors only

        return RedisMailbox(self._link, name)

    def _unpark(self, names: Sequence[str]) -> int:
        n, more = 0, True
        while more:
            count, more = self._link.run("unpark", len(names), *names)
            n += count
        return n


def _info(raw: bytes) -> SessionInfo:
    try:
        return _info_of.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return SessionInfo()  # announced by a version that says it differently
