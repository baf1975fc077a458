"""How long records live: results, dead letters, tombstones."""

from __future__ import annotations

import pytest

from smallage.core.message import DAY_US, FOREVER, Cancelled, Done, Failed
from smallage.stores.base import TOMBSTONE_US, GroupBatch, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, live, task, uid, view


def pass_minutes(store: Store, clock: FakeClock, minutes: float) -> None:
    """Time goes by with now and then a tick; one that keeps the session going is not needed."""
    for _ in range(round(minutes * 2)):
        clock.advance(30)
        store.tick([])


@pytest.mark.parametrize("outcome", [Done(b"1"), Cancelled(b"1")], ids=lambda o: type(o).__name__)
def test_records_are_gone_after_their_time(
    store: Store, worker: Session, clock: FakeClock, outcome: Done | Cancelled
) -> None:
    store.push([task(1, keep_us=300 * SECOND)])
    claim = worker.run(outcome)
    clock.advance(us=300 * SECOND - 1)
    assert view(store, 1).result == b"1"
    clock.advance(us=1)
    assert gone(store, 1)
    assert worker.settle(claim, outcome) == "stale"
    assert store.find("done") == store.find("cancelled") == []
    assert store.forget([uid(1)]) == 0
    assert store.revoke([uid(1)]) == ["unknown"]
    assert store.push([task(1, b"another life")]) == ["ok"]


def test_dead_letters_live_a_day_at_least(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, keep_us=SECOND), task(2, keep_us=0), task(3, keep_us=3 * DAY_US)])
    for _ in range(3):
        worker.run(Failed(b"no"))
    clock.advance(us=DAY_US - 1)
    worker.tick()
    assert [view(store, n).result for n in (1, 2, 3)] == [b"no"] * 3
    clock.advance(us=1)
    worker.tick()
    assert [gone(store, n) for n in (1, 2, 3)] == [True, True, False]
    assert store.requeue([uid(1)]) == [False]
    clock.advance(us=2 * DAY_US)
    assert gone(store, 3)


def test_a_revoked_record_is_pruned_too(store: Store, clock: FakeClock) -> None:
    store.push([task(1, keep_us=60 * SECOND)])
    store.revoke([uid(1)])
    pass_minutes(store, clock, 4)
    assert gone(store, 1)


def test_open_tasks_are_never_pruned(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, keep_us=SECOND), task(2, keep_us=SECOND), task(3, keep_us=0, delay_us=10**12)])
    worker.one()
    live(store, clock, 300, "s1")
    assert [view(store, n).state for n in (1, 2, 3)] == ["running", "ready", "scheduled"]


def test_forever_is_forever(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, keep_us=FOREVER)])
    worker.run(Done(b"1"))
    for _ in range(20):
        clock.advance(30 * 86_400)
        store.tick([])
    assert view(store, 1).result == b"1"


def test_pruning_is_counted(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(n, keep_us=SECOND) for n in range(3)])
    for _ in range(3):
        worker.run(Done())
    pass_minutes(store, clock, 3)
    totals = store.counts()[""]
    assert (totals["pruned"], totals["done"]) == (3, 0)


def test_many_records_are_pruned_in_the_end(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(n, keep_us=SECOND) for n in range(500)])
    store.revoke([uid(n) for n in range(500)])
    for _ in range(200):
        clock.advance(30)
        store.tick([])
        if store.counts()[""].get("pruned") == 500:
            break
    assert store.state([uid(n) for n in range(500)]) == [None] * 500


def test_a_requeued_task_is_not_pruned(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, keep_us=60 * SECOND)])
    worker.run(Failed(b"no"))
    clock.advance(50)
    store.requeue([uid(1)])
    pass_minutes(store, clock, 5)
    assert view(store, 1).state == "ready"


def test_an_ignored_result_leaves_a_tombstone(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, keep_us=0)])
    claim = worker.run(Done(b"unwanted"))
    (seen,) = store.state([uid(1)])
    assert seen is not None
    assert (seen.state, seen.result, seen.ignored) == ("done", None, True)
    assert store.payload(uid(1)) is None
    assert store.push([task(1, keep_us=0)]) == ["dup"]
    assert store.push([task(1, b"other", keep_us=0)]) == ["conflict"]
    assert worker.settle(claim, Done()) == "dup"
    assert worker.claim() == []


def test_tombstones_last_a_minute(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, keep_us=0)])
    worker.run(Done())
    clock.advance(us=TOMBSTONE_US - 1)
    assert store.push([task(1, keep_us=0)]) == ["dup"]
    clock.advance(us=1)
    assert gone(store, 1)
    assert store.push([task(1, keep_us=0)]) == ["ok"]


def test_an_ignored_cancelled_task_shrinks_too(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, keep_us=0)])
    claim = worker.run(Cancelled(b"unwanted"))
    assert (view(store, 1).ignored, view(store, 1).result) == (True, None)
    assert worker.settle(claim, Cancelled()) == "dup"
    assert store.requeue([uid(1)]) == [False]
    clock.advance(us=TOMBSTONE_US)
    assert gone(store, 1)


def test_tombstones_are_not_counted(store: Store, worker: Session) -> None:
    store.push([task(1, keep_us=0), task(2)])
    worker.run(Done())
    worker.run(Done())
    assert store.counts()[""]["done"] == 1


def test_a_tombstone_can_be_forgotten(store: Store, worker: Session) -> None:
    store.push([task(1, keep_us=0)])
    worker.run(Done())
    assert store.forget([uid(1)]) == 1
    assert store.push([task(1, b"other")]) == ["ok"]


def test_a_result_is_never_mixed_up_with_the_next_life_of_an_id(
    store: Store, worker: Session, clock: FakeClock
) -> None:
    """Pruning entries of a first life must not remove the record of a second one."""
    store.push([task(1, keep_us=120 * SECOND)])
    worker.run(Done(b"first"))
    store.forget([uid(1)])
    clock.advance(90)
    store.push([task(1, b"again", keep_us=600 * SECOND)])
    worker.run(Done(b"second"))
    pass_minutes(store, clock, 4)
    assert view(store, 1).result == b"second"


def test_an_id_that_came_again_as_a_member_goes_with_its_group(store: Store, worker: Session, clock: FakeClock) -> None:
    """The end of its first life is long past, and its group is still open."""
    store.push([task(1, keep_us=90 * SECOND)])
    worker.run(Done(b"1"))
    assert store.forget([uid(1)]) == 1
    member = task(1, keep_us=90 * SECOND, group=uid(100), index=0)
    assert store.group_push(GroupBatch(id=uid(100), members=(member,))) == "ok"
    worker.run(Done(b"2"))
    live(store, clock, 300, "s1")
    assert view(store, 1).result == b"2"
