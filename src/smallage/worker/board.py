"""Memory that a child shares with its supervisor: which claims have started, and who was last seen alive.

The supervisor must judge a dead or frozen child without asking it, so the child leaves here, before each body starts,
the token of the claim; a killed child's tokens stay readable. Words of eight bytes, each with one writer:

    0  child       its clock when its engine last came round, seconds of the monotonic clock (double)
    1  supervisor  from when on nothing may be started, because the lease may be over (double; infinity: no fence)
    2  child       why it leaves, 0 while it works (see `Farewell`)
    3  child       outcomes that the store has accepted from it
    4… child       for each slot: the token of the claim whose body runs, or 0
    …  child       for each slot: when its hard time limit is over (double), or 0
    …  child       for each slot: that limit in seconds (double)
    …  child       tokens of the claims whose body has started and may not start again, until they are settled; or 0
"""

from __future__ import annotations

import math
import mmap
import os
import threading
from collections.abc import Collection
from enum import IntEnum

_HEADER = 4
_ONCE = 512
"""Claims that a child can have started and not yet settled, among those that may be started once only."""


class Farewell(IntEnum):
    """Why a child ends; NONE on its board after its death means that it crashed."""

    NONE = 0
    DRAINED = 1
    """Told to stop; everything in its hands has ended or gone back."""
    FORCED = 2
    """Told to stop; running tasks were handed back unfinished."""
    RECYCLED = 3
    """Used up (tasks, memory) or stuck; a fresh child is to take its place."""
    FINISHED = 4
    """Burst mode: its queues are empty."""
    REFUSED = 5
    """It could not start; the reason has been sent over its line."""
    BROKEN = 6
    """A fault of ours ended it; its tasks are not to blame."""


class Board:
    """The shared words of one child with `slots` places for running tasks."""

    def __init__(self, slots: int, memory: mmap.mmap | None = None, fd: int | None = None) -> None:
        self.slots = slots
        self.fd = fd
        self._memory = memory if memory is not None else mmap.mmap(-1, size_of(slots))
        view = memoryview(self._memory)
        words, floats = view.cast("Q"), view.cast("d")
        self._head, self.times = words[:_HEADER], floats[:_HEADER]
        """Read by the hot loops: times[1] is the fence."""
        self.toks = words[_HEADER : _HEADER + slots]
        """Written at the index of the slot by the child's pools, and by nobody else."""
        self.hard = floats[_HEADER + slots : _HEADER + 2 * slots]
        self.limit = floats[_HEADER + 2 * slots : _HEADER + 3 * slots]
        self._once = words[_HEADER + 3 * slots : _HEADER + 3 * slots + _ONCE]
        self._once_lock = threading.Lock()
        self.holds_once = False
        """In the child: whether any claim is marked by `mark_once`."""
        if memory is None:
            self.fence = math.inf

    @property
    def seen(self) -> float:
        return self.times[0]

    @seen.setter
    def seen(self, when: float) -> None:
        self.times[0] = when

    @property
    def fence(self) -> float:
        return self.times[1]

    @fence.setter
    def fence(self, when: float) -> None:
        self.times[1] = when

    @property
    def farewell(self) -> Farewell:
        return Farewell(self._head[2])

    @farewell.setter
    def farewell(self, why: Farewell) -> None:
        self._head[2] = why

    @property
    def settled(self) -> int:
        return self._head[3]

    @settled.setter
    def settled(self, count: int) -> None:
        self._head[3] = count

    def running(self) -> dict[int, int]:
        """{token: slot} of the bodies that had started and not ended."""
        return {tok: slot for slot, tok in enumerate(self.toks) if tok}

    def mark_once(self, tok: int) -> bool:
        """The body of this token starts now and may not be started again by anybody; False if there is no room."""
        with self._once_lock:
            for place, word in enumerate(self._once):
                if not word:
                    self._once[place] = tok
                    self.holds_once = True
                    return True
        return False

    def forget_once(self, toks: Collection[int]) -> None:
        """The claims of these tokens are settled."""
        with self._once_lock:
            for place, word in enumerate(self._once):
                if word in toks:
                    self._once[place] = 0
            self.holds_once = any(self._once)

    def once(self) -> frozenset[int]:
        """Tokens of claims that are not settled and may not be started again."""
        return frozenset(tok for tok in self._once if tok)


def size_of(slots: int) -> int:
    """Bytes of a board with so many slots."""
    return (_HEADER + 3 * slots + _ONCE) * 8


def shared_by_file(slots: int) -> Board:
    """A board that a process started by exec can map too: its `fd` is to be passed on."""
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.truncate(size_of(slots))
        fd = os.dup(file.fileno())
    board = Board(slots, mmap.mmap(fd, size_of(slots)), fd)
    board.fence = math.inf
    return board


def inherited(slots: int, fd: int) -> Board:
    """The board behind a descriptor that the supervisor passed on."""
    memory = mmap.mmap(fd, size_of(slots))
    os.close(fd)
    return Board(slots, memory)
