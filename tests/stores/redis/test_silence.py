"""Servers that take connections and say nothing: whoever asks waits for one time-out, not for several."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from smallage import Smallage
from smallage.core.errors import StoreRefused, StoreUnavailable
from smallage.stores.redis import RedisStore
from smallage.stores.redis import open as open_store
from tests.contract.kit import task
from tests.redis_server import RedisServer
from tests.stores.redis.conftest import Proxy

pytestmark = pytest.mark.redis


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A listener whose kernel takes connections, and that says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield listener


def calls_to(listener: socket.socket) -> int:
    """How many have called so far."""
    listener.setblocking(False)
    n = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return n
        n += 1


def test_a_program_that_sends_a_task_waits_once(mute: socket.socket) -> None:
    url = f"redis://127.0.0.1:{mute.getsockname()[1]}/0?socket_timeout=0.2"
    app = Smallage("shop", broker=url, set_as_current=False)
    with pytest.raises(StoreUnavailable, match="no answer in time"):
        app.task(name="add", typing=False)(lambda: 1).delay()
    assert calls_to(mute) == 1
    app.close()


def test_a_server_that_freezes_is_asked_once_and_looked_at_once(server: RedisServer, store: RedisStore) -> None:
    frozen = open_store(f"{server.url}?socket_timeout=2")
    frozen.push([task(0)])
    frozen.push([task(1)])  # the server knows the script
    with server.client() as client:

        def calls() -> int:
            return int(client.info("stats")["total_connections_received"])

        before = calls()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable, match="no answer in time"):
                frozen.push([task(2)])
        finally:
            os.kill(server.pid, signal.SIGCONT)
        while calls() == before:
            pass  # it may hear us before it looks who has called meanwhile
        assert calls() - before == 1
    assert frozen.push([task(2)]) == ["dup"]  # it found the question when it woke
    frozen.close()


def test_a_connection_that_has_died_in_silence_is_replaced(proxy: Proxy, store: RedisStore) -> None:
    """As behind a firewall that forgets connections."""
    far = open_store(f"{proxy.url}?socket_timeout=2")
    far.push([task(0)])
    far.push([task(1)])
    proxy.swallow()
    assert far.push([task(2)]) == ["dup"]
    assert proxy.cuts == 0
    far.close()


def test_a_wrong_password_is_refused_in_whole_sentences(server: RedisServer) -> None:
    with pytest.raises(StoreRefused, match="WRONGPASS") as refused:
        open_store(server.url.replace("://", "://user:wrong@")).setup()
    assert ".." not in str(refused.value)
    assert "Check user, password" in str(refused.value)
    assert "wrong@" not in str(refused.value)
