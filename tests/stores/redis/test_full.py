"""A full server: new work is refused whole, and what is there is worked off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smallage.core.errors import StoreFull, StoreUnavailable
from smallage.core.message import (
    FOLLOW_ANY,
    Crashed,
    Done,
    End,
    Failed,
    Outcome,
    Parked,
    Replaced,
    Retry,
    Snooze,
)
from smallage.stores.base import GroupBatch, LimitSpec, SessionInfo, Store, after_id
from smallage.stores.redis import RedisStore
from tests.contract.kit import Session, like_group, seat, task, uid, view
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
    store.push([seat(90), seat(91), seat(92)])
    store.revoke([uid(92), uid(93)])
    store.push([task(94, queue="third", follow=FOLLOW_ANY)])
    store.schedule_put("nightly", b"spec")
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


@pytest.mark.parametrize("n", [90, 92, 93])
def test_what_comes_to_a_seat_or_was_revoked_ahead_is_refused_whole(
    server: RedisServer, full: RedisStore, n: int
) -> None:
    before, counts, was = keys_of(server), full.counts(), full.state([uid(n)])
    message = task(n, b"comes", follow=FOLLOW_ANY)
    with pytest.raises(StoreFull):
        full.push([message])
    with pytest.raises(StoreFull):
        full.fire("nightly", 1, message)
    with pytest.raises(StoreFull):
        full.group_push(GroupBatch(id=uid(200), members=(task(70),), seal=True, body=message))
    with pytest.raises(StoreFull):
        full.group_push(GroupBatch(id=uid(100), late=True, members=(task(70),), also=(message,)))
    assert (keys_of(server), full.counts(), full.state([uid(n)])) == (before, counts, was)
    assert [view.last_us for view in full.schedules()] == [None]


def test_a_schedule_is_refused_whole(server: RedisServer, full: RedisStore) -> None:
    with pytest.raises(StoreFull):
        full.schedule_put("hourly", b"spec")
    assert [view.name for view in full.schedules()] == ["nightly"]
    assert full.fire("nightly", 1, None) == "fired"
    assert full.schedule_pause("nightly")
    assert full.schedule_remove("nightly")
    assert full.schedules() == []


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
        Done(b"1"), Done(b"r" * 1_000), Done(b"1", (task(80), task(90))), Failed(b"e" * 1_000), Retry(delay_us=1_000),
        Retry(payload=b"p" * 200), Snooze(5_000), Parked(), Crashed(),
        Failed(b"e", ends=(End(uid(91), "dead", reason="upstream"), End(uid(95), "done", result=b"r" * 100))),
        Replaced((task(81), task(92, follow=FOLLOW_ANY))),
    ]  # fmt: skip
    for outcome in outcomes:
        worker.run(outcome)
    assert [view(full, n).state for n in (80, 90, 91, 95)] == ["ready", "ready", "dead", "done"]
    assert view(full, after_id(uid(92), 1)).state == "ready"
    full.limit("task:add", LimitSpec(1_000_000, burst=1_000_000))
    full.answer("ticket", "node", b"here")
    assert full.answers("ticket") == {"node": b"here"}
    assert full.revoke([uid(94), uid(96)]) == ["cancelled", "unknown"]
    assert worker.one("third").after == uid(94)
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
