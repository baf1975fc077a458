"""Orders to running workers, and their answers."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Order(msgspec.Struct, frozen=True):
    """Something a running session is told. Kind "cancel": stop the task `id` if it still runs under `tok`."""

    session: str
    kind: str
    id: str = ""
    tok: int = 0
    text: str = ""


class Mailbox(Protocol):
    """A supervisor's inbox, made to be waited on together with other descriptors."""

    def fileno(self) -> int:
        """Readable when `take` has something to say."""

    def take(self) -> list[Order]:
        """The orders that have arrived, oldest first; never blocks. Raises StoreUnavailable when the connection broke:
        close it and open a new one; orders put meanwhile are not lost."""

    def close(self) -> None:
        """Stop listening; twice is fine."""


class Asking(Protocol):
    """The verbs of whoever orders and asks."""

    def control(self, order: Order) -> bool:
        """Put an order into the inbox of its session; False if there is no such session. It waits there for
        its reader, also when the session ends meanwhile and another of the same inbox follows."""

    def mailbox(self, name: str) -> Mailbox:
        """Open the inbox `name`, to which orders for sessions announced with `inbox=name` go. One reader at a time."""

    def answer(self, ticket: str, node: str, data: bytes) -> None:
        """Leave a node's answer under a ticket; a later one of the same node replaces it. Watchers of the ticket are
        told. All answers of a ticket are gone `ANSWER_US` after the latest."""

    def answers(self, ticket: str) -> dict[str, bytes]:
        """The answers so far, by node."""
