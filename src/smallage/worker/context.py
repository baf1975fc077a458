"""What a run may know of its worker (see `smallage.run.WorkerContext`)."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smallage.core.message import Claim
    from smallage.worker.board import Board


class Context:
    """One per child."""

    def __init__(self, hostname: str, board: Board) -> None:
        self.hostname = hostname
        self.pid = os.getpid()
        self.rng = random.Random(os.urandom(16))
        self._board = board

    def now(self) -> float:
        """Seconds since the epoch, for values shown to users; the store's clock decides everything else."""
        return time.time()

    def start_once(self, claim: Claim) -> bool:
        """The body of this claim starts now and may not be started again: nobody may hand it back. False if it cannot
        start now."""
        return self._board.mark_once(claim.tok)
