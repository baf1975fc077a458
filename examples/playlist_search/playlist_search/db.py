"""The database: SQLite in the data folder, or PostgreSQL by URL."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session, sessionmaker

from playlist_search.models import Base

BUSY_SECONDS = 30
"""How long a SQLite connection waits for another that writes."""
CREATING = 7_206_511
"""PostgreSQL's advisory lock of whoever makes the tables."""


class Database:
    """An engine and its sessions.

    `reading()` and `writing()` are one transaction each. A writing one holds SQLite's only place for writers from its
    beginning: whoever first reads and then writes would otherwise be refused when somebody else has written meanwhile.
    """

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._writing = sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False)
        file = self.engine.url.database if self.is_sqlite else None
        self._turns: AbstractContextManager[None] = Turns(f"{file}-turns") if file else contextlib.nullcontext()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A session whose changes are thrown away."""
        with self._sessions() as session:
            yield session

    @contextlib.contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits at its end, unless an exception leaves it."""
        with self._turns, self._writing.begin() as session:
            yield session

    def create(self) -> None:
        """Make the tables that are missing; safe while other processes do the same."""
        with self.engine.execution_options(writes=True).begin() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CREATING})")
            Base.metadata.create_all(connection)

    def close(self) -> None:
        self.engine.dispose()
        if isinstance(self._turns, Turns):
            self._turns.close()


class Turns(AbstractContextManager[None]):
    """Whoever writes to a SQLite file waits here for its turn, threads and processes alike, and is woken when it comes.

    SQLite itself lets writers look again now and then, up to ten times a second. While a worker's threads write one
    after the other, somebody's click would have to be lucky to find the moment between two of them, for seconds.
    """

    def __init__(self, path: str) -> None:
        self._own = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        if not self._own.acquire(timeout=2 * BUSY_SECONDS):
            raise TimeoutError("The database is held by a writer that does not end.")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except BaseException:
            self._own.release()
            raise

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._own.release()

    def close(self) -> None:
        os.close(self._file)


def make_engine(url: str) -> Engine:
    """An engine with what SQLite needs to be read and written by several processes at once."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=10, max_overflow=50, pool_pre_ping=True)
    engine = create_engine(
        url, pool_size=10, max_overflow=-1, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours to say, below
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
