"""The database: SQLite in the data folder, or PostgreSQL by URL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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
        with self._writing.begin() as session:
            yield session

    def create(self) -> None:
        """Make the tables that are missing; safe while other processes do the same."""
        with self.engine.execution_options(writes=True).begin() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CREATING})")
            Base.metadata.create_all(connection)

    def close(self) -> None:
        self.engine.dispose()


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
