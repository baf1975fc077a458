"""Real sentinels, a real master that dies, is deposed or freezes, and every kind of connection that must follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis

from smallage.core.errors import ImproperlyConfigured, StoreRefused, StoreUnavailable
from smallage.core.message import Done
from smallage.stores.base import Order
from smallage.stores.redis import RedisStore
from smallage.stores.redis import open as open_store
from smallage.stores.redis.keys import encode_id
from tests.contract.kit import Session, task, uid, view
from tests.redis_server import RedisServer
from tests.sentinel_servers import NAME, Watched

pytestmark = [pytest.mark.redis, pytest.mark.timeout(150)]  # a starved sentinel rests for 30 s

T = TypeVar("T")
PATIENCE = 30.0


def in_the_end(act: Callable[[], T]) -> T:
    """`act()`, repeated while the store is away, as clients and workers do."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except StoreUnavailable:
            assert time.monotonic() < deadline, "the store did not come back"
            time.sleep(0.02)


@pytest.fixture
def watched(start_watched: Callable[..., Watched]) -> Watched:
    return start_watched()


@pytest.fixture
def store(watched: Watched) -> Iterator[RedisStore]:
    opened = open_store(watched.url)
    opened.setup()
    yield opened
    opened.close()


def depose(watched: Watched, how: str) -> RedisServer:
    """Have the replica become master; returns the former one."""
    watched.replicate()
    former = watched.master()
    if how == "killed":
        former.kill()
        watched.await_another(former)
    else:
        watched.fail_over()
    return former


def listening(store: RedisStore) -> tuple[threading.Thread, list[object]]:
    """A thread that listens for long, and what it hears."""
    heard: list[object] = []

    def listen() -> None:
        try:
            heard.append(store.listen("s1", ["other"], 4 * PATIENCE))
        except StoreUnavailable as error:
            heard.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    return thread, heard


@pytest.mark.parametrize("how", ["killed", "failed over"])
def test_every_connection_follows_the_master(watched: Watched, store: RedisStore, how: str) -> None:
    worker = Session(store, inbox="box")
    watch = store.watch()
    watch.add([uid(1), uid(2)])
    box = store.mailbox("box")
    store.push([task(1), task(2)])
    claim = worker.one()
    listener, heard = listening(store)
    with watched.master().client() as client:
        while client.info("clients")["blocked_clients"] < 2:
            pass

    depose(watched, how)

    assert in_the_end(lambda: store.push([task(3)])) == ["ok"]
    listener.join(PATIENCE)
    assert isinstance(heard[0], StoreUnavailable)
    store.push([task(4, queue="other")])
    assert in_the_end(lambda: store.listen("s1", ["other"], PATIENCE))
    assert worker.settle(claim, Done(b"1")) == "ok"
    told: set[str] = set()
    while claim.id not in told:
        told |= watch.wait(PATIENCE)
    with pytest.raises(StoreUnavailable):
        while True:
            box.take()
    box.close()
    again = in_the_end(lambda: store.mailbox("box"))
    assert store.control(Order("s1", "cancel", uid(2), 7))
    orders: list[Order] = []
    while not orders:
        orders = again.take()
    assert orders[0].id == uid(2)
    again.close()
    watch.close()
    assert store.audit() == []


def test_a_former_master_that_wakes_up_is_given_nothing(watched: Watched, store: RedisStore) -> None:
    worker = Session(store)
    store.push([task(1)])
    watched.replicate()
    former = watched.master()
    listener, heard = listening(store)
    with former.client() as client:
        while not client.info("clients")["blocked_clients"]:
            pass
    with watched.frozen(former):
        watched.await_another(former)
    with former.client() as old, watched.master().client() as new:
        assert old.role()[0] in (b"master", "master")  # the sentinels depose it only after 8 s
        (claim,) = worker.claim()
        assert new.exists("{smallage}:s:s1")
        assert not old.exists("{smallage}:s:s1")
    listener.join(PATIENCE)
    assert isinstance(heard[0], StoreUnavailable)
    assert worker.settle(claim, Done(b"1")) == "ok"
    assert view(store, 1).state == "done"


def test_a_master_that_comes_back_from_the_dead_is_given_nothing(watched: Watched, store: RedisStore) -> None:
    former = depose(watched, "killed")
    former.start()
    assert in_the_end(lambda: store.push([task(1)])) == ["ok"]
    with former.client() as client:
        assert client.role()[0] in (b"master", "master")
        assert not client.exists(b"{smallage}:t:" + encode_id(uid(1)))


