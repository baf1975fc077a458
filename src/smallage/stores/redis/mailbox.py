"""A supervisor's inbox: a connection that always blocks on a list, so that its descriptor says when to look."""

from __future__ import annotations

from typing import Any

from smallage.core.errors import StoreUnavailable
from smallage.stores.base import Order
from smallage.stores.redis import scripts
from smallage.stores.redis.keys import decode_id
from smallage.stores.redis.link import Link
from smallage.stores.redis.wire import ServerError, pack


class RedisMailbox:
    """See `Mailbox`. Orders wait in a second list until this process has them: a broken connection loses none."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._name = name
        self._inbox = f"{link.prefix}i:{name}"
        self._taken = f"{self._inbox}:"
        self._wire = link.dial()
        while self._ask("LMOVE", self._taken, self._inbox, "RIGHT", "LEFT") is not None:
            pass  # what an earlier reader took and may not have received
        self._block()

    def fileno(self) -> int:
        """See `Mailbox.fileno`."""
        return self._wire.fileno()

    def take(self) -> list[Order]:
        """See `Mailbox.take`. Waits for the server's answer only when it has just said that there is something."""
        arrived = self._wire.arrived()
        if not arrived:
            return []
        for reply in arrived:
            if isinstance(reply, ServerError):
                self.close()
                raise StoreUnavailable(f"{self._link.address.shown} ended the wait for orders: {reply.code}.")
        orders = [order_of(raw) for raw in self._collect()]
        self._ask("DEL", self._taken)
        self._block()
        return orders

    def close(self) -> None:
        """See `Mailbox.close`."""
        self._wire.close()

    def _block(self) -> None:
        self._wire.send(pack(("BLMOVE", self._inbox, self._taken, "LEFT", "RIGHT", 0)))

    def _collect(self) -> list[bytes]:
        script = scripts.load("mail")
        reply: list[bytes] = self._ask("EVAL", script.text, 1, self._link.prefix, "", self._name)
        return reply

    def _ask(self, *words: str | bytes | int) -> Any:
        try:
            self._wire.send(pack(words))
            return self._wire.read()
        except ServerError as error:
            self.close()
            raise self._link.refusal(error) from None


def order_of(raw: bytes) -> Order:
    """An order as include/orders.lua writes it."""
    session, rest = _cut(raw, 2)
    kind, rest = _cut(rest, 1)
    task_id, rest = _cut(rest, 2)
    return Order(
        session=session.decode(), kind=kind.decode(), id=decode_id(task_id) if task_id else "",
        tok=int.from_bytes(rest[:7], "big"), text=rest[7:].decode(),
    )  # fmt: skip


def _cut(raw: bytes, width: int) -> tuple[bytes, bytes]:
    end = width + int.from_bytes(raw[:width], "big")
    return raw[width:end], raw[end:]
