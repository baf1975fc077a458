"""Parking: a name that nobody knows waits until somebody does."""

from __future__ import annotations

from typing import Any

from smallage.core.message import Done, Parked
from smallage.stores.base import PARKED_US, SessionInfo, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, task, uid, view


def park(store: Store, session: Session, n: int, name: str = "strange", **env: Any) -> None:
    store.push([task(n, name=name, **env)])
    claim = session.one(str(env.get("queue", "celery")))
    assert session.settle(claim, Parked()) == "ok"


def test_parked_until_a_session_announces_the_name(store: Store, worker: Session) -> None:
    park(store, worker, 1)
    Session(store, "s2", names=("other",))
    assert view(store, 1).state == "parked"
    s3 = Session(store, "s3", names=("other", "strange"))
    assert view(store, 1).state == "ready"
    assert s3.one().releases == 1


def test_names_announced_later_count_too(store: Store, worker: Session) -> None:
    park(store, worker, 1)
    store.announce("s1", SessionInfo(names=("strange",)))
    assert view(store, 1).state == "ready"


def test_a_name_that_somebody_knows_comes_back_soon(store: Store, worker: Session, clock: FakeClock) -> None:
    s2 = Session(store, "s2", names=("strange",))
    park(store, worker, 1)
    assert (view(store, 1).state, view(store, 1).due_us) == ("scheduled", clock() + SECOND)
    clock.advance(1)
    assert s2.ids() == [uid(1)]


def test_a_name_that_only_the_dead_knew_is_parked(store: Store, worker: Session) -> None:
    store.leave(Session(store, "s2", names=("strange",)).name)
    store.tick([], [Session(store, "s3", names=("strange",)).name])
    park(store, worker, 1)
    assert view(store, 1).state == "parked"


def test_unparked_by_hand(store: Store, worker: Session) -> None:
    park(store, worker, 1, "a")
    park(store, worker, 2, "b")
    assert store.unpark("a") == 1
    assert [view(store, n).state for n in (1, 2)] == ["ready", "parked"]
    assert worker.settle(worker.one(), Done()) == "ok"
    park(store, worker, 3, "c")
    assert store.unpark() == 2
    assert store.unpark() == 0
    assert store.unpark("nobody") == 0


def test_unparked_tasks_go_to_the_back_of_their_own_queue(store: Store, worker: Session) -> None:
    park(store, worker, 1, queue="a", priority=2)
    park(store, worker, 2, queue="a", priority=1)
    store.push([task(3, queue="a", priority=2), task(4)])
    store.unpark()
    assert worker.ids(10, "a") == [uid(2), uid(3), uid(1)]


def test_parked_tasks_are_counted_and_found(store: Store, worker: Session) -> None:
    park(store, worker, 1)
    park(store, worker, 2)
    assert store.counts()["celery"]["parked"] == 2
    assert sorted(v.id for v in store.find("parked")) == [uid(1), uid(2)]


def test_a_parked_task_is_cancelled_by_revoke(store: Store, worker: Session) -> None:
    park(store, worker, 1)
    assert store.revoke([uid(1)]) == ["cancelled"]
    assert store.unpark() == 0
    assert view(store, 1).state == "cancelled"


def test_a_parked_task_is_still_the_same_task(store: Store, worker: Session) -> None:
    park(store, worker, 1)
    assert store.push([task(1, name="strange")]) == ["dup"]
    assert view(store, 1).state == "parked"


def test_nobody_knows_the_name_for_a_week(store: Store, worker: Session, clock: FakeClock) -> None:
    park(store, worker, 1)
    clock.advance(us=PARKED_US - 1)
    worker.tick()
    assert view(store, 1).state == "parked"
    clock.advance(us=1)
    store.tick([])
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.ended_us) == ("dead", "unknown-task", clock())
    assert store.requeue([uid(1)]) == [True]


def test_many_parked_tasks_come_back(store: Store, worker: Session) -> None:
    store.push([task(n, name="strange") for n in range(250)])
    for _ in range(3):
        for claim in worker.claim(100):
            worker.settle(claim, Parked())
    assert store.counts()["celery"]["parked"] == 250
    assert store.unpark("strange") == 250
    assert store.counts()["celery"]["ready"] == 250
