"""Records that somebody spoilt: set aside as damaged, and the queue moves on."""

from __future__ import annotations

import pytest

from smallage.core.message import Done
from smallage.stores.base import LimitSpec
from smallage.stores.redis import RedisStore
from smallage.stores.redis.keys import encode_id
from tests.contract.kit import Session, like_group, task, uid, view
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis

KEY = b"{smallage}:t:"


def spoil(server: RedisServer, n: int, how: str) -> None:
    key = KEY + encode_id(uid(n))
    with server.client() as client:
        if how == "type":
            client.delete(key)
            client.set(key, b"not a hash")
        elif how == "gone":
            client.delete(key)
        else:
            field, _, value = how.partition("=")
            if value:
                client.hset(key, field, value)
            else:
                client.hdel(key, field)


@pytest.mark.parametrize("how", ["type", "n", "p"])
def test_a_spoilt_record_is_dead_and_the_next_one_is_claimed(server: RedisServer, store: RedisStore, how: str) -> None:
    worker = Session(store)
    store.push([task(1), task(2)])
    spoil(server, 1, how)
    assert worker.ids(10) == [uid(2)]
    assert (view(store, 1).state, view(store, 1).reason) == ("dead", "damaged")
    assert store.counts()[""]["dead"] == 1
    assert store.counts()["celery"] == {"running": 1}
    assert store.audit() == []


@pytest.mark.parametrize("how", ["type", "n", "p", "gone", "f=junk"])
def test_a_spoilt_record_that_was_held_back_stops_nobody(server: RedisServer, store: RedisStore, how: str) -> None:
    worker = Session(store)
    store.limit("task:add", LimitSpec(1, 3_600_000_000))
    store.push([task(n) for n in range(4)])
    assert worker.ids(10) == [uid(0)]
    spoil(server, 1, how)
    spoil(server, 3, how)
    store.limit("task:add", None)
    assert worker.ids(10) == [uid(2)]
    assert worker.claim(10) == []
    with server.client() as client:
        assert [key for key in client.scan_iter() if b":h" in key and b":h:" not in key] == []


def test_the_bytes_of_a_key_of_a_wrong_type_are_kept_until_it_is_forgotten(
    server: RedisServer, store: RedisStore
) -> None:
    store.push([task(1)])
    spoil(server, 1, "type")
    assert Session(store).claim(1) == []
    with server.client() as client:
        aside = b"{smallage}:w:" + encode_id(uid(1))
        assert client.get(aside) == b"not a hash"
        assert store.forget([uid(1)]) == 1
        assert client.get(aside) is None


@pytest.mark.parametrize("how", ["v=junk", "a=yesterday", "f=-", "t=x", "h=x", "m=1", "k=junk", "b=x", "x=x", "e=x"])
def test_junk_in_a_field_stops_nobody(server: RedisServer, store: RedisStore, how: str) -> None:
    worker = Session(store)
    store.push([task(1), task(2)])
    spoil(server, 1, how)
    assert uid(2) in worker.ids(10)
    assert store.state([uid(1)]) != [None]
    worker.tick()
    store.find("running")


def test_a_record_that_vanished_is_passed_over(server: RedisServer, store: RedisStore) -> None:
    store.push([task(1), task(2)])
    spoil(server, 1, "gone")
    assert Session(store).ids(10) == [uid(2)]


def test_a_spoilt_running_record_does_not_stop_its_session(server: RedisServer, store: RedisStore) -> None:
    worker = Session(store)
    store.push([task(1), task(2)])
    one, two = worker.claim(2)
    spoil(server, 1, "type")
    assert worker.settle(one, Done(b"1")) == "stale"
    assert worker.settle(two, Done(b"2")) == "ok"
    store.tick([], ["s1"])
    assert [w.session for w in store.workers()] == []


def test_the_audit_finds_what_is_wrong(server: RedisServer, store: RedisStore) -> None:
    worker = Session(store)
    store.push([task(1), task(2), task(3, delay_us=9_000_000), task(4)])
    like_group(store, 100, rows=3, queue="g")
    worker.claim(1)
    assert store.audit() == []
    with server.client() as client:
        client.srem("{smallage}:s:s1", encode_id(uid(1)))
        client.lrem("{smallage}:r:celery:0", 0, encode_id(uid(2)))
        client.zrem("{smallage}:d", encode_id(uid(3)))
        client.hset(KEY + encode_id(uid(4)), "s", "4")
        client.hset(b"{smallage}:g:" + encode_id(uid(100)), "D", 2)
        client.lpush("{smallage}:r:celery:0", b"xstray")
        client.zadd("{smallage}:x", {b"xghost": 1})
    found = "\n".join(store.audit())
    for words in (
        f"{uid(1)} is running, which disagrees with its session",
        f"{uid(2)} is ready and stands in no line",
        f"{uid(3)} is scheduled, which disagrees with the index of scheduled",
        f"{uid(4)} has ended and nothing will remove it",
        "counts 2 done members and has 0",
        "an index lists ghost",
        "counter 0r says",
    ):
        assert words in found, words
