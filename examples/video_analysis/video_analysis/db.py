"""The application's database: one engine a process, transactions that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from typing import IO, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session

from video_analysis.settings import Settings

BUSY_SECONDS = 30
"""How long a writer waits for the one before it on SQLite."""

_lock = threading.Lock()
_engine: Engine | None = None


def connect_to(url: str) -> Engine:
    """Use the database at `url` in this process from now on. Opens no connection yet."""
    global _engine
    with _lock:
        if _engine is not None and _engine.url.render_as_string(hide_password=False) == url:
            return _engine
        before, _engine = _engine, make_engine(url)
    if before is not None:
        before.dispose()
    return _engine


def disconnect() -> None:
    """Close all connections and forget which database it was."""
    global _engine
    with _lock:
        before, _engine = _engine, None
    _turns.close()
    if before is not None:
        before.dispose()


def engine() -> Engine:
    """This process's engine; the environment says which database if nobody else did."""
    return _engine or connect_to(Settings.read().database_url)


@contextlib.contextmanager
def reading() -> Iterator[Session]:
    """A session that sees one state of the database. What is loaded in it can be read after it."""
    with Session(engine(), expire_on_commit=False) as session, session.begin():
        yield session


@contextlib.contextmanager
def writing() -> Iterator[Session]:
    """A transaction that changes something: committed at the end of the block, rolled back by an exception.

    On SQLite it has the write lock from its beginning (`BEGIN IMMEDIATE`), so what it reads stays true until it writes.
    On PostgreSQL lock the rows that a decision rests on, by `with_for_update`.
    """
    bound = engine().execution_options(writes=True)
    with _turns.next(bound), Session(bound, expire_on_commit=False) as session, session.begin():
        yield session


class _Turns:
    """Writers of a SQLite file take turns at a lock file beside it.

    SQLite's own way is to sleep and try again, longer each time. With many writers that is unfair: those who came first
    can wait for seconds while newcomers get through.
    """

    def __init__(self) -> None:
        self._mine = threading.Lock()
        self._file: IO[bytes] | None = None

    @contextlib.contextmanager
    def next(self, engine: Engine) -> Iterator[None]:
        """Wait for one's turn; others come after the block. Other databases need none of this."""
        database = engine.url.database if engine.dialect.name == "sqlite" else None
        if database is None:
            yield
            return
        with self._mine:
            file = self._of(f"{database}-writers")
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

    def _of(self, path: str) -> IO[bytes]:
        if self._file is None or self._file.name != path:
            self.close()
            self._file = open(path, "ab")  # noqa: SIM115 - it stays open
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


_turns = _Turns()


def make_engine(url: str) -> Engine:
    """An engine for `url`, with SQLite set up for several processes."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=15)
    made = create_engine(url, pool_size=5, max_overflow=15, connect_args={"timeout": BUSY_SECONDS})
    event.listen(made, "connect", _set_up_sqlite)
    event.listen(made, "begin", _begin)
    return made


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin` does
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _forget_after_fork() -> None:
    """Connections belong to the process that opened them; a forked child opens its own."""
    global _lock, _turns
    _lock = threading.Lock()
    _turns.close()  # parent and child would hold the lock together, as if they were one
    _turns = _Turns()
    if _engine is not None:
        _engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_after_fork)
