"""Greenlets that take claims from the backlog, as the threads of `pools/threads.py` do.

The child was started with gevent's patches in place before anything else was imported, so its threads, locks and
sockets are gevent's. Coroutines cannot share a thread with greenlets' blocking calls: they run in one event loop in a
real thread, and their greenlets wait for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

import gevent

from smallage.stores import shelter
from smallage.worker.body import INTERRUPTS
from smallage.worker.pools.driven import driven
from smallage.worker.pools.threads import ThreadPool

if TYPE_CHECKING:
    from smallage.core.message import Claim, Outcome
    from smallage.worker.slot import Slot


class GeventPool(ThreadPool):
    """`len(slots)` greenlets."""

    def settle_in(self, slot: Slot) -> None:
        slot.shelter = shelter.settle()
        slot.handle = gevent.getcurrent()
        slot.runner = _Beside(gevent.get_hub())

    def send(self, slot: Slot, error: type[BaseException]) -> None:
        gevent.get_hub().loop.run_callback(self._throw, slot, slot.claim, error)

    def _throw(self, slot: Slot, claim: Claim | None, error: type[BaseException]) -> None:
        """In the hub, where alone a greenlet may be thrown into: the body waits, or has ended."""
        wanted = claim is not None and slot.claim is claim and slot.pending is error
        if wanted and not slot.shelter.keeps(error):
            slot.handle.throw(error)

    def absorb(self, slot: Slot) -> None:
        slot.pending = None


class _Carrier:
    """Holds the exception for a coroutine of another thread."""

    def __init__(self) -> None:
        self.pending: type[BaseException] | None = None
        self.task: asyncio.Task[None] | None = None
        self.ended = False
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None


class _Beside:
    """Runs a greenlet's coroutine in the loop thread."""

    _loops: ClassVar[list[asyncio.AbstractEventLoop]] = []
    """The loop, once it runs; one for all greenlets."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub

    def run(self, body: Coroutine[Any, Any, Outcome]) -> Outcome:
        """The coroutine's outcome; other greenlets go on meanwhile."""
        loop = self._started()
        carrier, bell = _Carrier(), self._hub.loop.async_()
        loop.call_soon_threadsafe(self._begin, loop, body, carrier, bell)
        while not carrier.ended:
            try:
                self._hub.wait(bell)
            except INTERRUPTS as error:
                loop.call_soon_threadsafe(self._interrupt, carrier, type(error))
        bell.close()
        if carrier.error is not None:
            raise carrier.error
        assert carrier.outcome is not None
        return carrier.outcome

    def close(self) -> None:
        """The loop ends with the process."""

    def _begin(self, loop: asyncio.AbstractEventLoop, body: Any, carrier: _Carrier, bell: Any) -> None:
        async def whole() -> None:
            try:
                carrier.outcome = await driven(body, carrier)
            except BaseException as error:
                carrier.error = error
            carrier.ended = True
            bell.send()

        carrier.task = loop.create_task(whole())

    @staticmethod
    def _interrupt(carrier: _Carrier, error: type[BaseException]) -> None:
        if carrier.task is not None and not carrier.ended:
            carrier.pending = error
            carrier.task.cancel()

    def _started(self) -> asyncio.AbstractEventLoop:
        if not _Beside._loops:
            ready = self._hub.loop.async_()
            self._hub.threadpool.spawn(_serve, ready)
            while not _Beside._loops:
                self._hub.wait(ready)
            ready.close()
        return _Beside._loops[0]


def _serve(ready: Any) -> None:
    """In a real thread: the loop, for as long as the process lives."""
    loop = asyncio.new_event_loop()

    def tell() -> None:
        _Beside._loops.append(loop)
        ready.send()

    loop.call_soon(tell)
    loop.run_forever()
