"""A full server: new work is refused whole, and what is there is worked off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smallage.core.errors import StoreFull, StoreUnavailable
from smallage.core.message import Crashed, Done, Failed, Outcome, Parked, Retry, Snooze
from smallage.stores.base import GroupBatch, SessionInfo, Store
from smallage.stores.redis import RedisStore
from tests.contract.kit import Session, like_group, task, uid, view
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def full(server: RedisServer, store: RedisStore) -> Iterator[RedisStore]:
    """A store with work of every kind, whose server then has no byte left."""
    store.push([task(n) for n in range(20)])
    store.push([task(50, delay_us=1), task(51, queue="other")])
    like_group(store, 100, rows=4)
    worker = Session(store, "w", names=("add",), inbox="box")
    store.push([task(60)])
    assert worker.claim(1)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        yield store
        client.config_set("maxmemory", "0")
    assert store.audit() == []


def keys_of(server: RedisServer) -> set[bytes]:
    with server.client() as client:
        return set(client.scan_iter(count=1000))


@pytest.mark.parametrize("messages", [[task(70)], [task(70), task(71, queue="fresh", name="fresh")]])
def test_a_push_is_refused_whole(server: RedisServer, full: RedisStore, messages: list) -> None:
    before, counts = keys_of(server), full.counts()
    with pytest.raises(StoreFull, match="maxmemory"):
        full.push(messages)
    assert keys_of(server) == before
    assert full.counts() == counts


def test_a_group_and_a_session_are_refused_whole(server: RedisServer, full: RedisStore) -> None:
    before = keys_of(server)
    with pytest.raises(StoreFull):
        full.group_push(GroupBatch(id=uid(200), template=task(0), rows=(b"a", b"b"), seal=True))
    with pytest.raises(StoreFull):
        full.announce("newcomer", SessionInfo())
    assert keys_of(server) == before


def test_a_server_that_cannot_write_its_disk_is_full_for_pushes_only(server: RedisServer, store: RedisStore) -> None:
    worker = Session(store)
    store.push([task(1)])
    claim = worker.one()
    with server.client() as client:
        client.config_set("save", "900 1")
        server.folder.joinpath("dump.rdb").mkdir()
        server.folder.joinpath("dump.rdb", "in the way").touch()
        client.bgsave()
        while client.info("persistence")["rdb_bgsave_in_progress"]:
            pass
        with pytest.raises(StoreFull, match="disk"):
            store.push([task(2)])
        with pytest.raises(StoreUnavailable, match="disk"):
            worker.settle(claim, Done(b"1"))
        client.config_set("save", "")
        assert worker.settle(claim, Done(b"1")) == "ok"


def test_everything_that_drains_still_works(full: Store) -> None:
    worker = Session.__new__(Session)  # announced before the server was full
    worker.store, worker.name = full, "w"
    worker._numbers = iter(range(1_000))  # type: ignore[assignment]
    outcomes: list[Outcome] = [
        Done(b"1"), Done(b"r" * 1_000), Done(b"1", (task(80),)), Failed(b"e" * 1_000), Retry(delay_us=1_000),
        Retry(payload=b"p" * 200), Snooze(5_000), Parked(), Crashed(),
    ]  # fmt: skip
    for outcome in outcomes:
        worker.run(outcome)
    assert view(full, 80).state == "ready"
    members = [claim for claim in worker.claim(100) if claim.group]
    assert len(members) == 4
    for claim in members:
        assert worker.settle(claim, Done(b"m")) == "ok"
    full.tick(["w"])
    assert full.progress(worker.one("other"), b"half") == "ok"
    assert full.revoke([uid(51)], terminate=True) == ["cancelled"]
    assert full.purge("celery") >= 0
    assert full.forget([uid(51)]) == 1
    full.pause("celery")
    full.resume("celery")
    full.leave("w")
