"""A clock that stands still until the test moves it."""

from __future__ import annotations

import threading

START_US = 1_800_000_000_000_000
"""Where a new clock stands: an instant in January 2027, so that times look like times."""


class FakeClock:
    """Store time in µs, moved by hand. Give it to a store as `clock=`; it is callable and safe between threads."""

    def __init__(self, now_us: int = START_US) -> None:
        self._now_us = now_us
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """The current instant in µs."""
        return self._now_us

    @property
    def now_us(self) -> int:
        """The current instant in µs."""
        return self._now_us

    def advance(self, seconds: float = 0.0, *, us: int = 0) -> int:
        """Go forward by `seconds` and `us`; returns the new instant in µs."""
        return self._move(round(seconds * 1_000_000) + us)

    def back(self, seconds: float = 0.0, *, us: int = 0) -> int:
        """Step backwards, as a clock that was set wrong does; returns the new instant in µs."""
        return self._move(-round(seconds * 1_000_000) - us)

    def _move(self, us: int) -> int:
        with self._lock:
            self._now_us += us
            return self._now_us
