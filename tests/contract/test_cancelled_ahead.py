"""A group that is revoked while it has no members yet: what is added to it ends as cancelled and is never claimed."""

from __future__ import annotations

from smallage.core.message import member_id
from smallage.stores.base import GroupBatch, Store
from tests.contract.kit import Session, results, seat, task, uid, view

G = uid(100)


def open_cancelled(store: Store) -> None:
    assert store.group_push(GroupBatch(id=G)) == "ok"
    assert store.group_push(GroupBatch(id=G)) == "dup"
    assert [store.group_revoke(G), store.group_revoke(G)] == [0, 0]
    seen = store.group(G)
    assert seen is not None
    assert (seen.total, seen.revoked, seen.ended_us) == (0, True, 0)


def ended_with(store: Store, worker: Session, n: int) -> None:
    seen = store.group(G)
    assert seen is not None
    assert (seen.total, seen.cancelled, seen.ended_us > 0) == (n, n, True)
    assert [(one.state, one.reason) for one in results(store, G)] == [("cancelled", "revoked")] * n
    assert worker.claim(10) == []


def test_rows(store: Store, worker: Session) -> None:
    open_cancelled(store)
    first = GroupBatch(id=G, template=task(0, b"t"), rows=(b"1", b"2"))
    last = GroupBatch(id=G, template=task(0, b"t"), offset=2, rows=(b"3",), seal=True)
    assert [store.group_push(one) for one in (first, first)] == ["ok", "dup"]
    assert worker.claim(10) == []
    assert [store.group_push(one) for one in (last, first, last)] == ["ok", "dup", "dup"]
    ended_with(store, worker, 3)
    assert view(store, member_id(G, 2)).state == "cancelled"


def test_members_and_seats(store: Store, worker: Session) -> None:
    open_cancelled(store)
    first = GroupBatch(id=G, members=(task(1, group=G, index=0), seat(2, group=G, index=1)))
    last = GroupBatch(id=G, offset=2, members=(task(3, group=G, index=2),), seal=True)
    assert [store.group_push(one) for one in (first, first, last, last)] == ["ok", "dup", "ok", "dup"]
    ended_with(store, worker, 3)


def test_nothing(store: Store, worker: Session) -> None:
    open_cancelled(store)
    assert store.group_push(GroupBatch(id=G, seal=True)) == "ok"
    ended_with(store, worker, 0)
