"""Coroutines in one event loop, hundreds at a time; plain functions run on threads beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from smallage.worker.desk import Desk
from smallage.worker.pools.driven import driven
from smallage.worker.pools.threads import FENCE_CHECK, ThreadPool
from smallage.worker.slot import Slot, raise_in_thread, was_abandoned

if TYPE_CHECKING:
    from smallage.core.message import Claim, Outcome
    from smallage.worker.board import Board
    from smallage.worker.body import Body
    from smallage.worker.limits import Limits


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
        self._offered = False
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._side_desk = _SideDesk(desk, self._side_ended)
        self._side: ThreadPool | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """The loop exists once `run` runs; until then offers wait."""

    def run(self) -> None:
        with asyncio.Runner(loop_factory=_fast_loop()) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        self._take()
        await self._stop.wait()

    def idle(self) -> int:
        return self._size - self._active

    def offer(self, n: int) -> None:
        if not self._offered and self._ready.is_set():
            self._offered = True
            assert self._loop is not None
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
        backlog = self._desk.backlog
        while self._active < self._size and not self._closed:
            if monotonic() >= self._board.times[1]:
                assert self._loop is not None
                self._loop.call_later(FENCE_CHECK, self._take)
                return
            try:
                claim = backlog.popleft()
            except IndexError:
                return
            self._active += 1
            self._begin(claim)

    def _begin(self, claim: Claim) -> None:
        kind = self._body.is_async(claim)
        if kind is None:
            self._desk.put(claim, self._body.unknown(claim), 0.0)
            self._active -= 1
        elif kind:
            slot = self._free.pop()
            slot.started = monotonic()
            slot.claim = claim
            self._board.toks[slot.index] = claim.tok
            assert self._loop is not None
            task = self._loop.create_task(self._run(slot, claim))
            slot.handle = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._side_desk.backlog.append(claim)
            if self._side is None:
                self._side = ThreadPool(self._thread_slots, self._side_desk, self._board, self._body, self._limits)
                self._side.start()
            self._side.offer(1)

    async def _run(self, slot: Slot, claim: Claim) -> None:
        outcome: Outcome | None = None
        try:
            soft, hard = self._body.limits(claim)
            if soft is not None or hard is not None:
                self._limits.watch(slot, soft, hard)
            outcome = await driven(self._body.arun(claim), slot)
        except BaseException as error:
            outcome = self._body.ended(claim, error)
        slot.claim = None
        slot.pending = None
        if slot.hard_at or slot.soft_at:
            self._limits.forget(slot)
        self._board.toks[slot.index] = 0
        self._free.append(slot)
        self._active -= 1
        if slot.abandoned is None or not was_abandoned(slot, claim):
            self._desk.put(claim, outcome, monotonic() - slot.started)
        if self._desk.backlog:
            self._take()

    def _side_ended(self) -> None:
        """In a thread: a plain function has ended."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._side_left)

    def _side_left(self) -> None:
        self._active -= 1
        self._take()


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

    __slots__ = ("_main", "_tell")

    def __init__(self, main: Desk, tell: Any) -> None:
        super().__init__()
        self._main, self._tell = main, tell

    def put(self, claim: Claim, outcome: Outcome | None, seconds: float) -> None:
        self._main.put(claim, outcome, seconds)
        self._tell()
