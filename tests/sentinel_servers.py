"""A master, a replica and sentinels for tests: private servers that fail over within a second or two."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import redis

from tests.redis_server import START_SECONDS, RedisServer

NAME = "tasks"
"""What the sentinels call the master."""


class SentinelServer(RedisServer):
    """The same program as a sentinel. It writes its own settings, so it has a file of them."""

    def __init__(self, binary: Path, settings: list[str]) -> None:
        super().__init__(binary)
        self._settings = settings

    def client(self) -> redis.Redis:
        password = next((line.split()[1] for line in self._settings if line.startswith("requirepass ")), None)
        tls = {"ssl": True, "ssl_ca_certs": str(self.certificate)} if self.certificate else {}
        return redis.Redis(host="127.0.0.1", port=self.port, password=password, **tls)  # type: ignore[arg-type]

    def _arguments(self) -> list[str]:
        path = self.folder / f"sentinel-{self.port}.conf"
        if not path.exists():
            lines = [*(f"{name} {value}" for name, value in self._ports().items()), "bind 127.0.0.1"]
            lines += [f"dir {self.folder}", *self._settings]
            path.write_text("\n".join(lines) + "\n")
        return [str(self.binary), str(path), "--sentinel"]


class Watched:
    """A master with one replica, watched by `sentinels` sentinels."""

    def __init__(
        self,
        binary: Path,
        stack: contextlib.ExitStack,
        sentinels: int = 1,
        options: Mapping[str, str] | None = None,
        password: str | None = None,
        sentinel_password: str | None = None,
        certificate: Path | None = None,
    ) -> None:
        given = {"appendonly": "yes", "repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0", **(options or {})}
        if password:
            given |= {"requirepass": password, "masterauth": password}
        self._password = password
        self.servers: list[RedisServer] = []
        for number in range(2):
            server = RedisServer(binary, given)
            stack.callback(server.remove)
            server.password, server.certificate = password, certificate
            server.start()
            if number:
                with server.client() as client:
                    client.replicaof("127.0.0.1", self.servers[0].port)
            self.servers.append(server)
        with self.servers[1].client() as client:
            _until(lambda: client.info("replication")["master_link_status"] == "up")
        settings = [
            f"sentinel monitor {NAME} 127.0.0.1 {self.servers[0].port} {sentinels // 2 + 1}",
            f"sentinel down-after-milliseconds {NAME} 400",
            f"sentinel failover-timeout {NAME} 2000",
        ]
        if password:
            settings.append(f"sentinel auth-pass {NAME} {password}")
        if sentinel_password:
            settings.append(f"requirepass {sentinel_password}")
        self.sentinels: list[RedisServer] = []
        for _ in range(sentinels):
            made = SentinelServer(binary, settings)
            made.certificate = certificate
            stack.callback(made.remove)
            self.sentinels.append(made.start())
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                _until(lambda client=client: self._is_ready(client))  # type: ignore[misc]

    @property
    def url(self) -> str:
        places = ",".join([f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels])
        return f"sentinel://{places}/0?master_name={NAME}"

    @property
    def celery_url(self) -> str:
        """The same as Celery has it; the master's name is a setting there."""
        return ";".join([f"sentinel://127.0.0.1:{sentinel.port}/0" for sentinel in self.sentinels])

    def master(self) -> RedisServer:
        """Whom the sentinels name."""
        with self.sentinels[-1].client() as client:
            port = int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])
        return next(server for server in self.servers if server.port == port)

    @contextlib.contextmanager
    def frozen(self, server: RedisServer) -> Iterator[None]:
        """What a virtual machine that is moved looks like: it does not answer, and then goes on as if nothing were."""
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def replicate(self) -> None:
        """Return once the replica has all that the master has."""
        with self.master().client() as client:
            assert client.wait(1, 10_000) == 1

    def fail_over(self) -> None:
        """Make the replica master, in order, and return once it is."""
        former = self.master()
        with self.sentinels[0].client() as client:
            _until(lambda: _accepted(lambda: client.execute_command("SENTINEL", "FAILOVER", NAME)))
        self.await_another(former)

    def await_another(self, former: RedisServer) -> None:
        """Return once the sentinels name another master than `former`, and are done with making it one."""
        _until(lambda: self.master() is not former)
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                _until(lambda client=client: self._has_left(client, former))  # type: ignore[misc]
        with self.master().client() as client:
            _until(lambda: _text(client.role()[0]) == "master")

    def _has_left(self, client: Any, former: RedisServer) -> bool:
        named = _fields(client.execute_command("SENTINEL", "MASTER", NAME))
        return int(named["port"]) != former.port and named["flags"] == "master"

    def _is_ready(self, client: Any) -> bool:
        (replica,) = client.execute_command("SENTINEL", "REPLICAS", NAME) or [None]
        if replica is None:
            return False
        named = _fields(replica)
        others = len(client.execute_command("SENTINEL", "SENTINELS", NAME))
        healthy = named["flags"] == "slave" and named.get("master-link-status") == "ok"
        return healthy and others == len(self.sentinels) - 1


def _fields(reply: Any) -> dict[str, str]:
    fields = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    return {_text(name): _text(value) for name, value in fields.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _accepted(act: Callable[[], Any]) -> bool:
    try:
        act()
    except redis.ResponseError:
        return False  # INPROG, or NOGOODSLAVE until it has looked again
    return True


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 3 * START_SECONDS  # sentinels that were starved wait 30 s
    while not condition():
        assert time.monotonic() < deadline, "the servers did not come to an understanding"
        time.sleep(0.01)
