"""A clock in a file: the test moves it, and the stores of every process it started go by it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from smallage.stores import base


class FileClock:
    """Store time in µs, kept in `path`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __call__(self) -> int:
        return int(self.path.read_text())

    def set(self, now_us: int) -> None:
        """Put it to an instant. Readers see the old one or the new one."""
        beside = self.path.with_suffix(".new")
        beside.write_text(str(now_us))
        beside.replace(self.path)

    def advance(self, seconds: float) -> None:
        self.set(self() + round(seconds * 1_000_000))


def go_by(path: str) -> None:
    """Have every store that this process opens, and those of its forks, go by the clock in `path`."""
    base.open = partial(base.open, clock=FileClock(path))
