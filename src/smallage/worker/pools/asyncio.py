"""Coroutines in one event loop, hundreds at a time; plain functions run on threads beside it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from time import monotonic
from typing import TYPE_CHECKING

from smallage.worker.desk import Desk
from smallage.worker.pace import SHARE, STALL
from smallage.worker.pools.driven import driven
from smallage.worker.pools.threads import FENCE_CHECK, ThreadPool
from smallage.worker.slot import Slot, raise_in_thread, was_abandoned

if TYPE_CHECKING:
    from smallage.core.message import Claim, Outcome
    from smallage.worker.board import Board
    from smallage.worker.body import Body
    from smallage.worker.limits import Limits

BRISK = 0.001
"""Seconds up to which one thread runs plain functions one after the other rather than each on a thread of its own."""


class AsyncioPool:
    """The loop runs in the main thread. Slots of the first half are coroutines', those of the second half threads'."""

    stoppable = False

    def __init__(self, slots: list[Slot], desk: Desk, board: Board, body: Body, limits: Limits) -> None:
        half = len(slots) // 2
        self.slots = slots
        self._desk, self._board, self._body, self._limits = desk, board, body, limits
        self._free = slots[:half]
        self._thread_slots = slots[half:]
        self._size = half
        self._active = 0
        """Places taken by coroutines and plain functions; those in `_side_desk.gone` are free again."""
        self._offered = False
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = Context()
        """What each coroutine gets a copy of: whoever starts one may be another that has just ended."""
        self._side_desk = _SideDesk(desk, self._offer_more)
        self._side: ThreadPool | None = None
        self._side_watched = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """The loop exists once `run` runs; until then offers wait."""

    def run(self) -> None:
        with asyncio.Runner(loop_factory=_fast_loop()) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._take()
        await self._stop.wait()

    def idle(self) -> int:
        return self._size - self._active + len(self._side_desk.gone)

    def offer(self, n: int) -> None:
        if not self._offered and self._loop is not None and not self._loop.is_closed():
            self._offered = True
            self._loop.call_soon_threadsafe(self._take)

    def send(self, slot: Slot, error: type[BaseException]) -> None:
        if slot.index >= self._size:
            raise_in_thread(slot, error)
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel, slot, slot.claim)

    def _cancel(self, slot: Slot, claim: Claim | None) -> None:
        if slot.claim is claim and slot.pending is not None:
            slot.handle.cancel()

    def close(self) -> None:
        self._closed = True
        if self._side is not None:
            self._side.close()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    def _take(self) -> None:
        """In the loop: start as many claims as there is room for."""
        self._offered = False
        backlog, gone = self._desk.backlog, self._side_desk.gone
        plain = 0
        while not self._closed:
            while gone:
                gone.popleft()
                self._active -= 1
            if self._active >= self._size:
                break
            if monotonic() >= self._board.times[1]:
                assert self._loop is not None
                self._loop.call_later(FENCE_CHECK, self._take)
                break
            try:
                claim = backlog.popleft()
            except IndexError:
                break
            kind = self._body.is_async(claim)
            if kind is None:
                self._desk.put(claim, self._body.unknown(claim), 0.0)
                continue
            self._active += 1
            if kind:
                self._begin(claim)
            else:
                self._side_desk.backlog.append(claim)
                plain += 1
        if plain:
            self._wake_side(plain)

    def _begin(self, claim: Claim) -> None:
        slot = self._free.pop()
        slot.started = monotonic()
        slot.claim = claim
        self._board.toks[slot.index] = claim.tok
        assert self._loop is not None
        task = self._loop.create_task(self._run(slot, claim), context=self._context.copy())
        slot.handle = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake_side(self, n: int) -> None:
        """`n` plain functions more wait for a thread. While they are brisk, one thread does them all."""
        side = self._side
        if side is None:
            side = self._side = ThreadPool(self._thread_slots, self._side_desk, self._board, self._body, self._limits)
            side.start()
        if self._side_desk.seconds < BRISK:
            long_ago = monotonic() - SHARE
            held = sum(1 for slot in side.slots if slot.claim is not None and slot.started < long_ago)
            n = 0 if len(side.slots) - side.idle() > held else 1
            if not self._side_watched:
                self._side_watched = True
                assert self._loop is not None
                self._loop.call_later(STALL, self._look_into_side)
        side.offer(n)

    def _look_into_side(self) -> None:
        """In the loop, a moment after claims were left to one thread: should it not come to them, others shall."""
        self._side_watched = False
        if self._side is not None and (waiting := len(self._side_desk.backlog)):
            self._side.offer(waiting)
            self._take()

    async def _run(self, slot: Slot, claim: Claim) -> None:
        outcome: Outcome | None = None
        try:
            soft, hard = self._body.limits(claim)
            if soft is not None or hard is not None:
                self._limits.watch(slot, soft, hard)
            outcome = await driven(self._body.arun(claim), slot)
            self._body.look_around(claim)
        except BaseException as error:
            outcome = self._body.ended(claim, error)
        slot.claim = None
        slot.pending = slot.handle = None
        if slot.hard_at or slot.soft_at:
            self._limits.forget(slot)
        self._board.toks[slot.index] = 0
        self._free.append(slot)
        self._active -= 1
        if slot.abandoned is None or not was_abandoned(slot, claim):
            self._desk.put(claim, outcome, monotonic() - slot.started)
        if self._desk.backlog:
            self._take()

    def _offer_more(self) -> None:
        """In a thread: a plain function has ended, so there is room for more; while some wait here, that can wait."""
        if self._desk.backlog and not self._side_desk.backlog:
            self.offer(1)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed (`pip install "smallage[uvloop]"`)."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop
    return factory


class _SideDesk(Desk):
    """The desk of the threads beside the loop: what ends there ends on the main desk."""

    __slots__ = ("_main", "_tell", "gone", "seconds")

    def __init__(self, main: Desk, tell: Callable[[], None]) -> None:
        super().__init__()
        self._main, self._tell = main, tell
        self.gone: deque[None] = deque()
        """An entry for each that has ended and is still counted as active."""
        self.seconds = SHARE
        """How long the last one took."""

    def put(self, claim: Claim, outcome: Outcome | None, seconds: float) -> None:
        self.seconds = seconds
        self.gone.append(None)
        self._main.put(claim, outcome, seconds)
        self._tell()
