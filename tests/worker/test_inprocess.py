"""The engine and its pools beside the test, on the memory store: outages, leases, fences, pace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from smallage.app import Smallage
from smallage.core.errors import ImproperlyConfigured, TaskRevokedError
from smallage.core.message import Crashed, Message, Settlement
from smallage.stores import base
from smallage.testing import FaultyStore, expect, hold
from smallage.worker.inprocess import InProcessWorker, start_worker

PATIENCE = 30.0


class Gate:
    """Where bodies wait until the test lets them go."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.open = threading.Event()
        self.cut = threading.Semaphore(0)

    def wait(self) -> str:
        self.started.release()
        try:
            while not self.open.wait(0.01):
                pass
        except BaseException:
            self.cut.release()
            raise
        return "through"


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(base.open("memory://", shared=False))


@pytest.fixture
def app(store: FaultyStore, gate: Gate) -> Iterator[Smallage]:
    made = Smallage("inside", broker="memory://", set_as_current=False)
    made.use_store(store)
    made.task(name="add")(lambda a, b: a + b)
    made.task(name="wait")(gate.wait)

    async def aadd(a: int, b: int) -> int:
        return a + b

    made.task(name="aadd")(aadd)
    yield made
    made.close()


def send(app: Smallage, name: str, *args: Any, **options: Any) -> Any:
    return app.send_task(name, args, **options)


def held(app: Smallage, worker: InProcessWorker) -> int:
    return len(app.store.held(worker.session))


@pytest.mark.parametrize("pool", ["threads", "asyncio"])
def test_it_runs_sync_and_async_tasks(app: Smallage, pool: str) -> None:
    with start_worker(app, pool=pool):
        results = [send(app, name, n, 1) for n in range(20) for name in ("add", "aadd")]
        assert [r.get(timeout=PATIENCE) for r in results] == [n + 1 for n in range(20) for _ in (1, 2)]


def test_only_pools_that_share_a_process(app: Smallage) -> None:
    with pytest.raises(ImproperlyConfigured, match="threads or asyncio"):
        InProcessWorker(app, pool="processes")


def test_stopping_twice_and_before_any_work(app: Smallage) -> None:
    worker = start_worker(app)
    worker.stop()
    worker.stop()
    assert app.store.workers() == []


def test_a_burst_ends_by_itself(app: Smallage) -> None:
    results = [send(app, "add", n, 1) for n in range(300)]
    start_worker(app, burst=True).join()
    assert [r.get(timeout=0) for r in results] == list(range(1, 301))


def test_a_countdown_is_kept_and_needs_no_bell(app: Smallage) -> None:
    with start_worker(app):
        assert send(app, "add", 1, 2, countdown=0.05).get(timeout=PATIENCE) == 3


@pytest.mark.parametrize("pool", ["threads", "asyncio"])
def test_an_outage_delays_and_loses_nothing(app: Smallage, store: FaultyStore, gate: Gate, pool: str) -> None:
    with start_worker(app, pool=pool):
        result = send(app, "wait")
        assert gate.started.acquire(timeout=PATIENCE)
        fault = store.fail("settle", times=4)
        gate.open.set()
        assert result.get(timeout=PATIENCE) == "through"
        assert fault.hits == 4


def test_waiting_for_a_store_that_is_away_is_no_frost(app: Smallage, store: FaultyStore, gate: Gate) -> None:
    """Else the supervisor hands back, after a lease, what has ended and waits to be settled: it would run again."""
    with start_worker(app) as worker:
        result = send(app, "wait")
        assert gate.started.acquire(timeout=PATIENCE)
        fault = store.fail("settle", times=6)
        gate.open.set()
        fault.wait(2, PATIENCE)
        worker.board.seen = 0.0
        fault.wait(4, PATIENCE)
        assert worker.board.seen > 0.0
        assert result.get(timeout=PATIENCE) == "through"


