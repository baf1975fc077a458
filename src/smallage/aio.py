"""asyncio's side: the store's verbs in a few threads, and notices brought into the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from smallage.watching import Hub

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 8
"""Store verbs that run at the same time for all coroutines of a process."""

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def _threads() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(THREADS, thread_name_prefix="smallage-aio")
        return _pool


def _after_fork() -> None:
    """The parent's threads are not in the child."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function without blocking the event loop, in this context."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads(), lambda: context.run(function, *args, **kwargs))


def submit(function: Callable[[], object]) -> None:
    """Call a blocking function in one of the threads, soon."""
    _threads().submit(function)


class AsyncWaiter:
    """A coroutine's subscription to ids: the hub's thread serves all of them."""

    def __init__(self, hub: Hub, *names: str) -> None:
        self._hub = hub
        self._names = names
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._left = False

    def _notify(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    def _enter(self) -> None:
        for name in self._names:
            self._hub.add(name, self._notify)
        if self._left:  # cancelled meanwhile
            self._discard()

    def _discard(self) -> None:
        for name in self._names:
            self._hub.discard(name, self._notify)

    def _leave(self) -> None:
        """Unsubscribe without making the event loop wait for it."""
        self._left = True
        _threads().submit(self._discard)

    async def __aenter__(self) -> AsyncWaiter:
        try:
            await in_thread(self._enter)
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    async def wait(self, timeout: float | None) -> bool:
        """True when something may have changed since the last call; False after `timeout` seconds."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return False
        self._event.clear()
        return True
