"""`app.control`: orders about many tasks, questions about workers."""

from __future__ import annotations

from smallage.stores.base import SessionInfo


def test_revoke_and_terminate(bench):
    work = bench.app.task(name="work")(lambda: None)
    one, two, three = work.delay(), work.delay(), work.delay()
    (claim,) = bench.claim()
    bench.app.control.revoke([two.id, three])
    assert [handle.state for handle in (one, two, three)] == ["STARTED", "REVOKED", "REVOKED"]
    bench.app.control.terminate(one.id)
    assert bench.settle(claim, bench.execute(claim)) == "stale"


def test_purge_pause_and_resume(bench):
    work = bench.app.task(name="work")(lambda: None)
    work.delay_many([()] * 5)
    work.apply_async(queue="other", countdown=9)
    assert bench.app.control.purge() == 6
    assert bench.run() == []
    work.delay()
    bench.app.control.pause("celery")
    assert bench.run() == []
    bench.app.control.resume("celery")
    assert len(bench.run()) == 1


def test_inspect(bench):
    inspect = bench.app.control.inspect()
    assert inspect.ping() is inspect.active() is inspect.registered() is inspect.stats() is None
    info = SessionInfo(node="celery@a", pool="threads", concurrency=4, queues=("celery",), names=("work", "add"))
    bench.store.announce("s1", info)
    bench.store.announce("s2", info)
    work = bench.app.task(name="work")(lambda: None)
    work.delay()
    (claim,) = bench.claim()
    assert bench.app.control.ping(["celery@a"]) == [{"celery@a": {"ok": "pong"}}]
    assert bench.app.control.ping(["celery@b"]) == []
    assert inspect.registered()["celery@a"] == ["add", "work"]
    assert inspect.active_queues()["celery@a"][0]["name"] == "celery"
    assert inspect.stats()["celery@a"]["pool"]["max-concurrency"] == 8
    active = inspect.active()["bench"]
    assert [one["id"] for one in active] == [claim.id]
    assert "args" not in active[0]
