"""The asyncio side: nothing blocks the loop, one thread serves all who wait."""

from __future__ import annotations

import asyncio
import threading

import pytest

from smallage.core.errors import TimeoutError
from smallage.testing.wrapper import Wrapper


@pytest.fixture
def add(bench):
    @bench.app.task
    def add(a, b):
        if a == "fail":
            raise ValueError(b)
        return a + b

    return add


class Threads(Wrapper):
    """The threads that spoke with the store."""

    def __init__(self, inner):
        super().__init__(inner)
        self.seen = set()

    def around(self, verb, act, args, kwargs):
        self.seen.add(threading.get_ident())
        return act(*args, **kwargs)


def test_no_verb_runs_in_the_loops_thread(bench, add):
    store = Threads(bench.store)

    async def main():
        bench.app.use_store(store)
        first = await add.adelay(1, 2)
        second = await add.aapply_async((3, 4), countdown=0)
        many = await add.adelay_many([(5, 6)])
        grown = await add.afan_out([(7, 8)])
        await asyncio.to_thread(bench.run)
        values = [await one.aget(timeout=30) for one in (first, second, *many)]
        assert await first.astate() == "SUCCESS"
        return values, await grown.aget(timeout=30), [shot.done async for shot in grown.aprogress()]

    assert asyncio.run(main()) == ([3, 7, 11], [15], [1])
    assert threading.get_ident() not in store.seen


def test_many_coroutines_wait_with_one_thread(bench, add):
    async def main():
        results = await add.adelay_many([(n, 1) for n in range(300)])
        waiting = [asyncio.create_task(one.aget(timeout=60)) for one in results]
        await asyncio.sleep(0)
        await asyncio.to_thread(bench.run)
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == [n + 1 for n in range(300)]
    watchers = [thread for thread in threading.enumerate() if thread.name == "smallage-watch"]
    assert len({id(thread) for thread in watchers}) == len(watchers)


def test_failures_and_timeouts(bench, add):
    async def main():
        failing, slow = await add.adelay("fail", 1), await add.aapply_async((1, 2), countdown=99)
        await asyncio.to_thread(bench.run)
        with pytest.raises(ValueError, match="1"):
            await failing.aget(timeout=30)
        assert isinstance(await failing.aget(propagate=False), ValueError)
        with pytest.raises(TimeoutError):
            await slow.aget(timeout=0)
        group = await add.afan_out([("fail", 2)])
        with pytest.raises(TimeoutError):
            await group.aget(timeout=0)
        await asyncio.to_thread(bench.run)
        with pytest.raises(ValueError, match="2"):
            await group.aget(timeout=30)

    asyncio.run(main())


def test_progress_for_asyncio(bench, add):
    async def main():
        group = await add.afan_out([(n, 0) for n in range(3)])
        shots = []
        async for shot in group.aprogress(timeout=30):
            shots.append(shot.done)
            await asyncio.to_thread(bench.step)
        return shots

    assert asyncio.run(main()) == [0, 1, 2, 3]


def test_the_context_goes_along(bench, add):
    """A task pushed from an async body knows its parent, also through a thread."""

    @bench.app.task(bind=True)
    async def outer(self):
        return (await inner.adelay()).id

    @bench.app.task(bind=True)
    def inner(self):
        return self.request.parent_id

    result = outer.delay()
    bench.run()
    assert bench.app.AsyncResult(result.get()).get() == result.id


def test_results_of_calls_whose_result_is_not_kept(bench):
    @bench.app.task(ignore_result=True)
    def quiet(): ...

    async def main():
        return await (await quiet.adelay()).aget()

    assert asyncio.run(main()) is None
