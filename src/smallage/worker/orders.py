"""The orders that a worker gets through the store: its mailbox, watched by the supervisor's poll."""

from __future__ import annotations

import math
import random
import select
from time import monotonic
from typing import TYPE_CHECKING

from smallage.core.errors import StoreError

if TYPE_CHECKING:
    from smallage.stores.base import Mailbox, Order, Store
    from smallage.worker.finish import Outage


class Orders:
    """What came for `inbox`. A mailbox that breaks is opened again."""

    def __init__(self, inbox: str, poll: select.poll, outage: Outage) -> None:
        self._inbox, self._poll, self._outage = inbox, poll, outage
        self._mailbox: Mailbox | None = None
        self._fd = -1
        """What the poll knows it by; a mailbox that broke has none any more."""
        self._mail = False
        self.retry_at = math.inf
        """When to call `take` again though nothing was heard."""

    def heard(self, fds: set[int]) -> None:
        """The poll has returned on these descriptors."""
        self._mail = self._mail or self._fd in fds

    def look(self) -> None:
        """Have the next `take` look, should a notice have been lost."""
        self._mail = True

    def take(self, store: Store) -> list[Order]:
        """The orders that have come."""
        now = monotonic()
        try:
            if self._mailbox is None:
                if self.retry_at != math.inf and now < self.retry_at:
                    return []
                self._mailbox = store.mailbox(self._inbox)
                self._fd = self._mailbox.fileno()
                self._poll.register(self._fd, select.POLLIN)
                self.retry_at = math.inf
                self._mail = True
            if not self._mail:
                return []
            self._mail = False
            return self._mailbox.take()
        except StoreError as error:
            self._outage.begins(error)
            self.close()
            self.retry_at = now + random.uniform(0.05, 1.0)
            return []

    def close(self) -> None:
        """Let go of the mailbox."""
        if self._mailbox is not None:
            self._poll.unregister(self._fd)
            self._mailbox.close()
            self._mailbox = None
            self._fd = -1
