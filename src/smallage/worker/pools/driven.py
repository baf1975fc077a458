"""Raising an exception of our choice in a coroutine that waits."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Pending(Protocol):
    """Where the exception to be raised is put before the asyncio task is cancelled."""

    pending: type[BaseException] | None


@types.coroutine
def driven(body: Coroutine[Any, Any, T], place: Pending) -> Generator[Any, Any, T]:
    """Run `body`, turning a cancellation that was sent by us into the exception that it stands for.

    asyncio sends nothing but CancelledError into a task. So the exception is put into `place.pending` and the task is
    cancelled; here, on the way into the body, one becomes the other, and the task's count of cancellations is set back
    so that `asyncio.timeout` and task groups inside the body are not misled.
    """
    error: BaseException | None = None
    while True:
        try:
            awaited = body.send(None) if error is None else body.throw(error)
        except StopIteration as end:
            value: T = end.value
            return value
        error = None
        try:
            yield awaited
        except asyncio.CancelledError as cancelled:
            error = cancelled
            if place.pending is not None:
                error, place.pending = place.pending(), None
                if (task := asyncio.current_task()) is not None:
                    task.uncancel()
        except BaseException as raised:
            error = raised


class Runner:
    """One thread's own event loop, for the coroutines that it runs one after the other."""

    def __init__(self, place: Pending) -> None:
        self._place = place
        self._runner = asyncio.Runner()
        self._task: asyncio.Task[Any] | None = None

    def run(self, body: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, in a context of its own."""
        return self._runner.run(self._whole(body), context=copy_context())

    def interrupt(self) -> bool:
        """From another thread: raise `place.pending` in the coroutine; False if none runs."""
        task = self._task
        if task is None:
            return False
        task.get_loop().call_soon_threadsafe(self._cancel, task)
        return True

    def close(self) -> None:
        """Close the loop."""
        self._runner.close()

    async def _whole(self, body: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        try:
            return await driven(body, self._place)
        finally:
            self._task = None

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        if task is self._task and self._place.pending is not None:
            task.cancel()
