"""Raising an exception of our choice in a coroutine that waits."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    from smallage.stores.shelter import Shelter


class Pending(Protocol):
    """Where the exception to be raised is put before the asyncio task is cancelled."""

    pending: type[BaseException] | None


class Place(Pending, Protocol):
    """A slot."""

    shelter: Shelter


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
    """One thread's own event loop, for the coroutines that it runs one after the other. While one runs, nothing is
    raised in the thread itself: that could break the loop for all that come later."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._task: asyncio.Task[Any] | None = None
        self._busy = False

    def run(self, body: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, in a context of its own."""
        shelter = self._place.shelter
        try:
            shelter.__enter__()
        except BaseException:
            body.close()
            raise
        try:
            self._busy = True
            return self._runner.run(self._whole(body), context=copy_context())
        finally:
            self._busy = False
            shelter.leave()  # what has come meanwhile is too late

    def interrupt(self) -> bool:
        """From another thread, or from a signal's handler: raise `place.pending` in the coroutine; False if none
        runs."""
        if not self._busy:
            return False
        self._loop.call_soon_threadsafe(self._cancel)
        return True

    def close(self) -> None:
        """Close the loop."""
        self._runner.close()

    async def _whole(self, body: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        try:
            if self._place.pending is not None:  # sent while the loop started
                body.close()
                raise self._place.pending
            return await driven(body, self._place)
        finally:
            self._task = None

    def _cancel(self) -> None:
        if self._task is not None and self._place.pending is not None:
            self._task.cancel()
