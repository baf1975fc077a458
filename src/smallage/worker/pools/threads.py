"""Threads that take claims from the backlog one by one; also the pool of one body in the main thread.

`processes` and `solo` are this pool with a single place in the child's main thread, where a signal can interrupt even a
blocking call. Under gevent the threads are greenlets (see `pools/gevent.py`).
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from smallage.stores import shelter
from smallage.worker.body import INTERRUPTS
from smallage.worker.slot import Slot, absorb, raise_in_thread, was_abandoned

if TYPE_CHECKING:
    from types import FrameType

    from smallage.core.message import Claim, Outcome
    from smallage.worker.board import Board
    from smallage.worker.body import Body
    from smallage.worker.desk import Desk
    from smallage.worker.limits import Limits

INTERRUPT_SIGNAL = signal.SIGUSR2
"""Sent to a child's own main thread to raise an exception in its task."""
FENCE_CHECK = 0.2
"""Seconds between looks at a fence that forbids to start anything."""


class ThreadPool:
    """`len(slots)` threads that run one body each."""

    stoppable = False

    def __init__(self, slots: list[Slot], desk: Desk, board: Board, body: Body, limits: Limits) -> None:
        self.slots = slots
        self.closed = False
        self._desk, self._board, self._body, self._limits = desk, board, body, limits
        self._idle: deque[Slot] = deque()
        self._closing = threading.Event()

    def start(self) -> None:
        for slot in self.slots:
            threading.Thread(target=self.work, args=(slot,), name=f"smallage-task-{slot.index}", daemon=True).start()

    def run(self) -> None:
        self._closing.wait()

    def idle(self) -> int:
        return len(self._idle)

    def offer(self, n: int) -> None:
        for _ in range(n):
            try:
                slot = self._idle.pop()  # the one that slept last: its memory is warm
            except IndexError:
                return
            slot.lock.release()

    def send(self, slot: Slot, error: type[BaseException]) -> None:
        if not (slot.runner is not None and slot.runner.interrupt()):
            raise_in_thread(slot, error)

    def close(self) -> None:
        self.closed = True
        self.offer(len(self.slots))
        self._closing.set()

    def work(self, slot: Slot) -> None:
        """Take claims and run them, until the pool is closed."""
        self.settle_in(slot)
        take, run = self._desk.backlog.popleft, self._run
        while not self.closed:
            try:
                claim = take()
            except IndexError:
                self._rest(slot)
                continue
            run(slot, claim)
        if slot.runner is not None:
            slot.runner.close()

    def absorb(self, slot: Slot) -> None:
        """Take back an interrupt that came too late for the body."""
        absorb(slot)

    def settle_in(self, slot: Slot) -> None:
        """Note what `send` needs to reach this thread."""
        slot.shelter = shelter.settle()
        slot.handle = threading.get_ident()

    def _rest(self, slot: Slot) -> None:
        """Sleep until offered work. Work that came before we lay down is seen by the second look."""
        self._idle.append(slot)
        if self._desk.backlog or self.closed:
            try:
                self._idle.remove(slot)
                return
            except ValueError:  # woken meanwhile: the lock is, or is about to be, released
                pass
        slot.lock.acquire()

    def _run(self, slot: Slot, claim: Claim) -> None:
        started = monotonic()
        if started >= self._board.times[1]:
            self._desk.backlog.appendleft(claim)
            self._closing.wait(FENCE_CHECK)
            return
        slot.started = started
        outcome: Outcome | None = None
        late: BaseException | None = None
        try:
            slot.claim = claim
            self._board.toks[slot.index] = claim.tok
            soft, hard = self._body.limits(claim)
            if soft is not None or hard is not None:
                with slot.shelter:  # else its thread might not be woken, and sleep on beside limits that are over
                    self._limits.watch(slot, soft, hard)
            outcome = self._body.run(claim, slot)
            self._body.look_around(claim)
            slot.claim = None
        except BaseException as error:  # an interrupt that was raised behind the body, or a fault of ours
            slot.claim = None
            late = error
        while slot.pending is not None:
            try:
                self.absorb(slot)
            except INTERRUPTS:  # it has come now, too late for the body
                pass
        if late is not None and outcome is None:  # judged where nothing more can arrive
            outcome = self._body.ended(claim, late)
        if slot.hard_at or slot.soft_at:
            self._limits.forget(slot)
        self._board.toks[slot.index] = 0
        if slot.abandoned is not None and was_abandoned(slot, claim):
            return
        self._desk.put(claim, outcome, monotonic() - started)


class MainThreadPool(ThreadPool):
    """One body at a time, in the main thread, which signals can interrupt even in a blocking call."""

    stoppable = True

    def start(self) -> None:
        signal.signal(INTERRUPT_SIGNAL, self._on_signal)

    def run(self) -> None:
        self.work(self.slots[0])

    def send(self, slot: Slot, error: type[BaseException]) -> None:
        if not (slot.runner is not None and slot.runner.interrupt()):
            signal.pthread_kill(slot.handle, INTERRUPT_SIGNAL)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        slot = self.slots[0]
        error = slot.pending
        if error is not None and slot.claim is not None and error in INTERRUPTS and not slot.shelter.keeps(error):
            raise error
