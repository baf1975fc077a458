"""`app.control`: orders about many tasks, questions about workers."""

from __future__ import annotations

from smallage.stores.base import SessionInfo


def test_revoke_and_terminate(bench):
    work = bench.app.task(name="work")(lambda: None)
    one, two, three = work.delay(), work.delay(), work.delay()
    (claim,) = bench.claim()
    bench.app.control.revoke([two.id, three])
    assert [handle.state for handle in (one, two, three)] == ["PENDING", "REVOKED", "REVOKED"]
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


def test_nobody_answers(bench):
    """Who answers is tested with workers, in tests/worker."""
    inspect = bench.app.control.inspect(timeout=0)
    assert inspect.ping() is inspect.active() is inspect.registered() is inspect.stats() is inspect.scheduled() is None
    bench.store.announce("s1", SessionInfo(node="celery@a", queues=("celery",), names=("work",)))
    assert bench.app.control.ping(["celery@a"], timeout=0) == []
