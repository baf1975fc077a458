"""Tasks that are revoked before they come."""

from __future__ import annotations

import pytest

from smallage.core.message import FOLLOW_ANY, Done, End, Failed
from smallage.stores.base import AHEAD_MAX, AHEAD_US, TOMBSTONE_US, GroupBatch, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, like_group, results, seat, task, uid, view

G = uid(100)


def test_a_task_revoked_ahead_ends_as_it_comes(store: Store, worker: Session, clock: FakeClock) -> None:
    assert store.revoke([uid(1)]) == ["unknown"]
    assert gone(store, 1)
    clock.advance(9)
    assert store.push([task(1, delay_us=SECOND), task(2)]) == ["ok", "ok"]
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.ran, seen.tok, seen.gen) == ("cancelled", "revoked", False, 0, 1)
    assert (seen.pushed_us, seen.ended_us, seen.due_us) == (clock(), clock(), None)
    assert store.payload(uid(1)) is None
    assert store.push([task(1, delay_us=SECOND)]) == ["dup"]
    clock.advance(1)
    assert worker.ids(10) == [uid(2)]
    assert store.revoke([uid(1)]) == ["ended"]


def test_watchers_hear_of_it(store: Store) -> None:
    store.revoke([uid(1)])
    watch = store.watch()
    watch.add([uid(1)])
    store.push([task(1)])
    assert watch.wait(30.0) == {uid(1)}
    watch.close()


def test_its_follow_up(store: Store, worker: Session) -> None:
    store.revoke([uid(1)])
    store.push([task(1, b"args", follow=FOLLOW_ANY)])
    claim = worker.one()
    assert (claim.after, claim.reason, claim.payload) == (uid(1), "revoked", b"args")


@pytest.mark.parametrize("terminate", [False, True])
def test_by_then(store: Store, worker: Session, terminate: bool) -> None:
    store.revoke([uid(1)], terminate)
    store.push([task(2)])
    worker.run(Done(None, (task(1), task(3))))
    assert (view(store, 1).state, worker.ids(10)) == ("cancelled", [uid(3)])


def test_a_member_revoked_ahead(store: Store, worker: Session) -> None:
    store.revoke([uid(1)])
    members = (task(1, group=G, index=0), task(2, group=G, index=1))
    assert store.group_push(GroupBatch(id=G, members=members, seal=True)) == "ok"
    assert [r.state for r in results(store, G)] == ["cancelled", "ready"]
    seen = store.group(G)
    assert seen is not None
    assert (seen.total, seen.cancelled) == (2, 1)


def test_rows_revoked_ahead(store: Store, worker: Session) -> None:
    assert store.revoke([f"{G}.1", f"{G}.2"]) == ["unknown", "unknown"]
    like_group(store, rows=3, body=task(9, b"body"), follow=FOLLOW_ANY)
    assert [r.state for r in results(store, G)] == ["ready", "cancelled", "cancelled"]
    assert worker.ids(10) == [f"{G}.0"]


def test_all_rows_revoked_ahead(store: Store, worker: Session, clock: FakeClock) -> None:
    store.revoke([f"{G}.0", f"{G}.1"])
    like_group(store, rows=2, body=task(9, b"body"))
    seen = store.group(G)
    assert seen is not None
    assert (seen.cancelled, seen.ended_us) == (2, clock())
    assert [claim.body_of for claim in worker.claim(10)] == [G]


def test_a_body_revoked_ahead(store: Store, worker: Session, clock: FakeClock) -> None:
    store.revoke([uid(9)])
    group = like_group(store, rows=1, body=task(9, b"body", follow=FOLLOW_ANY), keep_us=0)
    assert view(store, 9).state == "cancelled"
    assert worker.run(Done()).after == uid(9)
    worker.run(Done())
    assert worker.claim() == []
    clock.advance(us=TOMBSTONE_US)
    assert store.group(group) is None


def test_a_seat_revoked_ahead(store: Store, worker: Session) -> None:
    store.revoke([uid(1)])
    assert store.push([seat(1)]) == ["ok"]
    assert view(store, 1).state == "cancelled"
    assert worker.claim() == []
    assert store.push([task(1, b"args", follow=FOLLOW_ANY)]) == ["ok"]
    assert worker.one().after == uid(1)
    assert view(store, 1).state == "cancelled"


def test_a_given_end_does_not_care(store: Store, worker: Session) -> None:
    store.revoke([uid(1)])
    store.push([task(2)])
    worker.run(Failed(b"e", ends=(End(uid(1), "dead", reason="upstream"),)))
    assert (view(store, 1).state, view(store, 1).reason) == ("dead", "upstream")
    assert store.push([task(1)]) == ["ok"]
    assert view(store, 1).reason == "revoked"


def test_it_is_remembered_for_a_while(store: Store, clock: FakeClock) -> None:
    store.revoke([uid(1), uid(2)])
    clock.advance(us=AHEAD_US - 1)
    store.push([task(1)])
    store.revoke([uid(3)])
    clock.advance(1)
    store.tick([])
    store.push([task(2), task(3)])
    assert [view(store, n).state for n in (1, 2, 3)] == ["cancelled", "ready", "cancelled"]


def test_a_later_revoke_renews_it(store: Store, clock: FakeClock) -> None:
    store.revoke([uid(1)])
    clock.advance(us=AHEAD_US - 1)
    assert store.revoke([uid(1)]) == ["unknown"]
    clock.advance(us=AHEAD_US - 1)
    store.push([task(1)])
    assert view(store, 1).state == "cancelled"


def test_it_is_remembered_after_the_task(store: Store, clock: FakeClock) -> None:
    store.revoke([uid(1)])
    store.push([task(1, keep_us=0)])
    clock.advance(us=TOMBSTONE_US)
    assert gone(store, 1)
    assert store.push([task(1)]) == ["ok"]
    assert view(store, 1).state == "cancelled"


def test_forget_removes_the_memory(store: Store, worker: Session) -> None:
    store.revoke([uid(1), uid(2)])
    store.push([task(2)])
    assert store.forget([uid(1), uid(2)]) == 1
    store.push([task(1), task(2)])
    assert worker.ids(10) == [uid(1), uid(2)]


def test_a_task_that_is_gone_is_revoked_ahead(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, keep_us=0)])
    worker.run(Done())
    assert store.revoke([uid(1)]) == ["ended"]
    clock.advance(us=TOMBSTONE_US)
    assert store.revoke([uid(1)]) == ["unknown"]
    store.push([task(1)])
    assert view(store, 1).state == "cancelled"


@pytest.mark.slow
def test_the_oldest_memories_go_first(store: Store, clock: FakeClock) -> None:
    store.revoke([uid(1)])
    clock.advance(1)
    for first in range(10, AHEAD_MAX + 10, 1_000):
        store.revoke([uid(n) for n in range(first, first + 1_000)])
    store.push([task(1), task(10), task(AHEAD_MAX + 9)])
    assert [view(store, n).state for n in (1, 10, AHEAD_MAX + 9)] == ["ready", "cancelled", "cancelled"]
