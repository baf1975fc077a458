"""A PostgreSQL server for tests: found on this machine, started privately, gone without a trace afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from tests.redis_server import _die_with_parent, _free_port

MISSING = "no PostgreSQL: put initdb and postgres on the PATH, or install Debian's package postgresql"

START_SECONDS = 30.0
USER = "smallage"
# What a crash of the machine would lose is of no interest here; a start and a commit are then much quicker.
OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "timezone": "UTC",
}


def find_programs() -> Path | None:
    """The folder with initdb and postgres: of those on the PATH, else the newest where Debian puts them."""
    if found := shutil.which("initdb"):
        folder = Path(found).resolve().parent
        if os.access(folder / "postgres", os.X_OK):
            return folder
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


def find_account() -> pwd.struct_passwd | None:
    """Whom the server runs as when we are root, which it refuses to be; None when we are not. Raises LookupError when
    there is nobody."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise LookupError("no PostgreSQL: we are root, and there is no account that it could run as")


class PostgresServer:
    """One private server on loopback, in a folder of its own, without a password.

    Raises LookupError when the programs are missing, RuntimeError with the server's last words when it does not start.
    """

    def __init__(self) -> None:
        programs = find_programs()
        if programs is None:
            raise LookupError(MISSING)
        self._programs = programs
        self._account = find_account()
        self.folder = Path(tempfile.mkdtemp(prefix="smallage-postgres-"))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its own database; tests get databases by `new_database`."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> PostgresServer:
        try:
            self._initialise()
            self.port = _free_port()
            self._launch()
        except BaseException:
            self.remove()
            raise
        return self

    def new_database(self, name: str) -> str:
        """An empty database, in place of one of that name; returns its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def remove(self) -> None:
        """End the server at once and delete its folder; twice is fine."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)  # at once, but its children with it
            try:
                process.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self) -> None:
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        if self._account is not None:
            self.folder.chmod(0o755)
            os.chown(data, self._account.pw_uid, self._account.pw_gid)
        initdb = [str(self._programs / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8"]
        made = self._run([*initdb, "--locale=C", "--no-sync", "--no-instructions"], stdout=subprocess.PIPE)
        if made.wait() != 0:
            raise RuntimeError(f"initdb failed: {made.stdout.read().decode() if made.stdout else ''}")
        if made.stdout is not None:
            made.stdout.close()

    def _launch(self) -> None:
        data = self.folder / "data"
        command = [str(self._programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(self.port)]
        command += ["-k", ""]  # no unix socket: its path could be too long
        for name, value in OPTIONS.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("wb") as log:
            self._process = self._run(command, stdout=log)
        self._await_ready()

    def _run(self, command: list[str], stdout: int | IO[bytes]) -> subprocess.Popen[bytes]:
        account = self._account
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest alone
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            preexec_fn=_die_with_parent(),
        )

    def _await_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with psycopg.connect(self.url, connect_timeout=5):
                    return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    words = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL did not start: {words}") from None
                time.sleep(0.02)


@contextlib.contextmanager
def private_server() -> Iterator[PostgresServer]:
    """A started private server that is removed at the end."""
    server = PostgresServer().start()
    try:
        yield server
    finally:
        server.remove()


if __name__ == "__main__":  # a server to look around in, until Enter is pressed
    with private_server() as shown:
        print(shown.url, flush=True)
        sys.stdin.readline()
