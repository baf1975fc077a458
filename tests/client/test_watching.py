"""The hub: one thread that serves all who wait, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any

import pytest

from smallage.aio import AsyncWaiter
from smallage.core.errors import StoreUnavailable
from smallage.watching import Hub, Waiter


class Watch:
    """A subscription by hand: `say` makes `wait` answer or raise."""

    def __init__(self) -> None:
        self.said: queue.Queue[Any] = queue.Queue()
        self.names: set[str] = set()
        self.asked = threading.Semaphore(0)
        self.closed = threading.Event()

    def add(self, ids: Any) -> None:
        self.names.update(ids)

    def discard(self, ids: Any) -> None:
        self.names.difference_update(ids)

    def wait(self, timeout: float | None) -> set[str]:
        self.asked.release()
        said = self.said.get(timeout=30)
        if isinstance(said, Exception):
            raise said
        return set(said)

    def wake(self) -> None:
        self.said.put(set())

    def close(self) -> None:
        self.closed.set()


class Store:
    def __init__(self) -> None:
        self.made: list[Watch] = []

    def watch(self) -> Watch:
        self.made.append(Watch())
        return self.made[-1]


@pytest.fixture
def hub():
    made = Hub(Store())  # type: ignore[arg-type]
    yield made
    made.close()


def watch_of(hub: Hub) -> Watch:
    watch = hub._watch
    assert isinstance(watch, Watch)
    return watch


def test_only_those_concerned_are_told(hub):
    with Waiter(hub, "a") as one, Waiter(hub, "b") as other, Waiter(hub, "a") as twin:
        watch = watch_of(hub)
        assert watch.names == {"a", "b"}
        watch.said.put({"a"})
        assert one.wait(30)
        assert twin.wait(30)
        assert not other.wait(0)
        assert not one.wait(0)
    assert watch.names == set()
    assert len(hub._store.made) == 1


def test_an_id_is_watched_until_the_last_waiter_leaves(hub):
    with Waiter(hub, "a"):
        with Waiter(hub, "a"):
            pass
        assert watch_of(hub).names == {"a"}


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), RuntimeError("odd")])
def test_an_error_of_the_store_makes_all_look_for_themselves(hub, error, monkeypatch):
    monkeypatch.setattr("smallage.watching.PAUSE", 0)
    with Waiter(hub, "a") as one, Waiter(hub, "b") as other:
        watch = watch_of(hub)
        watch.said.put(error)
        assert one.wait(30)
        assert other.wait(30)
        watch.said.put({"a"})  # and the thread goes on
        assert one.wait(30)


def test_closing_ends_the_thread_and_wakes_all(hub):
    with Waiter(hub, "a") as one:
        watch = watch_of(hub)
        assert watch.asked.acquire(timeout=30)
        hub.close()
        assert one.wait(30)
        assert watch.closed.wait(30)


def test_a_coroutine_that_is_cancelled_leaves_nothing_behind(monkeypatch):
    hub = Hub(Store())  # type: ignore[arg-type]
    begun, go_on, added, left = threading.Event(), threading.Event(), threading.Event(), threading.Event()
    add, discard = hub.add, hub.discard

    def slow_add(name, notify):
        begun.set()
        assert go_on.wait(30)
        add(name, notify)
        added.set()

    def seen_discard(name, notify):
        discard(name, notify)
        if added.is_set():
            left.set()

    monkeypatch.setattr(hub, "add", slow_add)
    monkeypatch.setattr(hub, "discard", seen_discard)

    async def wait():
        async with AsyncWaiter(hub, "a"):
            raise AssertionError("it was cancelled before")

    async def main():
        task = asyncio.create_task(wait())
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert await asyncio.to_thread(left.wait, 30)

    asyncio.run(asyncio.wait_for(main(), 60))
    assert watch_of(hub).names == set()
    hub.close()


def test_a_coroutine_is_told_in_its_own_loop(hub):
    async def main():
        async with AsyncWaiter(hub, "a") as waiter:
            assert not await waiter.wait(0)
            watch_of(hub).said.put({"a"})
            assert await waiter.wait(30)

    asyncio.run(main())
