"""`apply()` and `task_always_eager`: tasks run here and now, without a store."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from smallage import Smallage, chord, group
from smallage.core.errors import EncodeError, Ignore, TaskRevokedError
from smallage.result import EagerResult


@pytest.fixture
def app(monkeypatch):
    made = Smallage("eager", broker="memory://", set_as_current=False)
    monkeypatch.setattr("smallage.app.stored.open_store", forbidden)
    return made


def forbidden(url, conf):
    raise AssertionError("the store was opened")


@dataclasses.dataclass
class Point:
    x: int


def test_apply(app):
    @app.task
    def shift(point: Point) -> Point:
        return Point(point.x + 1)

    result = shift.apply((Point(1),))
    assert isinstance(result, EagerResult)
    assert result.get() == Point(2)
    assert (result.state, result.ready(), result.successful()) == ("SUCCESS", True, True)
    with pytest.raises(EncodeError):
        shift.apply((object(),))
    result.forget()
    result.revoke()
    with pytest.raises(TaskRevokedError):
        result.get()


def test_failures(app):
    class Local(Exception):
        pass

    @app.task
    def fail():
        raise Local("x")

    result = fail.apply()
    assert isinstance(result.get(propagate=False), Local)
    assert "Local: x" in result.traceback
    with pytest.raises(Local):
        result.get()
    with pytest.raises(Local):
        fail.apply(throw=True)
    app.conf.task_eager_propagates = True
    with pytest.raises(Local):
        fail.apply()
    assert fail.apply(throw=False).failed()


def test_retries_follow_at_once(app):
    runs = []

    @app.task(bind=True, max_retries=2)
    def work(self, n):
        runs.append((self.request.retries, self.request.is_eager, self.request.id, n))
        if self.request.retries < 2:
            raise self.retry(args=(n + 1,), countdown=500)
        self.update_state(state="PROGRESS", meta=1)
        return n

    assert work.apply((0,), task_id="x").get() == 2
    assert runs == [(0, True, "x", 0), (1, True, "x", 1), (2, True, "x", 2)]


def test_ignore(app):
    @app.task
    def skip():
        raise Ignore

    assert skip.apply().state == "IGNORED"


def test_async_bodies_with_and_without_a_running_loop(app):
    @app.task
    async def wait(n):
        await asyncio.sleep(0)
        return n

    assert wait.apply((3,)).get() == 3

    async def main():
        result = wait.apply((4,))
        return await result.aget()

    assert asyncio.run(main()) == 4


@pytest.fixture
def eager(app):
    app.conf.task_always_eager = True
    return app


def test_always_eager(eager):
    @eager.task
    def add(a, b):
        return a + b

    assert add.delay(1, 2).get() == 3
    assert add.apply_async((1, 2), countdown=50, queue="q", priority=3).get() == 3
    assert add.s(1).delay(2).get() == 3
    assert [one.get() for one in add.delay_many([(1, 2), {"a": 3, "b": 4}])] == [3, 7]
    assert asyncio.run(add_later(add)) == 3
    with pytest.raises(TypeError):
        add.delay(1)


async def add_later(add):
    return await (await add.adelay(1, 2)).aget()


def test_eager_groups(eager):
    @eager.task
    def half(n):
        if n % 2:
            raise ValueError(n)
        return n // 2

    @eager.task
    def body(outcomes, extra):
        return [outcomes.total, outcomes.done, list(outcomes.values()), extra]

    result = half.fan_out([(n,) for n in range(4)], then=body.s("x"))
    assert (result.total, result.done, result.failed, result.ready()) == (4, 2, 2, True)
    assert result.then.get() == [4, 2, [0, 1], "x"]
    with pytest.raises(ValueError, match="1"):
        result.get()
    assert [one.state for one in result.results()] == ["SUCCESS", "FAILURE", "SUCCESS", "FAILURE"]
    assert result[2].get() == 1
    assert group(half.s(n) for n in (2, 4)).apply_async().get() == [1, 2]
    assert len(list(result.progress())) == 1


def test_eager_chords(eager):
    @eager.task
    def same(n):
        return n

    @eager.task
    def total(values):
        return sum(values)

    assert chord([same.s(n) for n in range(4)], total.s()).apply_async().get() == 6
    assert chord(same.s(n) for n in range(3))(total.s()).get() == 3


def test_eager_results_are_stored_if_the_settings_say_so(bench):
    bench.app.conf.update(task_always_eager=True, task_store_eager_result=True)

    @bench.app.task(name="work")
    def work(n):
        return 1 / n

    good, bad = work.delay(2), work.delay(0)
    assert bench.app.AsyncResult(good.id).get() == 0.5
    assert isinstance(bench.app.AsyncResult(bad.id).result, ZeroDivisionError)
    assert work.apply_async((1,), ignore_result=True).get() == 1
