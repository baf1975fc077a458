"""`self.request`: what a run knows of itself."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from smallage import run, signals
from smallage.core.errors import BackendStoreError
from smallage.core.message import is_uuid
from smallage.testing import FaultyStore


def seen(bench, *names, **options):
    """What the request's attributes were in a run."""

    @bench.app.task(bind=True, name="look", **options.pop("task", {}))
    def look(self, *args, **kwargs):
        found.update({name: getattr(self.request, name) for name in names})

    found: dict = {}
    look.apply_async(options.pop("args", ()), options.pop("kwargs", {}), **options)
    bench.later(options.get("countdown", 0))
    assert bench.step() is not None
    return found


def test_what_it_says(bench):
    found = seen(
        bench,
        *("id", "task", "args", "kwargs", "retries", "hostname", "root_id", "parent_id", "group", "is_eager"),
        *("called_directly", "delivery_info", "headers", "timelimit", "crashes", "generation", "expires", "eta"),
        *("waited", "ignore_result", "correlation_id", "chord", "callbacks", "shadow"),
        args=(1,),
        kwargs={"b": 2},
        task_id="x",
        priority=3,
        headers={"trace": "t"},
        time_limit=9,
        countdown=5,
        expires=60,
        shadow="shown",
    )
    assert found == {
        "id": "x",
        "task": "look",
        "args": [1],
        "kwargs": {"b": 2},
        "retries": 0,
        "hostname": "bench@here",
        "root_id": "x",
        "parent_id": None,
        "group": None,
        "is_eager": False,
        "called_directly": False,
        "delivery_info": {"exchange": "", "routing_key": "celery", "priority": 3, "redelivered": False},
        "headers": {"trace": "t"},
        "timelimit": [9, None],
        "crashes": 0,
        "generation": 1,
        "expires": "2027-01-15T08:01:00+00:00",
        "eta": "2027-01-15T08:00:05+00:00",
        "waited": 5.0,
        "ignore_result": False,
        "correlation_id": "x",
        "chord": None,
        "callbacks": None,
        "shadow": "shown",
    }


def test_headers_are_attributes_and_do_not_pose_as_ours(bench):
    found = seen(bench, "trace", "id", "retries", headers={"trace": "t", "id": "other", "retries": 99})
    assert found["trace"] == "t"
    assert found["id"] != "other"
    assert found["retries"] == 0


def test_arguments_do_not_pose_as_an_envelope(bench):
    found = seen(bench, "token", "retries", kwargs={"_retries": 5, "token": 3, "retries": 7})
    assert found["retries"] == 0
    assert found["token"] > 10**12


def test_the_rest_of_celerys_side(bench):
    @bench.app.task(bind=True)
    def look(self):
        request = self.request
        request.update({"mine": 1}, other=2)
        assert request.get("nothing", 5) == 5
        with pytest.raises(AttributeError):
            _ = request.nothing
        assert "look" in repr(request)
        assert request.pushed <= request.claimed
        return [request.mine, request.other, request.get("retries")]

    result = look.delay()
    bench.run()
    assert result.get() == [1, 2, 0]


def test_outside_of_a_run(bench):
    @bench.app.task(bind=True)
    def look(self, n):
        return [self.request.called_directly, self.request.id, self.request.args, n]

    assert look(3) == [True, None, [3], 3]
    assert look.request.called_directly
    assert look.request.id is None
    assert look.request.retries == 0


def test_a_task_called_by_another_sees_itself(bench):
    @bench.app.task(bind=True)
    def inner(self):
        return [self.request.called_directly, self.request.id]

    @bench.app.task(bind=True)
    def outer(self):
        return [inner(), self.request.id, bench.app.current_task.name == self.name]

    result = outer.delay()
    bench.run()
    assert result.get() == [[True, None], result.id, True]
    assert bench.app.current_task is None


