"""Which servers are refused, and what is only warned about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smallage.core.errors import StoreRefused
from smallage.stores.redis import fitness
from smallage.stores.redis import open as open_store
from tests.contract.kit import Session, task
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis


def test_a_server_that_evicts_is_refused(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(maxmemory_policy="allkeys-lru")
    store = open_store(server.url)
    with pytest.raises(StoreRefused, match="CONFIG SET maxmemory-policy noeviction"):
        store.setup()
    with server.client() as client:
        assert client.dbsize() == 0
        client.config_set("maxmemory-policy", "noeviction")
    store.setup()
    store.close()


@pytest.mark.parametrize("how", ["url", "option"])
def test_the_override_is_loud(
    start_redis: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture, how: str
) -> None:
    server = start_redis(maxmemory_policy="volatile-ttl")
    if how == "url":
        store = open_store(f"{server.url}?allow_eviction=1")
    else:
        store = open_store(server.url, allow_eviction=True)
    store.setup()
    assert any(r.levelname == "WARNING" and "tasks can be lost" in r.message for r in caplog.records)
    store.close()


def test_no_append_only_file_is_said(start_redis: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(start_redis().url)
    store.setup()
    assert "Tasks live in Redis's memory" in caplog.text
    store.close()


def test_with_one_it_is_not(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(server.url)
    store.setup()
    assert "memory" not in caplog.text
    store.close()


@pytest.mark.parametrize(
    ("info", "warned"),
    [
        ({"redis_version": "7.2.10"}, True),
        ({"redis_version": "7.2.11"}, False),
        ({"redis_version": "7.0.15"}, True),
        ({"redis_version": "6.2.20"}, False),
        ({"redis_version": "8.2.1"}, True),
        ({"redis_version": "8.4.0"}, False),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.3"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.4"}, False),
        ({"redis_version": "7.2.4", "valkey_version": "9.0.0"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_versions_with_holes_are_named(info: dict[str, str], warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    fitness._version("redis://host", info)
    assert ("CVE-2025-49844" in caplog.text) == warned


def test_a_server_too_old_is_refused() -> None:
    with pytest.raises(StoreRefused, match=r"6\.2"):
        fitness._version("redis://host", {"redis_version": "6.0.16"})


def test_a_user_with_just_what_is_needed(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """CONFIG and INFO are forbidden, and so is every key outside the namespace."""
    with server.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "worker", "on", ">secret", "~{smallage}:*", "resetchannels", "&{smallage}:e:*", "+@all",
            "-@admin", "-@dangerous",
        )  # fmt: skip
    store = open_store(f"redis://worker:secret@127.0.0.1:{server.port}/0")
    store.setup()
    assert "INFO is forbidden" in caplog.text
    assert "CONFIG is forbidden" in caplog.text
    worker = Session(store)
    store.push([task(1), task(2)])
    watch = store.watch()
    watch.add([task(1).id])
    assert len(worker.claim(2)) == 2
    worker.tick()
    assert store.audit() == []
    watch.close()
    store.close()
    other = open_store(f"redis://worker:secret@127.0.0.1:{server.port}/0", namespace="elsewhere")
    with pytest.raises(StoreRefused, match="ACL"):
        other.setup()
    other.close()


def test_a_wrong_password_is_no_outage(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("requirepass", "right")
    store = open_store(f"redis://:canary@127.0.0.1:{server.port}/0")
    with pytest.raises(StoreRefused) as caught:
        store.push([task(1)])
    assert "canary" not in str(caught.value)
    store.close()
    right = open_store(f"redis://:right@127.0.0.1:{server.port}/0")
    right.setup()
    assert right.push([task(1)]) == ["ok"]
    right.close()
