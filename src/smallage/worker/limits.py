"""Soft and hard time limits: one thread that sleeps until the nearest limit of a running body is over."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from smallage.core.errors import SoftTimeLimitExceeded
from smallage.run import HardTimeout
from smallage.worker.desk import Wake
from smallage.worker.slot import abandon, interrupt

if TYPE_CHECKING:
    from smallage.core.message import Claim
    from smallage.worker.board import Board
    from smallage.worker.pools.base import Pool
    from smallage.worker.slot import Slot

logger = logging.getLogger("smallage.worker")

GRACE = 1.0
"""Seconds that a body has to end after the hard limit was raised in it, before it is left behind."""


class Limits:
    """Watches the slots. Its thread starts with the first body that has a limit."""

    def __init__(self, board: Board, stuck: Callable[[Slot, Claim], None]) -> None:
        self.pool: Pool | None = None
        self._board = board
        self._stuck = stuck
        """Told of a body that goes on beyond its hard limit."""
        self._wake = Wake()
        self._next = math.inf
        self._started = False
        self._lock = threading.Lock()

    def watch(self, slot: Slot, soft: float | None, hard: float | None) -> None:
        """The body that starts now in `slot` has these limits, in seconds."""
        slot.soft, slot.hard = soft, hard
        first = math.inf
        if hard is not None:
            slot.hard_at = first = slot.started + hard
            self._board.limit[slot.index] = hard
            self._board.hard[slot.index] = slot.hard_at
        if soft is not None and (hard is None or soft < hard):
            slot.soft_at = first = slot.started + soft
        with self._lock:
            if first >= self._next:
                return
            self._next = first
            if not self._started:
                self._started = True
                threading.Thread(target=self._watch, name="smallage-limits", daemon=True).start()
        self._wake.set()

    def forget(self, slot: Slot) -> None:
        """The body in `slot` has ended."""
        self._board.hard[slot.index] = slot.hard_at = slot.soft_at = 0.0

    def send(self, slot: Slot, claim: Claim, error: type[BaseException]) -> bool:
        """Raise `error` in the body of `claim`, if it still runs."""
        pool = self.pool
        return pool is not None and interrupt(slot, claim, error, pool.send)

    def _watch(self) -> None:
        while True:
            with self._lock:
                wait = self._next - monotonic()
                if wait <= 0:
                    self._next = math.inf
            if wait > 0:
                self._wake.wait(min(wait, 3600.0))
                continue
            nearest = min((self._look(slot) for slot in self._slots()), default=math.inf)
            with self._lock:
                self._next = min(self._next, nearest)

    def _slots(self) -> list[Slot]:
        return self.pool.slots if self.pool is not None else []

    def _look(self, slot: Slot) -> float:
        """Act on what is over in this slot; returns when to look again."""
        claim, soft_at, hard_at, now = slot.claim, slot.soft_at, slot.hard_at, monotonic()
        if claim is None or slot.abandoned is claim:
            return math.inf
        if hard_at and now >= hard_at:
            return self._over_hard(slot, claim, hard_at, now)
        if soft_at and slot.soft_sent is not claim:
            if now < soft_at:
                return soft_at
            slot.soft_sent = claim
            if self.send(slot, claim, SoftTimeLimitExceeded):
                logger.warning("Soft time limit (%ss) exceeded for %s[%s]", slot.soft, claim.name, claim.id)
        return hard_at or math.inf

    def _over_hard(self, slot: Slot, claim: Claim, hard_at: float, now: float) -> float:
        pool = self.pool
        assert pool is not None
        if not pool.stoppable:
            if slot.hard_sent is not claim:
                slot.hard_sent = claim
                if self.send(slot, claim, HardTimeout):
                    logger.error("Hard time limit (%ss) exceeded for %s[%s]", slot.hard, claim.name, claim.id)
                return now + GRACE
            if now < hard_at + GRACE:
                return hard_at + GRACE
        if abandon(slot, claim):
            logger.error(
                "%s[%s] is beyond its time limit (%ss): replacing its process", claim.name, claim.id, slot.hard
            )
            self._stuck(slot, claim)
        return math.inf
