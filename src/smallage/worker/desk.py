"""What lies between the engine and its pool: claims to start on one side, ended ones on the other.

Both sides are deques, whose ends are safe between threads without a lock. The engine is woken only when it sleeps, and
a pool's thread only when there is more work than those awake will do in a moment: a wake-up costs more than a task that
does nothing.
"""

from __future__ import annotations

import _thread
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smallage.core.message import Claim, Outcome


class Wake:
    """A flag that one thread sleeps on and any thread sets; set while nobody sleeps, it is remembered once."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let the sleeper go on."""
        if self._lock.locked():
            try:
                self._lock.release()
            except RuntimeError:  # another thread was quicker
                pass

    def wait(self, timeout: float = -1) -> bool:
        """Sleep until set or for `timeout` seconds (-1: for ever); says whether it was set."""
        return self._lock.acquire(timeout=timeout)


class Desk:
    """The claims in hand that no body runs yet, and what became of those that ran."""

    __slots__ = ("asleep", "backlog", "ended", "wake")

    def __init__(self) -> None:
        self.backlog: deque[Claim] = deque()
        """Pools take from the left. Whoever pops a claim has it; nobody else does."""
        self.ended: deque[tuple[Claim, Outcome | None, float]] = deque()
        """(claim, how it ended, seconds that its body took). None: somebody else has settled it, only count it."""
        self.asleep = False
        """True while the engine sleeps; an ender sets `wake` then."""
        self.wake = Wake()

    def put(self, claim: Claim, outcome: Outcome | None, seconds: float) -> None:
        """Hand an ended claim to the engine."""
        self.ended.append((claim, outcome, seconds))
        if self.asleep:
            self.wake.set()
