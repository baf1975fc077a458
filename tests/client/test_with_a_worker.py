"""The client with a worker at its side, on every store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallage import GroupResult, Outcomes, Smallage, chord, group
from smallage.core.errors import ChordError, TaskRevokedError
from smallage.worker.inprocess import InProcessWorker

LONG = 30


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Smallage]:
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/store/queue.db"}
    url = urls.get(request.param) or request.getfixturevalue("redis_url")
    made = Smallage("shop", broker=url, set_as_current=False, namespace=f"n{tmp_path.name}")
    yield made
    made.close()


@pytest.fixture
def tasks(app: Smallage) -> Any:
    """The app's tasks by name."""

    @app.task(name="add")
    def add(a, b):
        if a == "fail":
            raise ValueError(b)
        return a + b

    @app.task(name="later")
    async def later(value):
        await asyncio.sleep(0)
        return value

    @app.task(name="flaky", bind=True, autoretry_for=(ValueError,), retry_kwargs={"countdown": 0.01, "max_retries": 3})
    def flaky(self, times):
        if self.request.retries < times:
            raise ValueError(times)
        return self.request.retries

    @app.task(name="summary")
    def summary(outcomes: Outcomes):
        return [outcomes.total, outcomes.done, outcomes.failed, outcomes.cancelled]

    @app.task(name="total")
    def total(values):
        return sum(values)

    @app.task(name="foreman", bind=True)
    def foreman(self, n):
        self.progress(0, n)
        made = add.fan_out(((one, 1) for one in range(n)), then=summary.s())
        return [made.id, add.delay(1, 1).id]

    with InProcessWorker(app):
        yield app.tasks


def test_values_and_failures(tasks):
    assert tasks["add"].delay(1, 2).get(LONG) == 3
    assert tasks["later"].delay([1]).get(LONG) == [1]
    assert tasks["flaky"].delay(2).get(LONG) == 2
    result = tasks["flaky"].delay(9)
    with pytest.raises(ValueError, match="9"):
        result.get(LONG)
    assert result.retries == 3
    assert "raise ValueError(times)" in result.traceback


def test_a_revoked_task_is_not_run(tasks):
    result = tasks["add"].apply_async((1, 2), countdown=3600)
    result.revoke()
    with pytest.raises(TaskRevokedError):
        result.get(LONG)


def test_a_fan_out_is_followed_to_its_end(tasks):
    result = tasks["add"].fan_out(((n, n) if n % 100 else ("fail", n) for n in range(1500)), then=tasks["summary"].s())
    shots = list(result.progress(timeout=LONG))
    assert shots[-1].ended
    assert (shots[-1].done, shots[-1].failed) == (1485, 15)
    assert result.then.get(LONG) == [1500, 1485, 15, 0]
    values = [one.value for one in result.results() if one.state == "SUCCESS"]
    assert sum(values) == sum(2 * n for n in range(1500) if n % 100)


def test_a_foremans_group(app, tasks):
    name, child = tasks["foreman"].delay(20).get(LONG)
    restored = GroupResult.restore(name, app)
    assert restored is not None
    assert restored.get(LONG) == [n + 1 for n in range(20)]
    assert restored.then is not None
    assert restored.then.get(LONG) == [20, 20, 0, 0]
    assert app.AsyncResult(child).get(LONG) == 2


def test_groups_and_chords(tasks):
    add, later, total = tasks["add"], tasks["later"], tasks["total"]
    assert group([add.s(1, 2), later.s(4), add.s(5, 5)]).apply_async().get(LONG) == [3, 4, 10]
    assert chord([add.s(n, n) for n in range(10)], total.s()).apply_async().get(LONG) == 90
    failing = chord([add.s(1, 1), add.s("fail", 0)], total.s()).apply_async()
    with pytest.raises(ValueError, match="0"):
        failing.get(LONG)
    with pytest.raises(ChordError, match="raised ValueError"):
        failing.get(LONG, follow_parents=False)


def test_many_coroutines(tasks):
    async def main():
        results = await tasks["add"].adelay_many([(n, 1) for n in range(100)])
        values = await asyncio.gather(*(one.aget(LONG) for one in results))
        grown = await tasks["add"].afan_out([(n, 1) for n in range(100)])
        return values, await grown.aget(LONG)

    expected = [n + 1 for n in range(100)]
    assert asyncio.run(main()) == (expected, expected)
