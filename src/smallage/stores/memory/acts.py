"""What all verbs of the memory store stand on: the one lock, the clock, the ledger."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from smallage.stores.memory.ledger import Ledger
from smallage.stores.shelter import sheltered


def _wall_us() -> int:
    return time.time_ns() // 1000


class Acts:
    """Each verb is one `_act`: it takes the lock, reads the clock once, and works on the ledger."""

    breaks = 0

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
        with sheltered(), self._lock:
            yield self._books, self._clock()
            self._books.tell_watches()

    def setup(self) -> None:
        """Nothing to set up."""

    def close(self) -> None:
        """Nothing to let go of."""

    def after_fork(self) -> None:
        """A forked child has a copy that nobody else sees; start it empty-handed."""
        self._lock = threading.RLock()
