"""How many claims to hold: enough that nobody waits for the store, never more than a moment's work.

Pure arithmetic over what the engine has seen. The estimate of a task's length falls slowly and rises at once, so that
claims are not hoarded by a child whose tasks have become long.
"""

from __future__ import annotations

IN_HAND = 0.015
"""Seconds of work that may lie in hand beyond what runs."""
MOST = 192
"""Claims beyond what runs, at most: two batches, so that one is run while the other is settled."""
LONG = 0.05
"""Seconds after which a task counts as long, and waiting claims behind it are handed back."""
STALL = 0.005
"""Seconds without any claim being taken, after which the estimate is not believed and everybody is woken."""
SHARE = 0.004
"""Seconds of work for which another thread is not worth waking."""


class Pace:
    """What the engine knows of the length of its tasks."""

    __slots__ = ("_bound", "length", "places")

    def __init__(self, places: int, bound: int | None = None) -> None:
        self.places = places
        self.length = LONG
        """Estimated seconds a task takes."""
        self._bound = bound
        """Most claims in hand, running ones included; None: no bound of the user's."""

    def saw(self, seconds: float, tasks: int) -> None:
        """`tasks` tasks ended after `seconds` of running time in all."""
        mean = seconds / tasks
        if mean > self.length:
            self.length += (mean - self.length) * 0.5
        else:
            self.length += (mean - self.length) * (1 - 0.8 ** min(tasks, 20))

    def stalled(self) -> None:
        """A task has turned out long while others waited behind it."""
        self.length = max(self.length, LONG)

    def capacity(self) -> int:
        """How many claims may be in hand, running ones included."""
        if self.length >= LONG:
            ahead = 0
        else:
            ahead = min(MOST, int(self.places * IN_HAND / self.length)) if self.length > 0 else MOST
        capacity = self.places + ahead
        return capacity if self._bound is None else max(self.places, min(capacity, self._bound))

    def wakes(self, waiting: int, running: int) -> int:
        """How many sleeping places to wake when `waiting` claims lie ready and `running` bodies run."""
        needed = min(waiting, int(waiting * self.length / SHARE) + 1)
        return max(needed - running, 0 if running else 1)
