"""What a run may know of its worker (see `smallage.run.WorkerContext`)."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from smallage.core.message import Done, settlement

if TYPE_CHECKING:
    from smallage.core.message import Claim
    from smallage.stores.base import Store


class Context:
    """One per child."""

    def __init__(self, hostname: str, store: Store, session: Callable[[], str]) -> None:
        self.hostname = hostname
        self.pid = os.getpid()
        self.rng = random.Random(os.urandom(16))
        self._store, self._session = store, session

    def now(self) -> float:
        """Seconds since the epoch, for values shown to users; the store's clock decides everything else."""
        return time.time()

    def settle_early(self, claim: Claim) -> bool:
        """Settle a claim as done before its body runs, so that it is started at most once; False if it is no longer
        ours. Raises StoreError."""
        verdicts = self._store.settle(self._session(), [settlement(claim, Done())]).verdicts
        return verdicts[0] != "stale"