def test_sentinels_that_die_are_missed_by_nobody(start_watched: Callable[..., Watched]) -> None:
    watched = start_watched(sentinels=2)
    store = open_store(watched.url)
    store.setup()
    watched.sentinels[0].kill()
    assert store.push([task(1)]) == ["ok"]
    other = open_store(watched.url)
    assert other.push([task(2)]) == ["ok"]
    watched.sentinels[1].kill()
    assert store.push([task(3)]) == ["ok"]
    lost = open_store(watched.url)
    with pytest.raises(StoreUnavailable, match="No sentinel of sentinel://"):
        lost.push([task(4)])
    for one in (store, other, lost):
        one.close()


def test_sentinels_and_servers_have_passwords_of_their_own(start_watched: Callable[..., Watched]) -> None:
    watched = start_watched(password="canary-server", sentinel_password="canary-sentinel")
    start, rest = watched.url.split("://")
    store = open_store(f"{start}://:canary-server@{rest}&sentinel_password=canary-sentinel")
    store.setup()
    assert store.push([task(1)]) == ["ok"]
    depose(watched, "failed over")
    assert in_the_end(lambda: store.push([task(2)])) == ["ok"]
    texts = [store.url, repr(vars(store)), repr(vars(store._link)), repr(vars(store._link._sentinels))]
    store.close()
    for url, advice in (
        (f"{start}://:canary-server@{rest}", "sentinel_kwargs"),
        (f"{start}://:canary-server@{rest}&sentinel_password=canary-wrong", "sentinel_kwargs"),
        (f"{start}://:canary-wrong@{rest}&sentinel_password=canary-sentinel", "user, password"),
    ):
        refused = open_store(url)
        with pytest.raises(StoreRefused, match=advice) as refusal:
            refused.push([task(3)])
        refused.close()
        texts.append(str(refusal.value))
    assert not [text for text in texts if "canary" in text]


def test_work_over_tls_through_a_failover(start_watched: Callable[..., Watched], certificate: Path) -> None:
    try:
        watched = start_watched(certificate=certificate)
    except RuntimeError as error:
        pytest.skip(f"this server has no TLS: {error}")
    url = watched.url.replace("sentinel:", "sentinels:")
    store = open_store(f"{url}&ssl_ca_certs={certificate}")
    store.setup()
    worker = Session(store)
    store.push([task(1)])
    depose(watched, "failed over")
    assert in_the_end(lambda: store.push([task(2)])) == ["ok"]
    assert len(in_the_end(lambda: worker.claim(2))) == 2
    store.close()
    for refused, option in ((url, "sentinel_ssl_ca_certs"), (f"{url}&sentinel_ssl_cert_reqs=none", r"\?ssl_ca_certs")):
        store = open_store(refused)
        with pytest.raises(StoreRefused, match=option):
            store.setup()
        store.close()


def test_a_name_that_nobody_watches(watched: Watched) -> None:
    store = open_store(watched.url.replace(NAME, "nobody"))
    with pytest.raises(StoreRefused, match=f"watches no master 'nobody'. It watches: '{NAME}'"):
        store.setup()
    store.close()


def test_urls_that_name_the_wrong_kind_of_server(watched: Watched) -> None:
    store = open_store(f"sentinel://127.0.0.1:{watched.master().port}/0?master_name=x")
    with pytest.raises(StoreRefused, match="is no sentinel"):
        store.setup()
    store.close()
    store = open_store(f"redis://127.0.0.1:{watched.sentinels[0].port}/0")
    with pytest.raises(StoreRefused, match="sentinel://"):
        store.setup()
    store.close()


def test_what_a_failover_may_lose_is_said(watched: Watched, caplog: Any) -> None:
    store = open_store(watched.url)
    store.setup()
    assert "min-replicas-to-write" in caplog.text
    caplog.clear()
    with watched.master().client() as client:
        client.config_set("min-replicas-to-write", 1)
    store.setup()
    assert "min-replicas-to-write" not in caplog.text
    watched.servers[1].kill()
    with watched.master().client() as client:
        while client.info("replication")["min_slaves_good_slaves"]:
            pass  # counted once a second
    caplog.clear()
    store.setup()
    assert "no replica" in caplog.text
    with watched.master().client() as client:
        try:
            client.eval("return redis.call('set', 'probe', '1')", 0)
        except redis.ResponseError:  # early 6.2 does not hold scripts to it
            with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
                store.push([task(1)])
    store.close()


def test_a_url_without_the_masters_name(watched: Watched) -> None:
    with pytest.raises(ImproperlyConfigured, match="master_name"):
        open_store(watched.celery_url)
    store = open_store(f"{watched.celery_url}?master_name={NAME}")
    assert store.push([task(1)]) == ["ok"]
    store.close()
