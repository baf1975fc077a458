"""revoke, requeue, forget: what operators do to single tasks."""

from __future__ import annotations

from smallage.core.message import Cancelled, Crashed, Done, Failed, Outcome, Parked, Released, Retry, Snooze
from smallage.stores.base import Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, task, uid, view


def test_revoke_is_final_for_what_has_not_started(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1), task(2, delay_us=SECOND)])
    assert store.revoke([uid(1), uid(2)]) == ["cancelled", "cancelled"]
    clock.advance(2)
    assert worker.claim() == []
    for n in (1, 2):
        seen = view(store, n)
        assert (seen.state, seen.ran) == ("cancelled", False)
    assert store.payload(uid(1)) is None


def test_revoke_lets_a_running_task_finish(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    assert store.revoke([uid(1)]) == ["running"]
    assert worker.settle(claim, Done(b"1")) == "ok"
    assert view(store, 1).state == "done"


def test_terminate_ends_a_running_task_at_once(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.one()
    clock.advance(1)
    assert store.revoke([uid(1)], terminate=True) == ["cancelled"]
    seen = view(store, 1)
    assert (seen.state, seen.ran, seen.session, seen.ended_us) == ("cancelled", True, None, clock())
    assert worker.held() == []


def test_terminate_is_the_same_for_what_has_not_started(store: Store) -> None:
    store.push([task(1)])
    assert store.revoke([uid(1)], terminate=True) == ["cancelled"]
    assert view(store, 1).ran is False


def test_revoke_answers_per_id(store: Store, worker: Session) -> None:
    store.push([task(1), task(2), task(3)])
    worker.run(Done())
    worker.one()
    assert store.revoke([uid(9), uid(3), uid(1), uid(2)]) == ["unknown", "cancelled", "ended", "running"]
    assert store.revoke([uid(3)]) == ["ended"]
    assert store.revoke([]) == []


def test_a_revoked_task_is_not_pushed_again_by_its_producer(store: Store, worker: Session) -> None:
    store.push([task(1)])
    store.revoke([uid(1)])
    assert store.push([task(1)]) == ["dup"]
    assert worker.claim() == []


def test_a_waiting_retry_can_be_revoked(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1), task(2)])
    worker.run(Retry(delay_us=SECOND))
    worker.run(Snooze(SECOND))
    assert store.revoke([uid(1), uid(2)]) == ["cancelled", "cancelled"]
    clock.advance(5)
    assert worker.claim() == []


