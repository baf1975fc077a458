"""Connections: how one is opened, and the pool that readers borrow from."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from smallage.core.errors import StoreError, StoreFull, StoreRefused, StoreUnavailable

OLDEST_SQLITE: Final = (3, 51, 3)
"""Older ones can lose commits in WAL mode when a commit restarts the log during another connection's checkpoint."""
APPLICATION_ID: Final = 0x536D6C67
BUSY_S: Final = 5.0
"""How long a writer waits for another process's transaction."""
WAL_PAGES: Final = 1_900
"""Pages of the log (8 MiB) at which a commit checkpoints by itself, for programs without a `tick`. A log that goes on
growing makes each commit slower by half, as the disk has to find room for it; one that begins anew is written over."""

PRAGMAS: Final = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "mmap_size=0",
    "temp_store=MEMORY",
    "cache_size=-16384",
    "wal_autocheckpoint=0",
)

_opening = threading.Lock()
"""Two threads must not make and open one file at once: see `place.make_file`."""


def library_version() -> str:
    """Version of the SQLite that apsw carries."""
    return apsw.sqlite_lib_version()


def check_version(version: str) -> None:
    """Raise StoreRefused for an SQLite whose write-ahead log is not safe."""
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_SQLITE:
        raise StoreRefused(
            f"SQLite {version} can lose commits in WAL mode; 3.51.3 or later is needed: "
            "pip install --upgrade 'apsw>=3.54.1.0'"
        )


def connect(path: Path) -> apsw.Connection:
    """A connection to an existing database file of ours."""
    check_version(library_version())
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
    with said_plainly(path):
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=256)
        connection.set_busy_handler(patience(BUSY_S))
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        # Else SQLite plans a statement anew for each value that it is run with, which costs more than running it.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        # Who closes last would delete the log; SQLite misjudges that across forks, and then commits are lost.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if connection.readonly("main"):
            raise read_only(path)
        _check_header(connection, path)
        if not _use_log(connection):
            raise StoreRefused(f"{path} cannot use a write-ahead log; put it on a local disk")
        for pragma in PRAGMAS:
            connection.execute(f"pragma {pragma}").fetchall()
    return connection


def _use_log(connection: apsw.Connection) -> bool:
    """Switch to the write-ahead log unless the file has one. Two who switch at once would wait for each other for ever,
    so SQLite asks no busy handler there; we let go in between."""
    wait, times = patience(BUSY_S), 0
    while True:
        try:
            return bool(connection.pragma("journal_mode") == "wal" or connection.pragma("journal_mode", "wal") == "wal")
        except apsw.BusyError:
            if not wait(times):
                raise
            times += 1


def _check_header(connection: apsw.Connection, path: Path) -> None:
    # In this order: another process may be making the tables, and the id comes in the same commit as they do.
    tables = connection.pragma("schema_version") != 0
    found = connection.pragma("application_id")
    if found != APPLICATION_ID and (found != 0 or tables):
        raise StoreRefused(f"{path} is a database of another program; name another file in the URL")


@contextmanager
def opening() -> Iterator[None]:
    with _opening:
        yield


def _sleep(seconds: float) -> None:
    """Sleep the thread itself: SQLite is on its stack, so no other greenlet may run meanwhile."""
    patched = sys.modules.get("gevent.monkey")
    (time.sleep if patched is None else patched.get_original("time", "sleep"))(seconds)


def patience(seconds: float, longest: float = 0.001) -> Callable[[int], bool]:
    """Waits for another process's transaction, up to `seconds`, in uneven steps of at most about `longest` seconds: who
    writes without pause leaves gaps of a tenth of a millisecond only, and SQLite's own steps soon grow to 100 ms."""
    began = 0.0

    def wait(times: int) -> bool:
        nonlocal began
        now = time.monotonic()
        if times == 0:
            began = now
        elif now - began > seconds:
            return False
        jitter = 0.5 + time.monotonic_ns() % 1000 / 1000
        _sleep(min(0.0001 * (times + 1), longest) * jitter)
        return True

    return wait


