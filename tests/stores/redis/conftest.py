"""A Redis store over a server of the test's own, and a proxy that loses replies."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smallage.stores.redis import RedisStore
from smallage.stores.redis import open as open_store
from smallage.testing import FakeClock
from tests.redis_server import RedisServer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A server that the test may fill, flush, reconfigure and restart."""
    return start_redis(appendonly="yes", appendfsync="always")


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    opened = open_store(server.url)
    opened.setup()
    yield opened
    opened.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority; the key lies beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    path = tmp_path / "own.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


class Proxy:
    """A TCP line to a server. `lose_reply()` lets the next request through and cuts the line in place of its answer;
    `cut_after(n)` lets n bytes of the next answer through first; `swallow()` keeps the answers of open lines."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._cut: int | None = None
        self.cuts = 0
        self._ends: list[socket.socket] = []
        self._swallowed: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def lose_reply(self) -> None:
        self._cut = 0

    def cut_after(self, size: int) -> None:
        self._cut = size

    def swallow(self) -> None:
        """Give nobody who is connected now any answer; newcomers are served."""
        self._swallowed = set(self._ends)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake accept
        self._listener.close()
        for end in self._ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join(30)
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        workers = []
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                break
            far = socket.create_connection(("127.0.0.1", self._target))
            self._ends += [near, far]
            for run in (self._requests, self._replies):
                worker = threading.Thread(target=run, args=(near, far), daemon=True)
                worker.start()
                workers.append(worker)
        for worker in workers:
            worker.join(30)

    def _requests(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _replies(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while data := far.recv(65536):
                if far in self._swallowed:
                    continue
                if self._cut is not None:
                    data, self._cut, self.cuts = data[: self._cut], None, self.cuts + 1
                    near.sendall(data)
                    break
                near.sendall(data)
            near.shutdown(socket.SHUT_RDWR)
            far.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    line = Proxy(server.port)
    yield line
    line.close()
