"""Questions and orders to a worker of several processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smallage.app import Smallage
from smallage.cli.group import cli
from smallage.stores.base import Order
from tests.worker import sample
from tests.worker.conftest import PATIENCE, Moments, Worker, until

Start = Callable[..., Worker]


def stats_of(app: Smallage) -> dict[str, Any]:
    """What the children told that answered in time; no "pool" if there is no worker, or none of them did."""
    found: dict[str, Any] = next(iter((app.control.inspect(timeout=PATIENCE).stats() or {"": {}}).values()))
    return found


def processes(app: Smallage) -> int:
    """Children that have answered."""
    stats = stats_of(app)
    return len(stats["pool"]["processes"]) if "pool" in stats else 0


def test_the_children_answer_as_one(start: Start, app: Smallage) -> None:
    start("-P", "processes", "-c", "2", "-n", "w@x")
    for n in range(6):
        assert sample.add.delay(n, 1).get(timeout=PATIENCE) == n + 1
    told: list[dict[str, Any]] = []

    def both_answer() -> bool:
        told.append(stats_of(app))
        return "pool" in told[-1] and len(told[-1]["pool"]["processes"]) == 2

    until(both_answer)
    assert told[-1]["total"] == {sample.add.name: 6}
    assert told[-1]["pool"]["max-concurrency"] == 2
    until(lambda: sample.add.name in (app.control.inspect(timeout=PATIENCE).registered() or {})["w@x"])


def test_a_child_that_takes_its_time_is_waited_for(start: Start, app: Smallage, moments: Moments) -> None:
    start("-P", "processes", "-c", "1", "-n", "w@x")
    sample.seize.delay(2)
    moments.next("started")
    assert "pool" in (app.control.inspect(timeout=PATIENCE).stats() or {})["w@x"]


def test_the_pool_grows_and_shrinks(start: Start, app: Smallage) -> None:
    worker = start("-P", "processes", "-c", "1", "-n", "w@x")
    until(lambda: processes(app) == 1)
    control = app.control
    assert control.pool_grow(2, reply=True, timeout=PATIENCE) == [{"w@x": {"ok": "pool will grow"}}]
    until(lambda: processes(app) == 3)
    assert control.pool_shrink(1, reply=True, timeout=PATIENCE) == [{"w@x": {"ok": "pool will shrink"}}]
    until(lambda: processes(app) == 2)
    said = control.autoscale(1, 1, reply=True, timeout=PATIENCE)
    assert said == [{"w@x": {"ok": "autoscale now max=1 min=1"}}]
    until(lambda: processes(app) == 1)
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2
    assert "died" not in worker.peek()


def test_a_pool_of_threads_keeps_its_size(start: Start, app: Smallage) -> None:
    start("-P", "threads", "-c", "2", "-n", "w@x")
    until(lambda: processes(app) == 1)
    said = app.control.pool_grow(1, reply=True, timeout=PATIENCE)
    assert "keeps its size" in said[0]["w@x"]["error"]


def test_a_worker_without_remote_control_works_on(
    start: Start, app: Smallage, moments: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMPLE_DEAF", "1")
    worker = start("-P", "processes", "-c", "1", "-n", "w@x")
    until(lambda: len(app.store.workers()) == 1)
    (view,) = app.store.workers()
    assert app.control.inspect(timeout=PATIENCE).ping() is None
    for kind, text in (("shutdown", ""), ("ask", '{"method": "shutdown"}'), ("ask", '{"method": "ping"}')):
        app.store.control(Order(view.session, kind, "ticket", 0, text))
    result = sample.hold.delay(str(Path(os.environ["SAMPLE_MOMENTS"]).parent / "gate"))
    moments.next("started")
    result.revoke(terminate=True)  # what the store itself orders is done
    assert sample.add.delay(1, 2).get(timeout=PATIENCE) == 3
    assert app.store.answers("ticket") == {}
    stop = CliRunner().invoke(cli, ["workers", "stop", "w@x"])
    assert stop.exit_code == 2
    assert "hears no orders (worker_enable_remote_control is off)" in stop.output
    assert "Stopping" not in worker.peek()


def test_what_was_ordered_holds_for_later_children(start: Start, app: Smallage) -> None:
    start("-P", "processes", "-c", "1", "-n", "w@x")
    until(lambda: processes(app) == 1)
    app.control.add_consumer("mail", reply=True, timeout=PATIENCE)
    app.control.pool_grow(1, reply=True, timeout=PATIENCE)
    until(lambda: processes(app) == 2)
    until(lambda: all("mail" in one.info.queues for one in app.store.workers()) and len(app.store.workers()) == 2)


@pytest.mark.parametrize("pool", ["processes", "threads"])
def test_a_shutdown_ends_the_worker(start: Start, app: Smallage, pool: str) -> None:
    worker = start("-P", pool, "-c", "2", "-n", "w@x")
    until(lambda: processes(app) >= 1)
    app.control.shutdown()
    assert worker.wait() == 0


def test_a_pool_that_scales_by_need(start: Start, app: Smallage, moments: Moments) -> None:
    start("-P", "processes", "--autoscale", "2,1", "-n", "w@x")
    until(lambda: processes(app) == 1)
    held = [sample.endless.delay() for _ in range(2)]
    moments.next("started")
    moments.next("started")  # the second one, which the first process had no room for
    until(lambda: processes(app) == 2)
    app.store.revoke([one.id for one in held], terminate=True)