def test_a_task_called_by_itself_sees_the_call(bench):
    @bench.app.task(bind=True)
    def plain(self, n):
        own = [self.request.called_directly, self.request.id, list(self.request.args)]
        return [own, plain(0), self(0), own == [self.request.called_directly, self.request.id, [1]]] if n else own

    @bench.app.task(bind=True)
    async def coroutine(self, n):
        await asyncio.sleep(0)
        own = [self.request.called_directly, self.request.id, list(self.request.args)]
        if not n:
            return own
        both = await asyncio.gather(coroutine(0), coroutine(0))
        return [own, await coroutine(0), *both, self.request.id == own[1]]

    called = [True, None, [0]]
    first, second = plain.delay(1), coroutine.delay(1)
    bench.run()
    assert first.get() == [[False, first.id, [1]], called, called, True]
    assert second.get() == [[False, second.id, [1]], called, called, called, True]
    assert asyncio.run(coroutine(0)) == called
    assert plain.apply((1,)).get()[1] == called


def test_a_direct_coroutine_may_be_closed_elsewhere(bench):
    @bench.app.task(bind=True)
    async def endless(self):
        await asyncio.sleep(3600)

    async def begin(coroutine):
        coroutine.send(None)

    left = endless()
    asyncio.run(begin(left))
    left.close()
    assert endless.request.args is None


def test_an_eager_run_within_a_direct_call_sees_itself(bench):
    @bench.app.task(bind=True)
    def plain(self, n):
        own = [self.request.called_directly, self.request.is_eager, list(self.request.args)]
        return [own, self.apply((0,)).get(), self.request.called_directly] if n else own

    @bench.app.task(bind=True)
    async def coroutine(self, n):
        own = [self.request.called_directly, self.request.is_eager, list(self.request.args)]
        return [own, self.apply((0,)).get(), self.request.called_directly] if n else own

    assert plain(1) == [[True, False, [1]], [False, True, [0]], True]
    assert asyncio.run(coroutine(1)) == [[True, False, [1]], [False, True, [0]], True]


