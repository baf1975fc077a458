"""Servers that go away and come back, and stores that somebody empties."""

from __future__ import annotations

import threading

import pytest

from smallage.core.errors import StoreRefused, StoreUnavailable
from smallage.core.message import Done, settlement
from smallage.stores.base import ClaimRequest, Order
from smallage.stores.redis import RedisStore
from smallage.stores.redis import open as open_store
from tests.contract.kit import Session, task, uid, view
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis


def test_work_resumes_after_every_restart(server: RedisServer, store: RedisStore) -> None:
    worker = Session(store)
    store.push([task(n) for n in range(10)])
    for _ in range(10):
        server.kill()
        server.start()
        claim = worker.one()
        assert worker.settle(claim, Done(b"1")) == "ok"
        worker.tick()
    assert store.counts()[""]["done"] == 10
    assert store.audit() == []


def test_an_outage_is_said_and_nothing_is_done_twice(server: RedisServer, store: RedisStore) -> None:
    worker = Session(store)
    store.push([task(1)])
    claim = worker.one()
    server.kill()
    for act in (
        lambda: store.push([task(2)]),
        lambda: store.settle("s1", [settlement(claim, Done(b"1"))]),
        lambda: store.claim("s1", ClaimRequest(("celery",), 1, "n")),
        lambda: store.tick(["s1"]),
        lambda: store.revoke([uid(1)]),
        lambda: store.listen("s1", ["celery"], 0.1),
        lambda: store.mailbox("box"),
    ):
        with pytest.raises(StoreUnavailable):
            act()
    server.start()
    assert store.push([task(2)]) == ["ok"]
    assert worker.settle(claim, Done(b"1")) == "ok"


def test_tokens_rise_over_a_restart(server: RedisServer, store: RedisStore) -> None:
    worker = Session(store)
    store.push([task(1), task(2)])
    first = worker.one()
    server.kill()
    server.start()
    assert worker.one().tok > first.tok


def test_a_listener_is_told_of_an_outage_and_hears_again(server: RedisServer, store: RedisStore) -> None:
    Session(store)
    heard: list[object] = []

    def listen() -> None:
        try:
            heard.append(store.listen("s1", ["celery"], 30))
        except StoreUnavailable as error:
            heard.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    with server.client() as client:
        while not client.info("clients")["blocked_clients"]:
            pass
    server.kill()
    thread.join(30)
    assert isinstance(heard[0], StoreUnavailable)
    server.start()
    store.push([task(1)])
    assert store.listen("s1", ["celery"], 30) is True


def test_closing_a_store_ends_its_waits(server: RedisServer, store: RedisStore) -> None:
    Session(store)
    ended = threading.Event()

    def listen() -> None:
        with pytest.raises(StoreUnavailable):
            store.listen("s1", ["celery"], 30)
        ended.set()

    thread = threading.Thread(target=listen)
    thread.start()
    with server.client() as client:
        while not client.info("clients")["blocked_clients"]:
            pass
    store.close()
    assert ended.wait(30)
    thread.join(30)


def test_a_watch_survives_a_restart(server: RedisServer, store: RedisStore) -> None:
    watch = store.watch()
    watch.add([uid(1), uid(2)])
    found: list[set[str]] = []
    thread = threading.Thread(target=lambda: found.append(watch.wait(30)))
    thread.start()
    server.kill()
    server.start()
    thread.join(20)
    assert found == [{uid(1), uid(2)}]
    store.push([task(1)])
    store.revoke([uid(1)])
    assert watch.wait(30) == {uid(1)}
    watch.close()


def test_orders_wait_for_a_mailbox_that_broke(server: RedisServer, store: RedisStore) -> None:
    Session(store, "w", inbox="box")
    box = store.mailbox("box")
    assert store.control(Order("w", "cancel", uid(1), 7))
    server.kill()
    server.start()
    with pytest.raises(StoreUnavailable):
        while True:
            assert box.take() == []
    box.close()
    assert store.control(Order("w", "cancel", uid(2), 8, "text"))
    again = store.mailbox("box")
    orders: list[Order] = []
    while len(orders) < 2:
        orders += again.take()
    assert orders == [Order("w", "cancel", uid(1), 7), Order("w", "cancel", uid(2), 8, "text")]
    again.close()


def test_a_demoted_primary_is_an_outage(server: RedisServer, store: RedisStore) -> None:
    store.push([task(1)])
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreUnavailable, match="READONLY"):
            store.push([task(2)])
        client.replicaof("NO", "ONE")
    assert store.push([task(2)]) == ["ok"]


def test_a_server_without_connections_left_is_an_outage(server: RedisServer) -> None:
    with server.client() as client:
        client.ping()
        client.config_set("maxclients", 1)
        crowded = open_store(server.url)
        with pytest.raises(StoreUnavailable):
            crowded.push([task(1)])
        client.config_set("maxclients", 100)
        assert crowded.push([task(1)]) == ["ok"]
        crowded.close()


def test_an_emptied_store_is_said_and_set_up_anew(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.push([task(1)])
    epoch = store.epoch
    with server.client() as client:
        client.flushall()
    assert store.push([task(2)]) == ["ok"]
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "was emptied" in errors[0]
    assert store.epoch not in ("", epoch)
    assert view(store, 2).state == "ready"


@pytest.mark.parametrize("verb", ["push", "announce", "tick"])
def test_another_process_that_set_it_up_anew_is_noticed(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    with server.client() as client:
        client.flushall()
    other = open_store(server.url)
    other.setup()
    acts = {
        "push": lambda: store.push([task(1)]),
        "announce": lambda: Session(store),
        "tick": lambda: store.tick([]),
    }
    acts[verb]()
    assert "was emptied" in caplog.text
    assert store.epoch == other.epoch
    other.close()


def test_a_pinned_store_stops(server: RedisServer) -> None:
    store = open_store(server.url, pin_epoch=True)
    store.setup()
    with server.client() as client:
        client.flushall()
        with pytest.raises(StoreRefused, match="emptied"):
            store.push([task(1)])
        assert client.dbsize() == 0
        with pytest.raises(StoreRefused, match="emptied"):
            store.tick(["s1"])
    store.close()


def test_a_producer_sets_an_empty_store_up(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(server.url)
    assert store.push([task(1)]) == ["ok"]
    assert "emptied" not in caplog.text
    store.close()


def test_a_layout_of_another_version_is_refused(server: RedisServer, store: RedisStore) -> None:
    with server.client() as client:
        client.hset("{smallage}:c", "schema", "99")
    with pytest.raises(StoreRefused, match="layout 99"):
        store.setup()
