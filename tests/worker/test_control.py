"""Questions and orders to workers, through the store."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from smallage import Smallage
from smallage.control import inspect_command
from smallage.control.asking import nodes
from smallage.core.errors import ImproperlyConfigured
from smallage.hosts import this_host
from smallage.stores.base import Host, LimitSpec, Order, SessionInfo
from smallage.worker.board import Farewell
from smallage.worker.inprocess import InProcessWorker

LONG = 30


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def app(request: pytest.FixtureRequest, tmp_path: Path):
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/queue.db"}
    url = urls.get(request.param) or request.getfixturevalue("redis_url")
    made = Smallage("shop", broker=url, set_as_current=False, namespace=f"n{tmp_path.name}", database_password="hush")
    yield made
    made.close()


@pytest.fixture
def gate(app):
    """A task that holds until the test lets it go."""
    inside, go = threading.Event(), threading.Event()

    @app.task(name="hold", rate_limit=None)
    def hold(n, more=0):
        inside.set()
        assert go.wait(LONG)
        return n

    hold.inside, hold.go = inside, go
    yield hold
    go.set()


def test_ping(app):
    with InProcessWorker(app, node="a@x"), InProcessWorker(app, node="b@x"):
        assert sorted(app.control.ping(timeout=LONG), key=str) == [{"a@x": {"ok": "pong"}}, {"b@x": {"ok": "pong"}}]
        assert app.control.ping(["b@x"], timeout=LONG) == [{"b@x": {"ok": "pong"}}]
        assert app.control.inspect(pattern="a*", timeout=LONG).ping() == {"a@x": {"ok": "pong"}}
    assert app.control.inspect(timeout=0.1).ping() is None
    assert app.control.ping(timeout=0.1) == []


def test_a_worker_without_remote_control_hears_nothing(app, gate):
    app.conf.worker_enable_remote_control = False
    with InProcessWorker(app, node="a@x") as worker:
        assert nodes(app) == {}
        assert app.control.inspect(timeout=LONG).ping() is None  # at once: it is not waited for
        assert app.control.shutdown(reply=True, timeout=LONG) == []
        (view,) = app.store.workers()
        assert app.store.control(Order(view.session, "ask", "ticket", 0, '{"method": "shutdown"}'))
        running, waiting = gate.delay(1), gate.apply_async((2,), countdown=LONG)
        assert gate.inside.wait(LONG)  # it works on
        app.control.revoke([running.id, waiting.id], terminate=True)  # an act of the store, which holds
        app.control.rate_limit("hold", "1/h")
        assert (running.state, waiting.state) == ("REVOKED", "REVOKED")
        assert app.store.limits()["task:hold"].override == LimitSpec(1, 3_600_000_000)
        assert worker.engine.farewell == Farewell.NONE
        gate.go.set()


def test_what_runs_and_what_waits(app, gate):
    with InProcessWorker(app, node="a@x", concurrency=1):
        result = gate.delay(1, more=2)
        assert gate.inside.wait(LONG)
        asked = app.control.inspect(timeout=LONG)
        (shown,) = asked.active()["a@x"]
        assert (shown["id"], shown["name"], shown["args"], shown["kwargs"]) == (result.id, "hold", [1], {"more": 2})
        assert abs(shown["time_start"] - time.time()) < LONG
        assert asked.query_task(result.id)["a@x"][result.id][0] == "active"
        later = gate.apply_async((2,), countdown=3600)
        (waiting,) = asked.scheduled()["a@x"]
        assert (waiting["request"]["id"], waiting["request"]["args"]) == (later.id, [2])
        later.revoke()
        assert later.id in asked.revoked()["a@x"]
        assert asked.reserved() == {"a@x": []}
        gate.go.set()
        assert result.get(timeout=LONG) == 1


def test_the_worker_itself(app, gate):
    gate.rate_limit = "10/m"
    with InProcessWorker(app, node="a@x", queues=("celery", "mail")):
        asked = app.control.inspect(timeout=LONG)
        assert asked.registered() == {"a@x": ["hold [rate_limit=10/m]"]}
        assert [one["name"] for one in asked.active_queues()["a@x"]] == ["celery", "mail"]
        stats = asked.stats()["a@x"]
        assert stats["pool"]["max-concurrency"] == 4
        assert stats["total"] == {}
        assert stats["pid"] == os.getpid()
        conf = asked.conf()["a@x"]
        assert "hush" not in str(conf)
        assert "hush" not in str(asked.report())


def test_queues_are_added_and_taken_away(app, gate):
    gate.go.set()
    with InProcessWorker(app, node="a@x"):
        said = app.control.add_consumer("mail", reply=True, timeout=LONG)
        assert said == [{"a@x": {"ok": "add consumer mail"}}]
        assert gate.apply_async((5,), queue="mail").get(timeout=LONG) == 5
        said = app.control.cancel_consumer("celery", reply=True, timeout=LONG)
        assert said == [{"a@x": {"ok": "no longer consuming from celery"}}]
        assert gate.apply_async((6,), queue="mail").get(timeout=LONG) == 6  # a claim of before has ended by now
        left = gate.delay(7)
        assert gate.apply_async((8,), queue="mail").get(timeout=LONG) == 8
        assert not left.ready()
        assert [view.info.queues for view in app.store.workers()] == [("mail",)]


def test_limits(app, gate):
    with InProcessWorker(app, node="a@x"):
        control = app.control
        ok = [{"a@x": {"ok": "new rate limit set successfully"}}]
        assert control.rate_limit("hold", "10/m", reply=True, timeout=LONG) == ok
        assert app.store.limits()["task:hold"].override == LimitSpec(10, 60_000_000)
        said = control.rate_limit("nobody", "10/m", reply=True, timeout=LONG)
        assert said == [{"a@x": {"error": "unknown task"}}]
        said = control.rate_limit("hold", 0, reply=True, timeout=LONG)
        assert said == [{"a@x": {"ok": "rate limit disabled successfully"}}]
        with pytest.raises(ImproperlyConfigured):
            control.rate_limit("hold", "often")
        said = control.time_limit("hold", soft=1.5, hard=3, reply=True, timeout=LONG)
        assert said == [{"a@x": {"ok": "time limits set successfully"}}]
        assert (gate.soft_time_limit, gate.time_limit) == (1.5, 3)


def test_revoking_is_told_by_every_worker(app, gate):
    with InProcessWorker(app, node="a@x"):
        result = gate.apply_async((1,), countdown=3600)
        said = app.control.revoke(result.id, reply=True, timeout=LONG)
        assert said == [{"a@x": {"ok": f"tasks {{'{result.id}'}} flagged as revoked"}}]
        assert result.state == "REVOKED"


def test_commands_of_the_application(app):
    @inspect_command()
    def shop_hours(state, day):
        return {"open": day != "sunday", "at": state.hostname}

    with InProcessWorker(app, node="a@x"):
        asked = app.control.inspect(timeout=LONG)
        assert asked.shop_hours(day="monday") == {"a@x": {"open": True, "at": "a@x"}}
        assert "unknown command" in asked.no_such_thing()["a@x"]["error"]


def test_a_dead_worker_is_not_waited_for(app):
    here = this_host(2**22 - 1)
    gone = Host(here.name, here.boot_id, here.pid_namespace, 2**22 - 1, 12345)
    with InProcessWorker(app, node="a@x"):
        app.store.announce("dead", SessionInfo(host=gone, inbox="nobody", node="dead@x"))
        assert set(nodes(app)) == {"a@x"}
        assert app.control.inspect(timeout=LONG, destination=["a@x", "dead@x"]).ping() == {"a@x": {"ok": "pong"}}


def test_a_shutdown(app):
    worker = InProcessWorker(app, node="a@x").start()
    assert app.control.broadcast("shutdown", reply=True, timeout=LONG) == [{"a@x": {"ok": "shutting down"}}]
    worker.join()
    assert app.store.workers() == []
