"""Follow-ups: what the store makes when it ends a task itself, so that a worker works out what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smallage.core.message import (
    DAY_US,
    FOLLOW_ANY,
    FOLLOW_DEAD,
    Cancelled,
    Crashed,
    Done,
    Failed,
    Parked,
    Released,
    Retry,
    settlement,
)
from smallage.stores.base import PARKED_US, TOMBSTONE_US, GroupBatch, Store, after_id
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, like_group, live, seat, task, uid, view

G = uid(100)
AFTER = after_id(uid(1), 1)


def expired(store: Store, worker: Session, clock: FakeClock, follow: int) -> None:
    store.push([task(1, b"args", priority=3, expires_in_us=SECOND, follow=follow)])
    clock.advance(1)


def crashed(store: Store, worker: Session, clock: FakeClock, follow: int) -> None:
    store.push([task(1, b"args", priority=3, max_crashes=0, follow=follow)])
    worker.run(Crashed(b"error"))


def lost(store: Store, worker: Session, clock: FakeClock, follow: int) -> None:
    store.push([task(1, b"args", priority=3, max_lost=0, follow=follow)])
    Session(store, "s2").one()
    live(store, clock, 1, "s1", dead=("s2",))


def aged(store: Store, worker: Session, clock: FakeClock, follow: int) -> None:
    store.push([task(1, b"args", priority=3, follow=follow)])
    worker.run(Parked())
    clock.advance(us=PARKED_US)
    worker.tick()


def revoked(store: Store, worker: Session, clock: FakeClock, follow: int) -> None:
    store.push([task(1, b"args", priority=3, follow=follow)])
    store.revoke([uid(1)])


def terminated(store: Store, worker: Session, clock: FakeClock, follow: int) -> None:
    store.push([task(1, b"args", priority=3, follow=follow)])
    worker.one()
    store.revoke([uid(1)], terminate=True)


def revoked_and_back(store: Store, worker: Session, clock: FakeClock, follow: int) -> None:
    store.push([task(1, b"args", priority=3, follow=follow)])
    claim = worker.one()
    store.revoke([uid(1)])
    worker.settle(claim, Released())


def cancelled(store: Store, worker: Session, clock: FakeClock, follow: int) -> None:
    store.push([task(1, b"args", priority=3, follow=follow)])
    worker.run(Cancelled(reason="terminated"))


def purged(store: Store, worker: Session, clock: FakeClock, follow: int) -> None:
    store.push([task(1, b"args", priority=3, follow=follow)])
    assert store.purge("celery") == 1


End = Callable[[Store, Session, FakeClock, int], None]
DEATHS: list[tuple[End, str]] = [(crashed, "crashed"), (lost, "lost"), (aged, "unknown-task")]
OTHERS: list[tuple[End, str]] = [
    (expired, "expired"),
    (revoked, "revoked"),
    (terminated, "terminated"),
    (revoked_and_back, "revoked"),
    (cancelled, "terminated"),
    (purged, "revoked"),
]


@pytest.mark.parametrize(("end", "reason"), DEATHS + OTHERS)
def test_an_end_by_the_store_is_followed_up(
    store: Store, worker: Session, clock: FakeClock, end: End, reason: str
) -> None:
    end(store, worker, clock, FOLLOW_ANY)
    worker.store.announce("s1", worker.info)
    claim = worker.one()
    assert claim.id == AFTER
    assert (claim.after, claim.reason, claim.name, claim.payload, claim.row) == (uid(1), reason, "add", b"args", None)
    assert (claim.gen, claim.priority, claim.group, claim.index, claim.body_of) == (1, 3, None, None, None)
    assert (claim.failures, claim.crashes, claim.lost, claim.releases, claim.expires_us) == (0, 0, 0, 0, None)
    assert claim.keep_us == 0
    assert worker.settle(claim, Done(b"ignored", (task(3),))) == "ok"
    assert worker.ids() == [uid(3)]
    assert view(store, AFTER).ignored
    assert store.payload(AFTER) is None


@pytest.mark.parametrize(("end", "reason"), DEATHS)
def test_deaths_only(store: Store, worker: Session, clock: FakeClock, end: End, reason: str) -> None:
    end(store, worker, clock, FOLLOW_DEAD)
    worker.store.announce("s1", worker.info)
    assert worker.one().reason == reason


@pytest.mark.parametrize(("end", "reason"), OTHERS)
def test_no_death_no_follow_up(store: Store, worker: Session, clock: FakeClock, end: End, reason: str) -> None:
    end(store, worker, clock, FOLLOW_DEAD)
    assert worker.claim() == []
    assert gone(store, AFTER)


@pytest.mark.parametrize(("end", "reason"), DEATHS + OTHERS)
def test_nothing_follows_unasked(store: Store, worker: Session, clock: FakeClock, end: End, reason: str) -> None:
    end(store, worker, clock, 0)
    worker.store.announce("s1", worker.info)
    assert worker.claim() == []


@pytest.mark.parametrize("outcome", [Done(b"1"), Failed(b"e"), Failed(b"e", "unknown-task"), Failed(b"e", "expired")])
def test_ends_by_a_worker_are_not_followed_up(store: Store, worker: Session, outcome: Done | Failed) -> None:
    store.push([task(1, follow=FOLLOW_ANY)])
    worker.run(outcome)
    assert worker.claim() == []


def test_other_claims_follow_nothing(store: Store, worker: Session) -> None:
    store.push([task(1, follow=FOLLOW_ANY)])
    assert (worker.one().after, view(store, 1).state) == (None, "running")


def test_it_stands_in_front(store: Store, worker: Session) -> None:
    store.push([task(n, priority=5, max_crashes=0, follow=FOLLOW_ANY) for n in (1, 2)] + [task(3)])
    store.push([task(4, priority=5, queue="q")])
    assert worker.ids() == [uid(3)]
    worker.run(Crashed(b"x"))
    assert worker.ids(10) == [AFTER, uid(2)]
    assert worker.ids(1, "q") == [uid(4)]


def test_what_expires_is_followed_up_by_the_same_claim(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, expires_in_us=SECOND, follow=FOLLOW_ANY), task(2)])
    clock.advance(1)
    assert worker.ids(2) == [AFTER, uid(2)]


def test_a_follow_up_rings(store: Store, worker: Session) -> None:
    store.push([task(1, delay_us=SECOND, follow=FOLLOW_ANY)])
    assert worker.claim() == []
    store.revoke([uid(1)])
    assert store.listen("s1", ("celery",), 5.0)


def test_it_follows_where_the_task_stood_last(store: Store, worker: Session) -> None:
    store.push([task(1, b"old", follow=FOLLOW_ANY)])
    worker.run(Retry(delay_us=SECOND, payload=b"new", queue="q", priority=7))
    store.revoke([uid(1)])
    claim = worker.one("q")
    assert (claim.payload, claim.priority, claim.after) == (b"new", 7, uid(1))


# -- a follow-up's own life -------------------------------------------------------------------------------------------


def test_a_follow_up_survives_its_worker(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, b"args", follow=FOLLOW_ANY)])
    store.revoke([uid(1)])
    first = Session(store, "s2").one()
    live(store, clock, 1, "s1", dead=("s2",))
    second = worker.one()
    assert (second.id, second.after, second.reason, second.payload, second.lost) == (
        AFTER,
        uid(1),
        "revoked",
        b"args",
        1,
    )
    assert worker.settle(first, Done()) == "stale"
    assert worker.settle(second, Retry(delay_us=SECOND)) == "ok"
    clock.advance(1)
    assert worker.run(Done()).after == uid(1)


def test_a_claim_of_a_follow_up_repeated(store: Store, worker: Session) -> None:
    store.push([task(1, b"args", follow=FOLLOW_ANY)])
    store.revoke([uid(1)])
    request = worker.request()
    first, again = (store.claim("s1", request).claims for _ in range(2))
    assert first == again
    assert again[0].after == uid(1)


def test_a_follow_up_outlives_revokes_and_purges(store: Store, worker: Session) -> None:
    """Or what follows would be lost."""
    store.push([task(1, follow=FOLLOW_ANY), task(2)])
    store.revoke([uid(1)])
    assert store.revoke([AFTER]) == ["running"]
    assert store.revoke([AFTER], terminate=True) == ["running"]
    assert store.purge("celery") == 1
    assert view(store, AFTER).state == "ready"
    claim = worker.one()
    assert store.revoke([AFTER], terminate=True) == ["running"]
    assert worker.settle(claim, Released()) == "ok"
    assert worker.run(Done()).after == uid(1)
    assert store.revoke([AFTER]) == ["ended"]


def test_a_follow_up_that_dies_has_none_itself(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, b"args", follow=FOLLOW_ANY)])
    store.revoke([uid(1)])
    for wait in (0, 0, 1, 2):
        clock.advance(wait)
        worker.store.announce("s1", worker.info)
        worker.run(Crashed(b"x"))
    assert (view(store, AFTER).state, view(store, AFTER).reason) == ("dead", "crashed")
    clock.advance(60)
    assert worker.claim() == []
    assert store.requeue([AFTER]) == [True]
    claim = worker.one()
    assert (claim.after, claim.reason, claim.gen, claim.payload) == (uid(1), "revoked", 2, b"args")


def test_each_generation_is_followed_up(store: Store, worker: Session, clock: FakeClock) -> None:
    crashed(store, worker, clock, FOLLOW_DEAD)
    worker.run(Done())
    store.requeue([uid(1)])
    worker.run(Crashed(b"again"))
    claim = worker.one()
    assert (claim.id, claim.after) == (after_id(uid(1), 2), uid(1))


def test_an_open_follow_up_stays_the_only_one(store: Store, worker: Session) -> None:
    for payload in (b"one", b"two"):
        store.push([task(1, payload, follow=FOLLOW_ANY)])
        store.purge("celery")
    claim = worker.one()
    assert (claim.payload, worker.claim()) == (b"one", [])
    worker.settle(claim, Done())
    store.push([task(1, b"three", follow=FOLLOW_ANY)])
    store.purge("celery")
    assert worker.one().payload == b"three", "one that has ended is replaced"


def test_the_task_is_gone_before_its_follow_up(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, b"args", keep_us=0, follow=FOLLOW_ANY)])
    store.revoke([uid(1)])
    clock.advance(us=TOMBSTONE_US + DAY_US)
    worker.tick()
    assert gone(store, 1)
    worker.store.announce("s1", worker.info)
    assert worker.one().payload == b"args"


def test_many_in_one_act(store: Store, worker: Session) -> None:
    store.push([task(n, follow=FOLLOW_ANY) for n in range(3)])
    store.revoke([uid(1), uid(2), uid(0)])
    assert [c.after for c in worker.claim(10)] == [uid(0), uid(2), uid(1)]


# -- groups -----------------------------------------------------------------------------------------------------------


def test_a_like_member_that_died(store: Store, worker: Session) -> None:
    like_group(store, rows=2, max_crashes=0, follow=FOLLOW_DEAD)
    worker.run(Crashed(b"x"))
    claim = worker.one()
    assert (claim.after, claim.payload, claim.row) == (f"{G}.0", b"template", b"row-0")
    assert store.payload(claim.id) == (b"template", b"row-0")
    assert (claim.group, claim.index) == (None, None)
    assert worker.settle(claim, Released()) == "ok"
    assert worker.one().row == b"row-0"
    seen = store.group(G)
    assert seen is not None
    assert (seen.total, seen.failed) == (2, 1)


@pytest.mark.parametrize("way", ["expiry", "revoke", "group_revoke", "terminate", "purge"])
def test_like_members_are_followed_up_when_they_died_only(
    store: Store, worker: Session, clock: FakeClock, way: str
) -> None:
    like_group(store, rows=3, expires_in_us=5 * SECOND, follow=FOLLOW_ANY)
    worker.one()
    match way:
        case "expiry":
            clock.advance(5)
        case "revoke":
            store.revoke([f"{G}.1", f"{G}.2"])
        case "group_revoke":
            store.group_revoke(G)
        case "terminate":
            store.group_revoke(G, terminate=True)
        case _:
            store.purge("celery")
    assert worker.claim(10) == []


def test_unlike_members_that_were_cancelled(store: Store, worker: Session) -> None:
    members = tuple(task(n, b"args-%d" % n, group=G, index=n, follow=FOLLOW_ANY) for n in range(3))
    store.group_push(GroupBatch(id=G, members=members, seal=True, body=task(9, b"body")))
    assert store.group_revoke(G) == 3
    claims = worker.claim(10)
    assert [(c.after, c.payload) for c in claims[:3]] == [(uid(n), b"args-%d" % n) for n in (2, 1, 0)]
    assert [c.body_of for c in claims] == [None, None, None, G]


@pytest.mark.parametrize("released", [False, True])
def test_a_body_that_was_revoked(store: Store, worker: Session, released: bool) -> None:
    like_group(store, rows=1, body=task(9, b"body", queue="q", follow=FOLLOW_ANY))
    if released:
        worker.run(Done())
    assert store.revoke([uid(9)]) == ["cancelled"]
    claim = worker.one("q")
    assert (claim.after, claim.payload, claim.body_of) == (uid(9), b"body", None)


def test_a_seat_has_none(store: Store, worker: Session) -> None:
    store.push([seat(1, follow=FOLLOW_ANY)])
    store.revoke([uid(1)])
    assert worker.claim() == []


def test_a_follow_up_gives_the_ends(store: Store, worker: Session) -> None:
    """The whole way: a step that was revoked, and the seat that waits at the end of its chain."""
    from smallage.core.message import End as GivenEnd

    store.group_push(GroupBatch(id=G, members=(seat(2, group=G, index=0),), seal=True, body=task(9)))
    store.push([task(1, follow=FOLLOW_ANY)])
    store.revoke([uid(1)])
    claim = worker.one()
    end = GivenEnd(uid(2), "cancelled", reason="revoked")
    given: list[Any] = [settlement(claim, Done(None, (), (end,)))]
    assert store.settle("s1", given).verdicts == ("ok",)
    assert store.settle("s1", given).verdicts == ("dup",)
    assert view(store, 2).state == "cancelled"
    assert worker.one().body_of == G