def test_what_was_taken_back_can_be_revoked(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.run(Crashed())
    assert store.revoke([uid(1)]) == ["cancelled"]
    clock.advance(5)
    assert worker.claim() == []


def test_requeue_runs_a_dead_task_again(store: Store, worker: Session) -> None:
    store.push([task(1, b"args", priority=3)])
    worker.run(Retry())
    first = worker.run(Failed(b"no"))
    assert store.requeue([uid(1)]) == [True]
    seen = view(store, 1)
    assert (seen.state, seen.gen, seen.failures, seen.result, seen.reason) == ("ready", 2, 0, None, None)
    assert (seen.ended_us, seen.started_us, seen.ran) == (0, 0, False)
    claim = worker.one()
    assert (claim.gen, claim.payload, claim.priority, claim.failures) == (2, b"args", 3, 0)
    assert claim.tok > first.tok
    worker.settle(claim, Done(b"1"))
    assert (view(store, 1).state, view(store, 1).gen) == ("done", 2)


def test_requeue_sets_every_count_to_zero(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    for outcome in (Released(), Crashed(), Retry()):
        worker.run(outcome)
    worker.one()
    store.tick([], ["s1"])
    clock.advance(60)
    Session(store, "s2").run(Failed(b"no"))
    seen = view(store, 1)
    assert (seen.releases, seen.crashes, seen.lost, seen.failures) == (1, 1, 1, 2)
    store.requeue([uid(1)])
    seen = view(store, 1)
    assert (seen.releases, seen.crashes, seen.lost, seen.failures, seen.settled) == (0, 0, 0, 0, 0)


def test_requeue_needs_a_payload(store: Store, worker: Session) -> None:
    store.push([task(1), task(2), task(3)])
    worker.run(Done())
    store.revoke([uid(2)])
    assert store.requeue([uid(1), uid(2), uid(3), uid(9)]) == [False, False, False, False]
    assert [view(store, n).state for n in (1, 2, 3)] == ["done", "cancelled", "ready"]


def test_requeue_of_a_running_task_does_nothing(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    assert store.requeue([uid(1)]) == [False]
    assert worker.settle(claim, Cancelled()) == "ok"


def test_requeue_goes_to_the_back(store: Store, worker: Session) -> None:
    store.push([task(1), task(2)])
    worker.run(Failed())
    store.requeue([uid(1)])
    assert worker.ids(10) == [uid(2), uid(1)]


def test_requeue_twice_is_two_generations(store: Store, worker: Session) -> None:
    store.push([task(1)])
    for gen in (1, 2, 3):
        assert worker.run(Failed()).gen == gen
        assert store.requeue([uid(1)]) == [True]
    assert store.requeue([uid(1)]) == [False]


def test_a_requeued_task_does_not_expire_a_second_time(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, expires_in_us=SECOND)])
    clock.advance(5)
    assert worker.claim() == []
    assert view(store, 1).reason == "expired"
    assert store.requeue([uid(1)]) == [True]
    assert worker.ids() == [uid(1)]


def test_forget_removes_ended_records(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(4)])
    worker.run(Done())
    worker.run(Failed())
    worker.one()
    assert store.forget([uid(n) for n in range(4)] + [uid(9)]) == 2
    assert [gone(store, n) for n in range(4)] == [True, True, False, False]
    assert store.forget([uid(0)]) == 0


def test_a_forgotten_id_is_free(store: Store, worker: Session) -> None:
    store.push([task(1)])
    first = worker.run(Done())
    store.forget([uid(1)])
    assert store.push([task(1, b"other")]) == ["ok"]
    second = worker.one()
    assert (second.payload, second.gen) == (b"other", 1)
    assert second.tok > first.tok
    assert worker.settle(first, Done(b"old")) == "stale"


def test_a_revoked_running_task_ends_instead_of_waiting_again(store: Store, worker: Session, clock: FakeClock) -> None:
    outcomes: list[Outcome] = [Retry(), Snooze(SECOND), Released(), Parked(), Crashed()]
    store.push([task(n) for n in range(len(outcomes))])
    for n, outcome in enumerate(outcomes):
        claim = worker.one()
        assert store.revoke([claim.id]) == ["running"]
        assert worker.settle(claim, outcome) == "ok"
        seen = view(store, n)
        assert (seen.state, seen.reason, seen.ran) == ("cancelled", "revoked", False)
        assert seen.failures + seen.releases + seen.crashes == 1
    clock.advance(60)
    assert worker.claim() == []


def test_a_revoked_running_task_is_not_taken_back_to_wait(store: Store, worker: Session) -> None:
    store.push([task(1), task(2)])
    worker.claim(2)
    store.revoke([uid(1)])
    assert sorted(store.tick([], ["s1"]).taken_back) == [uid(1), uid(2)]
    assert [(view(store, n).state, view(store, n).lost) for n in (1, 2)] == [("cancelled", 1), ("ready", 1)]


def test_a_revoked_running_task_is_not_released_by_leaving(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.one()
    store.revoke([uid(1)])
    assert store.leave("s1") == [uid(1)]
    assert (view(store, 1).state, view(store, 1).releases) == ("cancelled", 1)


def test_terminate_after_a_mere_revoke(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.one()
    assert store.revoke([uid(1)]) == ["running"]
    assert store.revoke([uid(1)], terminate=True) == ["cancelled"]
    assert (view(store, 1).reason, view(store, 1).ran) == ("terminated", True)


def test_a_requeued_task_forgets_an_old_revoke(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    store.revoke([uid(1)])
    worker.settle(claim, Failed(b"no"))
    assert store.requeue([uid(1)]) == [True]
    worker.run(Retry())
    assert view(store, 1).state == "ready"