@contextmanager
def said_plainly(path: Path, growing: bool = False) -> Iterator[None]:
    """Turn apsw's and the system's errors into ours."""
    try:
        yield
    except apsw.Error as error:
        raise in_our_words(error, path, growing) from error
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise read_only(error.filename or path) from error
        raise StoreUnavailable(f"{error.filename or path}: {error.strerror}; check its disk and modes") from error


def read_only(path: Path | str) -> StoreRefused:
    """What is said of a place that cannot be written to when it is opened: that does not pass by itself."""
    return StoreRefused(
        f"{path} cannot be written: its folder, file or disk is read-only for this user. A store is written to, by "
        "programs that only send or read too: make it writable (chmod u+w, mount -o remount,rw), or name a file "
        "elsewhere in the URL, such as sqlite:////var/lib/shop/queue.db"
    )


def in_our_words(error: apsw.Error, path: Path, growing: bool = False) -> StoreError:
    """Our exception for one of apsw's. `growing`: the verb adds tasks, so that a full disk is `StoreFull`."""
    match error:
        case apsw.FullError():
            text = f"The disk of {path} is full: nothing was written. Free some space"
            return StoreFull(text) if growing else StoreUnavailable(text)
        case apsw.BusyError() | apsw.LockedError():
            return StoreUnavailable(
                f"Another process has kept {path} locked for {BUSY_S:.0f} s; look for a stopped one"
            )
        case apsw.NotADBError():
            return StoreRefused(
                f"{path} is no SQLite database ({error}), or it is damaged. Nothing was written: name another file "
                "in the URL, or stop all processes and restore a copy of the store"
            )
        case apsw.CorruptError():
            return StoreRefused(f"{path} is damaged ({error}): stop all processes and restore a copy of it")
        case apsw.CantOpenError():
            return StoreRefused(f"{path} cannot be opened: it must be a plain file of yours, reached without links")
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
            return StoreUnavailable(f"{path} cannot be written: check its modes and whether its disk is read-only")
        case apsw.IOError():
            return StoreUnavailable(f"The disk of {path} failed ({error}): nothing was written")
        case _:
            return StoreUnavailable(f"SQLite failed on {path}: {type(error).__name__}: {error}")


class Readers:
    """Connections that only read, lent to one thread at a time."""

    def __init__(self, make: Callable[[], apsw.Connection]) -> None:
        self._make = make
        self._idle: deque[apsw.Connection] = deque()
        self._pid = os.getpid()
        self._lent = 0
        self._count = threading.Condition()

    @contextmanager
    def lend(self) -> Iterator[apsw.Connection]:
        """A connection in a read transaction, so that several statements see one moment."""
        if self._pid != os.getpid():
            self.forget()
        with self._count:
            self._lent += 1
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._make()
            try:
                connection.execute("begin")
                yield connection
            except BaseException:
                _end_read(connection)
                raise
            _end_read(connection)
            self._idle.append(connection)
        finally:
            with self._count:
                self._lent -= 1
                self._count.notify_all()

    def close(self, patience: float = 0.0) -> bool:
        """Close the idle ones, waiting up to `patience` seconds for those that are lent; False if some still are."""
        with self._count:
            all_back = self._count.wait_for(lambda: not self._lent, patience)
        while self._idle:
            self._idle.pop().close()
        return all_back

    def forget(self) -> None:
        """After a fork: never touch the parent's connections again."""
        leak(*self._idle)
        self._idle = deque()
        self._count = threading.Condition()
        self._lent = 0
        self._pid = os.getpid()


def _end_read(connection: apsw.Connection) -> None:
    if connection.in_transaction:
        connection.execute("rollback")


def leak(*connections: object) -> None:
    """Keep objects of the parent process from ever being finalised here: closing a connection that was opened before
    a fork would undo the parent's locks and may delete its log."""
    import ctypes  # needed after a fork only, and loaded before it

    for connection in connections:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