def test_each_thread_has_its_own(bench):
    barrier = threading.Barrier(4)

    @bench.app.task(bind=True)
    def meet(self):
        mine = self.request.id
        barrier.wait(30)
        return mine == self.request.id

    for _ in range(4):
        meet.delay()
    outcomes: list[Any] = []
    threads = [
        threading.Thread(target=lambda claim=claim: outcomes.append(run.execute(bench.app, claim, bench.worker)))
        for claim in bench.claim(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [outcome.result for outcome in outcomes] == [b"\xc3"] * 4


def test_a_request_does_not_outlive_its_run(bench):
    @bench.app.task
    def nothing(): ...

    nothing.delay()
    before = contextvars.copy_context()
    bench.run()
    assert dict(before) == dict(contextvars.copy_context())


# -- what a run pushes --------------------------------------------------------------------------------------------
@pytest.fixture
def family(bench):
    """A task that pushes two children and a group; [ids] of the last run."""
    ids: list[str] = []

    @bench.app.task(bind=True)
    def child(self, n):
        return [self.request.parent_id, self.request.root_id]

    @bench.app.task(bind=True, max_retries=5)
    def parent(self, again=False):
        group = child.fan_out([(7,), (8,)], then=done.s())
        ids[:] = [child.delay(1).id, child.delay(1).id, group.id, group.then.id]
        if again and not self.request.retries:
            raise self.retry(countdown=0)

    @bench.app.task
    def done(outcomes): ...

    return parent, child, ids


def test_children_know_their_parent_and_root(bench, family):
    parent, _, ids = family
    result = parent.delay()
    bench.run()
    assert bench.app.AsyncResult(ids[0]).get() == [result.id, result.id]
    assert bench.app.AsyncResult(f"{ids[2]}.1").get() == [result.id, result.id]


def test_grandchildren_know_their_root(bench):
    @bench.app.task(bind=True)
    def down(self, n):
        if n:
            down.apply_async((n - 1,), task_id=f"level-{n - 1}")
        return [self.request.parent_id, self.request.root_id]

    down.apply_async((2,), task_id="top")
    bench.run()
    assert bench.app.AsyncResult("level-1").get() == ["top", "top"]
    assert bench.app.AsyncResult("level-0").get() == ["level-1", "top"]


def test_a_killed_run_pushes_the_same_ids_again(bench, family):
    parent, _, ids = family
    parent.delay()
    (claim,) = bench.claim()
    bench.execute(claim)
    first = list(ids)
    bench.execute(claim)  # as after a crash: same generation, no retry
    assert ids == first
    assert all(is_uuid(one) for one in ids)
    assert len(set(ids)) == 4
    bench.run()
    counts = bench.store.counts()
    assert counts[""]["done"] == 2 + 2 + 1


def test_an_explicit_retry_pushes_new_ones(bench, family):
    parent, _, ids = family
    parent.delay(again=True)
    bench.step()
    first = list(ids)
    bench.run()
    assert not set(first) & set(ids)


def test_outside_of_runs_ids_are_random(bench, family):
    _, child, _ = family
    assert len({child.delay(1).id for _ in range(1000)}) == 1000


# -- states of its own --------------------------------------------------------------------------------------------
def test_a_state_of_its_own(bench):
    @bench.app.task(bind=True)
    def work(self):
        self.progress(3, 10, "counting")
        states.append((result.state, result.info))
        self.update_state(state="CLEANING", meta=["x"])
        states.append((result.state, result.result))
        return "end"

    states: list = []
    result = work.delay()
    bench.run()
    assert states == [("PROGRESS", {"done": 3, "total": 10, "note": "counting"}), ("CLEANING", ["x"])]
    assert (result.state, result.result) == ("SUCCESS", "end")


def test_update_state_of_others(bench):
    @bench.app.task(bind=True)
    def work(self, other):
        self.update_state(other, state="X", meta={"n": 1})

    with pytest.raises(RuntimeError, match="run by a worker"):
        work.update_state(state="X")
    running = work.delay("")
    (claim,) = bench.claim()
    waiting = work.apply_async(("",), countdown=60)
    nobody = bench.app.AsyncResult("never-sent")
    for other in (running, nobody):
        work.update_state(other.id, "X", {"n": 1})
        assert (other.state, other.info, other.ready()) == ("X", {"n": 1}, False)
    with pytest.raises(BackendStoreError, match="own run alone"):
        work.update_state(waiting.id, "X")
    assert (waiting.state, bench.store.audit()) == ("PENDING", [])
    assert bench.settle(claim, bench.execute(claim)) == "ok"
    assert running.state == "SUCCESS"


def test_a_run_that_lost_its_claim_shows_nothing(bench):
    @bench.app.task(bind=True)
    def work(self):
        bench.store.revoke([self.request.id], terminate=True)
        self.progress(1)
        return self.request.id

    result = work.delay()
    (claim,) = bench.claim()
    bench.execute(claim)
    assert result.state == "REVOKED"


def test_progress_needs_the_store(bench):
    @bench.app.task(bind=True)
    def work(self):
        self.progress(1)

    result = work.delay()
    (claim,) = bench.claim()
    store = FaultyStore(bench.store)
    bench.app.use_store(store)
    store.fail("progress", times=1)
    bench.settle(claim, bench.execute(claim))
    assert result.state == "FAILURE"


def test_the_origin_is_what_a_sender_says(bench):
    seen = []

    @bench.app.task(bind=True)
    def work(self):
        seen.append(self.request.origin)

    def tell(headers, **_):
        headers["origin"] = "gen7@here"

    work.delay()
    work.apply_async(headers={"origin": "me"})
    signals.before_task_publish.connect(tell)
    try:
        work.delay()
    finally:
        signals.before_task_publish.disconnect(tell)
    bench.run()
    work.apply()
    assert seen == [None, "me", "gen7@here", None]
    assert work.request.origin is None
