"""Rate limits of the code hold over all workers of a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallage import Smallage
from smallage.stores.base import LimitSpec
from smallage.worker.inprocess import InProcessWorker

LONG = 30
SECOND = 1_000_000


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def app(request: pytest.FixtureRequest, tmp_path: Path):
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/queue.db"}
    url = urls.get(request.param) or request.getfixturevalue("redis_url")
    made = Smallage("shop", broker=url, set_as_current=False, namespace=f"n{tmp_path.name}")
    yield made
    made.close()


def starts(app: Smallage, results: list) -> list[int]:
    """When the tasks were claimed, by the store's clock."""
    return sorted(view.started_us for view in app.store.state([one.id for one in results]) if view is not None)


def test_two_workers_keep_one_rate_and_other_tasks_pass(app):
    limited = app.task(name="limited", rate_limit="50/s")(lambda: None)
    free = app.task(name="free")(lambda: None)
    with InProcessWorker(app), InProcessWorker(app):
        held = limited.delay_many([()] * 15)
        passing = free.delay_many([()] * 15)
        for one in (*held, *passing):
            one.get(timeout=LONG)
    claimed = starts(app, held)
    assert claimed[-1] - claimed[0] >= 14 * 20_000 - 20_000  # the rule's slack, given once
    assert starts(app, passing)[-1] < claimed[-1]
    assert app.store.audit() == []


def test_groups_are_limited_too(app):
    limited = app.task(name="limited", rate_limit="100/s")(lambda n: n)
    with InProcessWorker(app):
        made = limited.fan_out([(n,) for n in range(12)])
        assert made.get(timeout=LONG) == list(range(12))
    claimed = sorted(view.started_us for view in app.store.state([f"{made.id}.{n}" for n in range(12)]))
    assert claimed[-1] - claimed[0] >= 11 * 10_000 - 10_000


def test_the_codes_limits_follow_the_code_and_the_operators_stay(app):
    task = app.task(name="limited", rate_limit="10/m")(lambda: None)
    with InProcessWorker(app):
        assert app.store.limits()["task:limited"].default == LimitSpec(10, 60 * SECOND)
    app.store.limit("task:limited", LimitSpec(5))
    task.rate_limit = None
    with InProcessWorker(app):
        view = app.store.limits()["task:limited"]
        assert (view.default, view.override) == (None, LimitSpec(5))
    app.conf.task_default_rate_limit = "7/h"
    with InProcessWorker(app):
        assert app.store.limits()["task:limited"].default == LimitSpec(7, 3600 * SECOND)
    app.conf.worker_disable_rate_limits = True
    with InProcessWorker(app):
        assert app.store.limits()["task:limited"].default is None
