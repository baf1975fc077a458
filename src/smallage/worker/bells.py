"""Waiting for work: one thread that listens for the bells of the queues while the engine knows them to be empty."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from smallage.core.errors import StoreError

if TYPE_CHECKING:
    from smallage.stores.base import Store

logger = logging.getLogger("smallage.worker")

LISTEN = 5.0
"""Seconds of one blocking wait."""


class Bells:
    """Calls `ring()` when there may be work. Bells rung while nobody listens are kept by the store."""

    def __init__(
        self, store: Store, session: Callable[[], str], queues: tuple[str, ...], ring: Callable[[], None]
    ) -> None:
        self._store, self._session, self._queues, self._ring = store, session, queues, ring
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="smallage-bells", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def serve(self, queues: tuple[str, ...]) -> None:
        """Listen for these queues from now on."""
        self._queues = queues
        self._nudge()

    def want(self) -> None:
        """The queues were empty: tell of the next bell."""
        self._wanted.set()

    def leave_to_others(self) -> bool:
        """There is no room here, and a bell that we took would be missed by a worker that has some: listen no more.
        True if we did: from now on nobody tells us of work."""
        if not self._wanted.is_set():
            return False
        self._wanted.clear()
        self._nudge()
        return True

    def close(self) -> None:
        """Listen no more; does not wait."""
        self._closed.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._nudge()

    def join(self) -> None:
        """Wait for the thread's end after `close`."""
        if self._thread.is_alive():
            self._thread.join(LISTEN + 1)

    def _nudge(self) -> None:
        try:
            self._store.nudge(self._session())
        except StoreError:  # it then returns by its timeout
            pass

    def _listen(self) -> None:
        ceiling = 0.05
        while not self._closed.is_set():
            self._wanted.wait()
            if self._closed.is_set():
                return
            try:
                rang = self._store.listen(self._session(), self._queues, LISTEN)
            except StoreError:
                # The engine will say that the store is away, once it is asked for something.
                self._closed.wait(random.uniform(0.0, ceiling))
                ceiling = min(1.0, ceiling * 2)
                rang = ceiling >= 1.0
            else:
                ceiling = 0.05
            if rang:
                self._wanted.clear()
                self._ring()
