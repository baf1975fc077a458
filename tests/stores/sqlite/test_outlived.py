"""A group whose time is over and that no tick has removed yet stands in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smallage.core.message import Done
from smallage.stores.base import TOMBSTONE_US, GroupBatch
from smallage.stores.sqlite import open as open_store
from smallage.stores.sqlite.store import SqliteStore
from smallage.testing import FakeClock
from tests.contract.kit import Session, gone, task, uid


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[SqliteStore]:
    store = open_store(f"sqlite:///{tmp_path / 'queue.db'}", clock=clock)
    store.setup()
    yield store
    store.close()


def test_ids_of_its_members_are_free(store: SqliteStore, clock: FakeClock) -> None:
    worker, old, new = Session(store), uid(100), uid(101)
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
