"""How many claims to hold and when to ask for more: pure arithmetic over what the engine has seen.

`Pace`: enough in hand that nobody waits for the store, never more than a moment's work. `Forecast`: long tasks are not
claimed ahead, but just before a place becomes free. `Rhythm`: a busy engine lets tasks gather between two round trips.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

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
LEAD = 0.005
"""Seconds before a body's expected end at which the next claim is fetched, at the latest."""
REGULAR = 0.005
"""Mean error in seconds up to which the end of a long task counts as foreseeable."""
GAP = 0.001
"""Seconds between two round trips of a busy engine, at most."""
BATCH = 16
"""Tasks for which a busy engine need not wait longer."""
PAUSE = 0.02
"""Seconds without a round trip after which an engine is no longer busy."""


class Pace:
    """What the engine knows of the length of its tasks."""

    __slots__ = ("_bound", "length", "places")

    def __init__(self, places: int, bound: int | None = None) -> None:
        self.places = places
        self.length = LONG
        """Estimated seconds a task takes. It falls slowly and rises at once, so that claims are not hoarded by a child
        whose tasks have become long."""
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

    def capacity(self, ending: int = 0) -> int:
        """How many claims may be in hand, running ones included, when so many bodies are about to end."""
        if self.length >= LONG:
            ahead = ending
        else:
            ahead = min(MOST, int(self.places * IN_HAND / self.length)) if self.length > 0 else MOST
        capacity = self.places + ahead
        return capacity if self._bound is None else max(self.places, min(capacity, self._bound))

    def wakes(self, waiting: int, awake: int) -> int:
        """How many sleeping places to wake when `waiting` claims lie ready and `awake` places are at work that they
        have begun just now, so that they will come to more in a moment if tasks are short."""
        needed = min(waiting, int(waiting * self.length / SHARE) + 1)
        helpers = int(awake * min(1.0, SHARE / self.length)) if self.length > 0 else awake
        return max(needed - helpers, 0 if helpers else 1)


class Forecast:
    """When long bodies will end, as far as those before them tell. Foresees nothing while lengths differ."""

    __slots__ = ("_error", "_typical")

    def __init__(self) -> None:
        self._typical = 0.0
        self._error = math.inf

    def saw(self, seconds: Iterable[float]) -> None:
        """Tasks ended after so many seconds of running time each."""
        for one in seconds:
            if self._error == math.inf:
                self._typical = self._error = one
            else:
                off = one - self._typical
                self._typical += 0.25 * off
                self._error += 0.25 * (abs(off) - self._error)

    def failed(self) -> None:
        """A body has not ended as foreseen: believe nothing for a while."""
        self._error = math.inf

    def look(self, now: float, started: Sequence[float]) -> tuple[int, float]:
        """(how many of the bodies that started at these moments are about to end, when to look again).

        About to end means within the time for which claims may lie in hand; who is overdue is not foreseeable."""
        if self._error > REGULAR or self._typical < LONG:
            return 0, now + LONG
        ends = [start + self._typical for start in started]
        ending = [end for end in ends if now - LEAD <= end <= now + IN_HAND]
        again = min((end for end in ends if end > now + IN_HAND), default=math.inf)
        return len(ending), min(again, now + self._typical) - LEAD


class Rhythm:
    """Whether tasks come so fast that it pays to let some gather before the next round trip.

    The sign is that claims are found in passing, by round trips made to settle others, though the queue had been empty
    at the one before. Whoever pushes one task and waits for its result is never met in passing, and never waits here.
    """

    __slots__ = ("_found", "_last", "_rate")

    def __init__(self) -> None:
        self._last = -math.inf
        self._found = 0.0
        """Claims found in passing by a round trip, on average."""
        self._rate = 0.0
        """Claims a second."""

    def saw(self, now: float, settled: int, claimed: int) -> None:
        """A round trip that began at `now` settled so many, claimed so many and left the queue empty."""
        since = now - self._last
        self._last = now
        if since > PAUSE:
            self._found = self._rate = 0.0
            return
        if settled:
            self._found += 0.125 * (claimed - self._found)
        self._rate += 0.125 * (claimed / max(since, 1e-6) - self._rate)

    def gap(self) -> float:
        """Seconds from the beginning of the last round trip to that of the next, at least; 0 unless busy."""
        if self._found < 0.5 or not self._rate:
            return 0.0
        return min(GAP, BATCH / self._rate)
