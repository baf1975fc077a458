"""pause, resume, purge, and what counts and find say."""

from __future__ import annotations

import pytest

from smallage.core.message import Done, Failed, Parked
from smallage.core.states import State
from smallage.stores.base import GroupBatch, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, like_group, task, uid, view


def test_a_paused_queue_gives_nothing(store: Store, worker: Session) -> None:
    store.push([task(1, queue="a"), task(2, queue="b")])
    store.pause("a")
    assert worker.ids(10, "a", "b") == [uid(2)]
    assert store.push([task(3, queue="a")]) == ["ok"]
    store.resume("a")
    assert worker.ids(10, "a", "b") == [uid(1), uid(3)]


def test_a_pause_before_the_first_task_holds(store: Store, worker: Session) -> None:
    store.pause("a")
    store.push([task(1, queue="a")])
    assert worker.ids(10, "a") == []
    store.resume("a")
    assert worker.ids(10, "a") == [uid(1)]


def test_what_runs_in_a_paused_queue_ends_as_usual(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    store.pause("celery")
    assert worker.settle(claim, Done()) == "ok"


def test_pausing_twice_and_resuming_twice_is_fine(store: Store, worker: Session) -> None:
    store.pause("celery")
    store.pause("celery")
    store.resume("celery")
    store.resume("celery")
    store.push([task(1)])
    assert worker.ids() == [uid(1)]


def test_due_tasks_wait_in_a_paused_queue(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, delay_us=SECOND)])
    store.pause("celery")
    clock.advance(2)
    assert worker.ids() == []
    worker.tick()
    assert view(store, 1).state == "ready"
    store.resume("celery")
    assert worker.ids() == [uid(1)]


def test_purge_removes_what_waits(store: Store, worker: Session) -> None:
    store.push([task(1), task(2), task(3, delay_us=SECOND), task(4, queue="other"), task(5, priority=7)])
    running = worker.one()
    assert store.purge("celery") == 3
    assert [gone(store, n) for n in (1, 2, 3, 4, 5)] == [False, True, True, False, True]
    assert worker.ids(10) == []
    assert worker.settle(running, Done()) == "ok"
    assert store.counts()[""].get("purged") == 3


def test_a_body_that_unclaimed_rows_release_stays(store: Store, worker: Session) -> None:
    like_group(store, rows=2, body=task(1))
    assert store.purge("celery") == 2
    assert worker.one().body_of == uid(100)


def test_a_body_that_a_purged_member_releases_is_purged(store: Store, worker: Session) -> None:
    group = GroupBatch(id=uid(100), members=(task(2, group=uid(100), index=0),), seal=True, body=task(1))
    assert store.group_push(group) == "ok"
    assert store.purge("celery") == 2
    assert worker.claim() == []


def test_purged_ids_are_free(store: Store, worker: Session) -> None:
    store.push([task(1)])
    store.purge("celery")
    assert store.push([task(1, b"other")]) == ["ok"]
    assert worker.one().payload == b"other"


def test_purge_of_a_queue_that_never_was(store: Store) -> None:
    assert store.purge("nowhere") == 0


def test_purge_leaves_ended_and_parked_tasks(store: Store, worker: Session) -> None:
    store.push([task(1), task(2), task(3, name="strange")])
    worker.run(Done(b"1"))
    worker.run(Failed(b"no"))
    worker.run(Parked())
    assert store.purge("celery") == 0
    assert [view(store, n).state for n in (1, 2, 3)] == ["done", "dead", "parked"]


def test_a_large_queue_is_purged_whole(store: Store, worker: Session) -> None:
    for part in range(3):
        store.push([task(1_000 * part + n) for n in range(1_000)])
    assert store.purge("celery") == 3_000
    assert worker.ids() == []


def test_counts_by_queue_and_state(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(6)] + [task(10, queue="b"), task(11, delay_us=SECOND)])
    worker.run(Done())
    worker.run(Failed())
    store.revoke([uid(5)])
    worker.one()
    counts = store.counts()
    assert {k: v for k, v in counts["celery"].items() if v} == {"ready": 2, "running": 1, "scheduled": 1}
    assert {k: v for k, v in counts["b"].items() if v} == {"ready": 1}
    assert [counts[""][state] for state in ("done", "dead", "cancelled")] == [1, 1, 1]


def test_counts_of_an_empty_store(store: Store) -> None:
    counts = store.counts()
    assert set(counts) == {""}
    assert not any(counts[""].values())


def test_counts_includes_unclaimed_members(store: Store, worker: Session) -> None:
    like_group(store, rows=5)
    worker.claim(2)
    assert {k: v for k, v in store.counts()["celery"].items() if v} == {"ready": 3, "running": 2}


@pytest.mark.parametrize("state", ["ready", "scheduled", "running", "done", "dead", "cancelled"])
def test_find_lists_a_state(store: Store, worker: Session, state: State) -> None:
    store.push([task(n) for n in range(3)])
    worker.run(Done())
    worker.run(Failed())
    worker.one()
    store.push([task(3), task(4), task(5, delay_us=SECOND)])
    store.revoke([uid(4)])
    where = {"done": 0, "dead": 1, "running": 2, "ready": 3, "cancelled": 4, "scheduled": 5}
    (found,) = store.find(state)
    assert found == view(store, where[state])


def test_find_pages(store: Store) -> None:
    store.push([task(n) for n in range(25)])
    seen: list[str] = []
    after = None
    while page := store.find("ready", 10, after):
        assert len(page) <= 10
        seen += [v.id for v in page]
        after = page[-1].id
    assert sorted(seen) == [uid(n) for n in range(25)]
    assert len(set(seen)) == 25


def test_payload_of_an_unknown_task(store: Store) -> None:
    assert store.payload(uid(1)) is None