@pytest.mark.parametrize("verb", ["settle", "claim"])
def test_a_lost_reply_doubles_nothing(app: Smallage, store: FaultyStore, verb: str) -> None:
    runs: list[int] = []
    app.task(name="count")(lambda n: runs.append(n))
    fault = store.fail(verb, after=True, times=3)
    with start_worker(app):
        results = [send(app, "count", n) for n in range(10)]
        for result in results:
            result.get(timeout=PATIENCE)
    assert fault.hits == 3
    assert sorted(runs) == list(range(10))
    assert app.store.counts()[""]["done"] == 10


def test_a_repeated_claim_has_the_nonce_of_the_first(app: Smallage, store: FaultyStore) -> None:
    store.fail("claim", after=True, times=2)
    with expect("claimed") as claimed, start_worker(app):
        send(app, "add", 1, 1).get(timeout=PATIENCE)
        claimed.wait()
    nonces = [call.args[1].nonce for call in store.calls if call.verb == "claim"]
    assert nonces[0] == nonces[1] == nonces[2]


def test_ended_tasks_gather_while_a_round_trip_is_in_flight(app: Smallage) -> None:
    with start_worker(app, concurrency=8):
        with hold("settling") as settling, expect("settling") as rounds:
            results = [send(app, "add", n, 0) for n in range(8)]
            settling.wait()
            settling.release()
            for result in results:
                result.get(timeout=PATIENCE)
        assert len(rounds.seen) <= 8


def test_nothing_starts_behind_the_fence(app: Smallage, store: FaultyStore, gate: Gate) -> None:
    store.fail("tick", times=None)
    with start_worker(app, lease=3600.0) as worker:
        worker.board.fence = 0.0
        result = send(app, "wait")
        assert not gate.started.acquire(timeout=0.3)
        store.heal()  # the next renewal moves the fence
        assert gate.started.acquire(timeout=PATIENCE)
        gate.open.set()
        assert result.get(timeout=PATIENCE) == "through"


def test_after_a_lost_lease_running_tasks_are_cancelled_and_a_new_session_works(app: Smallage, gate: Gate) -> None:
    with start_worker(app, lease=3600.0) as worker:
        result = send(app, "wait")
        assert gate.started.acquire(timeout=PATIENCE)
        first = worker.session
        assert app.store.tick([], dead=[first]).taken_back == (result.id,)
        gate.open.clear()
        worker.tick()
        assert gate.cut.acquire(timeout=PATIENCE)
        assert gate.started.acquire(timeout=PATIENCE)  # the new session runs it again
        assert worker.session != first
        gate.open.set()
        assert result.get(timeout=PATIENCE) == "through"
        assert app.store.state([result.id])[0].lost == 1


@pytest.mark.parametrize("pool", ["threads", "asyncio"])
def test_revoke_with_terminate_cuts_a_running_body(app: Smallage, gate: Gate, pool: str) -> None:
    with start_worker(app, pool=pool, concurrency=1):
        result = send(app, "wait")
        assert gate.started.acquire(timeout=PATIENCE)
        app.store.revoke([result.id], terminate=True)
        assert gate.cut.acquire(timeout=PATIENCE)
        with pytest.raises(TaskRevokedError):
            result.get(timeout=PATIENCE)
        assert send(app, "add", 1, 1).get(timeout=PATIENCE) == 2


def test_waiting_claims_behind_a_long_task_go_back(app: Smallage, gate: Gate) -> None:
    with start_worker(app, concurrency=1) as worker:
        for result in [send(app, "add", n, 1) for n in range(200)]:  # short ones, so that it claims ahead
            result.get(timeout=PATIENCE)
        with hold("claimed") as claimed, expect("released") as released:
            long = send(app, "wait")
            behind = [send(app, "add", n, 1) for n in range(20)]
            claimed.wait()
            claimed.release()
            assert gate.started.acquire(timeout=PATIENCE)
            if held(app, worker) > 1:
                released.wait(PATIENCE)
        with start_worker(app, concurrency=1):
            assert [r.get(timeout=PATIENCE) for r in behind] == list(range(1, 21))
        gate.open.set()
        assert long.get(timeout=PATIENCE) == "through"


