"""What all verbs stand on: the link to the server, and the epoch that tells an emptied store from the known one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from smallage.core.errors import StoreRefused
from smallage.stores.redis.keys import SCHEMA
from smallage.stores.redis.link import Link
from smallage.stores.redis.wire import Word


class Partition:
    """A namespace of a server. Base of the store's verbs."""

    def __init__(self, link: Link, namespace: str, nonce: Callable[[], str] | None) -> None:
        self.url = link.address.shown
        self.namespace = namespace
        self.epoch = ""
        self._link = link
        self._nonce = nonce or _random_text

    @property
    def breaks(self) -> int:
        """See `Store.breaks`."""
        return self._link.breaks

    def setup(self) -> None:
        """See `Store.setup`."""
        from smallage.stores.redis import fitness  # with logging: programs that only push need neither

        fitness.check(self._link)
        epoch, schema, _ = self._link.run("setup", self._nonce(), SCHEMA)
        if schema.decode() != SCHEMA:
            raise StoreRefused(
                f"{self.url} holds tasks in layout {schema.decode()}, and this version of Smallage writes layout "
                f"{SCHEMA}. Use the version that wrote them, or another namespace."
            )
        self._meet(epoch)

    def _grow(self, verb: str, *words: Word) -> list[Any]:
        """Run a verb that must know the store's epoch. Sets the store up anew when somebody has emptied it."""
        while True:
            reply: list[Any] | bytes | None = self._link.run(verb, self.epoch, *words)
            if reply is None:
                self._emptied()
                continue
            items = reply if isinstance(reply, list) else [reply]
            if items[-1]:
                self._meet(items[-1])
            return items

    def _meet(self, epoch: bytes) -> None:
        found = epoch.decode()
        if self.epoch and found != self.epoch:
            self._lost()
        self.epoch = found

    def _emptied(self) -> None:
        if self.epoch:
            self._lost()
        self.epoch = ""
        self.setup()

    def _lost(self) -> None:
        text = f"The store at {self.url} (namespace {self.namespace}) was emptied: its tasks and results are gone."
        if self._link.address.pin_epoch:
            raise StoreRefused(f"{text} pin_epoch is set, so nothing is written. Restart once you know what happened.")
        from logging import getLogger

        getLogger("smallage.stores.redis").error(
            "%s It is set up anew and work goes on. With pin_epoch=True Smallage stops here instead.", text
        )


def _random_text() -> str:
    return os.urandom(8).hex()
