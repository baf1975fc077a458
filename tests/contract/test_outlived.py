"""A group whose time is over and that no tick has removed yet stands in nobody's way."""

from __future__ import annotations

from smallage.core.message import Done
from smallage.stores.base import TOMBSTONE_US, GroupBatch, Store
from smallage.testing import FakeClock
from tests.contract.kit import Session, gone, task, uid


def test_ids_of_its_members_are_free(store: Store, worker: Session, clock: FakeClock) -> None:
    old, new = uid(100), uid(101)
    members = tuple(task(n, group=old, index=n) for n in range(3))
    assert store.group_push(GroupBatch(id=old, members=members, seal=True, keep_us=0)) == "ok"
    for _ in members:
        worker.run(Done(b"1"))
    clock.advance(us=TOMBSTONE_US)
    assert store.push([task(0)]) == ["ok"]
    assert store.group_push(GroupBatch(id=new, members=(task(1, group=new, index=0),), seal=True)) == "ok"
    assert store.audit() == [], "its counters count members that are others' tasks now"
    worker.tick()
    assert gone(store, 2)
    assert worker.ids(9) == [uid(0), uid(1)]
