"""Waiting for ends, by the store's notices."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from smallage.core.errors import TimeoutError
from smallage.request import running

if TYPE_CHECKING:
    from smallage.app import Smallage

_joining: ContextVar[bool] = ContextVar("smallage_allow_join", default=False)


@contextmanager
def allow_join_result() -> Iterator[None]:
    """Within it a task may wait for the results of others. Mind that this can lock a worker up."""
    with _join_set_to(True):
        yield


@contextmanager
def denied_join_result() -> Iterator[None]:
    """Within it a task may not wait for the results of others, as is the rule."""
    with _join_set_to(False):
        yield


@contextmanager
def _join_set_to(allowed: bool) -> Iterator[None]:
    token = _joining.set(allowed)
    try:
        yield
    finally:
        _joining.reset(token)


def check_may_wait(allowed: bool = False) -> None:
    """Raise RuntimeError inside a task: a worker full of waiting tasks would stand still for ever."""
    request = running.get()
    if request is None or allowed or _joining.get() or request.is_eager:
        return
    raise RuntimeError(
        "Never call result.get() within a task!\nUse fan_out(then=...) or a chord to go on when others have ended, or "
        "pass disable_sync_subtasks=False if workers enough are free."
    )


def deadline_of(timeout: Any) -> float | None:
    """When a wait of `timeout` seconds ends, by the monotonic clock; None for never."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}.")
    return time.monotonic() + timeout


def patience(deadline: float | None, timeout: float | None, what: str) -> float:
    """Seconds to wait at most now; raises TimeoutError when the time for `what` is over."""
    from smallage.watching import REREAD

    if deadline is None:
        return REREAD
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"{what} has not ended within {timeout:g} seconds; it goes on.")
    return min(left, REREAD)


def notices(
    app: Smallage,
    names: Sequence[str],
    timeout: float | None,
    what: str,
    on_interval: Callable[[], Any] | None = None,
    interval: float = 0.5,
) -> Generator[None]:
    """Whenever one of the tasks or groups `names` may have changed; first at once. Raises TimeoutError after `timeout`
    seconds. `on_interval` is called every `interval` seconds."""
    deadline = deadline_of(timeout)
    yield
    from smallage.watching import Waiter

    with Waiter(app.hub, *names) as waiter:
        while True:
            yield
            left = patience(deadline, timeout, what)
            if on_interval is None:
                waiter.wait(left)
            else:
                waiter.wait(min(left, max(interval, 0.01)))
                on_interval()


def wait_until(
    app: Smallage,
    names: Sequence[str],
    over: Callable[[], bool],
    timeout: float | None,
    what: str,
    on_interval: Callable[[], Any] | None = None,
    interval: float = 0.5,
) -> None:
    """Return when `over()` is true; it is asked at each of the `notices`."""
    with closing(notices(app, names, timeout, what, on_interval, interval)) as told:
        for _ in told:
            if over():
                return


async def await_until(
    app: Smallage, names: Sequence[str], over: Callable[[], bool], timeout: float | None, what: str
) -> None:
    """`wait_until` for asyncio: `over` is asked in a thread, and the event loop goes on."""
    from smallage.aio import AsyncWaiter, in_thread

    deadline = deadline_of(timeout)
    if await in_thread(over):
        return
    async with AsyncWaiter(app.hub, *names) as waiter:
        while not await in_thread(over):
            await waiter.wait(patience(deadline, timeout, what))
