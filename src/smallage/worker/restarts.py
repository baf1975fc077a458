"""When a child that has ended is started again: at once if it was of use, else later each time."""

from __future__ import annotations

import math
import random
from time import monotonic
from typing import TYPE_CHECKING

from smallage.worker.board import Farewell

if TYPE_CHECKING:
    from smallage.worker.children import ChildProcess

SHORTEST_LIFE = 0.1
"""Seconds between the starts of two children of one number, at least."""
LONGEST_WAIT = 5.0
"""Longest wait before a child whose predecessors died without having settled anything."""


class Restarts:
    """The children to be started, by number. False when there are none."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int]] = []
        self._failures: dict[int, int] = {}
        """In a row, by number."""
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._due)

    def add(self, number: int, wait: float) -> None:
        """Child `number` is to be started in `wait` seconds."""
        if not self._closed:
            self._due.append((monotonic() + wait, number))

    def close(self) -> None:
        """Nobody is started any more."""
        self._closed = True
        self._due.clear()

    def next_at(self) -> float:
        """When the next one is due."""
        return min((when for when, _ in self._due), default=math.inf)

    def numbers(self) -> set[int]:
        """The children that are to be started."""
        return {number for _, number in self._due}

    def take(self, now: float) -> list[int]:
        """The numbers that are due."""
        due = [number for when, number in self._due if when <= now]
        self._due = [(when, number) for when, number in self._due if when > now]
        return due

    def wait_after(self, child: ChildProcess) -> float:
        """Seconds before the successor of a child starts."""
        if child.board.farewell not in (Farewell.NONE, Farewell.BROKEN) or child.board.settled:
            self._failures[child.number] = 0
            return max(0.0, child.born + SHORTEST_LIFE - monotonic())
        return self.back_off(child.number)

    def back_off(self, number: int) -> float:
        """Seconds before a child whose predecessors died without having done anything: none at first, then more."""
        failures = self._failures[number] = self._failures.get(number, 0) + 1
        if failures <= 3:
            return 0.0
        return random.uniform(0.5, 1.0) * min(LONGEST_WAIT, 0.1 * 2.0 ** (failures - 4))