def test_a_task_with_two_crashes_runs_alone(app: Smallage, gate: Gate) -> None:
    result = send(app, "wait")
    for _ in range(2):
        app.store.announce("doomed", base.SessionInfo(queues=("celery",)))
        claim = app.store.claim("doomed", base.ClaimRequest(("celery",), 1, "n")).claims[0]
        crash = Settlement(claim.id, claim.gen, claim.tok, claim.nonce, Crashed())
        app.store.settle("doomed", [crash])
        app.store.leave("doomed")
        _make_due(app)
    with start_worker(app, concurrency=4):
        assert gate.started.acquire(timeout=PATIENCE)
        others = [send(app, "add", n, 1) for n in range(4)]
        with pytest.raises(Exception, match="has not ended"):
            others[0].get(timeout=0.3)
        gate.open.set()
        assert result.get(timeout=PATIENCE) == "through"
        assert [r.get(timeout=PATIENCE) for r in others] == [1, 2, 3, 4]


def _make_due(app: Smallage) -> None:
    """Wait until nothing is scheduled any more (the second crash waits a second)."""
    deadline = threading.Event()
    for _ in range(600):
        app.store.tick([])
        if not app.store.counts().get("celery", {}).get("scheduled"):
            return
        deadline.wait(0.05)


def test_an_undecodable_message_is_quarantined_and_the_worker_lives(app: Smallage) -> None:
    message = base.Envelope(name="add")
    app.store.push([Message("broken", b"\xc1\xff", message)])
    with start_worker(app):
        assert send(app, "add", 1, 1).get(timeout=PATIENCE) == 2
        app.AsyncResult("broken").get(timeout=PATIENCE, propagate=False)
    view = app.store.state(["broken"])[0]
    assert view is not None
    assert (view.state, view.reason) == ("dead", "undecodable")


def test_an_unknown_name_is_parked_until_a_worker_knows_it(
    app: Smallage, store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    results = [send(app, "later") for _ in range(5)]
    parked = threading.Event()

    def look(call: Any, answer: Any) -> None:
        if call.verb == "settle" and store.inner.counts().get("celery", {}).get("parked") == 5:
            parked.set()

    store.after.append(look)
    with start_worker(app):
        assert parked.wait(PATIENCE)
    assert caplog.text.count("No task named 'later'") == 1
    app.task(name="later")(lambda: "known")
    with start_worker(app):
        assert [r.get(timeout=PATIENCE) for r in results] == ["known"] * 5


def test_an_error_in_the_settlement_of_one_task_does_not_stop_the_others(app: Smallage, store: FaultyStore) -> None:
    poisoned = send(app, "add", 1, 1)

    def broken(call: Any) -> bool:
        return call.verb == "settle" and any(
            s.id == poisoned.id and s.outcome.__class__.__name__ == "Done" for s in call.args[1]
        )

    store.fail(broken, times=None, error=lambda: RuntimeError("a fault of ours"))
    with start_worker(app):
        others = [send(app, "add", n, 1) for n in range(5)]
        assert [r.get(timeout=PATIENCE) for r in others] == [1, 2, 3, 4, 5]
        poisoned.get(timeout=PATIENCE, propagate=False)
        assert poisoned.state == "FAILURE"


def test_a_full_queue_keeps_no_other_waiting(app: Smallage) -> None:
    order: list[str] = []
    task = app.task(name="note")(order.append)
    last = task.delay_many([("full",)] * 600, queue="full")[-1]
    task.apply_async(("other",), queue="other")
    with InProcessWorker(app, queues=("full", "other"), concurrency=1):
        last.get(timeout=PATIENCE)
    assert order.index("other") < 400, "its turn was to come with the second claim, of at most 100 tasks"


def test_a_stop_with_nothing_in_hand_does_not_wait_for_the_store(app: Smallage, store: FaultyStore) -> None:
    claims = store.fail("claim", times=None)
    store.fail("leave", times=None)
    worker = start_worker(app)
    claims.wait(2, PATIENCE)
    worker.stop(timeout=3600.0)  # returns at once, or the test times out
    store.heal()
