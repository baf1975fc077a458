"""The search index of the demonstration: SQLite's FTS5 in a file of its own, written by many threads and processes.

It uses the standard library's `sqlite3` with a rollback journal, since its SQLite may be one of those that can lose
commits in WAL mode. Writing is idempotent: a video's row is replaced, so a task that runs twice leaves one row.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
CREATE VIRTUAL TABLE IF NOT EXISTS transcripts USING fts5(video UNINDEXED, title, body, tokenize = 'porter unicode61');
"""
COUNT = "SELECT count(*) FROM transcripts WHERE transcripts MATCH ?"
BEST = """
SELECT video, title, snippet(transcripts, 2, '[', ']', '…', 9) FROM transcripts WHERE transcripts MATCH ?
ORDER BY rank LIMIT ?
"""
WAIT_S = 30.0
"""How long a writer waits for another process's write."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One search hit, with the words that were searched for in [brackets]."""

    video: str
    title: str
    snippet: str


class Index:
    """One file; safe to use from many threads, and in a child process that inherited it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    def create(self) -> None:
        """Make the table. Raises RuntimeError where SQLite was built without FTS5."""
        with self._lock:
            try:
                self._connect().execute(SCHEMA)
            except sqlite3.OperationalError as error:
                raise RuntimeError(f"This Python's SQLite cannot search full texts ({error}).") from None

    def put(self, number: int, video: str, title: str, body: str) -> None:
        """Write, or write again, the video at place `number` of the playlist."""
        with self._lock:
            self._connect().execute(
                "INSERT OR REPLACE INTO transcripts(rowid, video, title, body) VALUES (?, ?, ?, ?)",
                (number + 1, video, title, body),
            )

    def count(self) -> int:
        """Videos in the index."""
        with self._lock:
            rows = self._connect().execute("SELECT count(*) FROM transcripts").fetchone()
        return int(rows[0])

    def search(self, words: str, limit: int = 2) -> tuple[int, list[Hit]]:
        """How many videos contain all the `words`, and the best `limit` of them."""
        query = " ".join(f'"{word}"' for word in _words(words))
        with self._lock:
            connection = self._connect()
            total = connection.execute(COUNT, (query,)).fetchone()
            rows = connection.execute(BEST, (query, limit)).fetchall()
        return int(total[0]), [Hit(video, title, _one_line(snippet)) for video, title, snippet in rows]

    def unsearchable(self, videos: Iterable[str]) -> list[str]:
        """Those of `videos` that are not in the index exactly once, or that their own first words do not find."""
        with self._lock:
            connection = self._connect()
            rows: dict[str, list[tuple[int, str]]] = {}
            for rowid, video, body in connection.execute("SELECT rowid, video, body FROM transcripts"):
                rows.setdefault(video, []).append((rowid, body))
            return [video for video in videos if not self._finds(connection, rows.get(video, []))]

    def _finds(self, connection: sqlite3.Connection, rows: list[tuple[int, str]]) -> bool:
        if len(rows) != 1:
            return False
        rowid, body = rows[0]
        phrase = " ".join(_words(body)[:8])
        query = "SELECT 1 FROM transcripts WHERE transcripts MATCH ? AND rowid = ?"
        return connection.execute(query, (f'"{phrase}"', rowid)).fetchone() is not None

    def close(self) -> None:
        """Let go of the file; twice is fine."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        """This process's connection. One for all threads: a write takes a fraction of a millisecond, and waiting for a
        lock of Python is cheaper than SQLite's own waiting."""
        if self._connection is None or self._pid != os.getpid():
            # A connection inherited over a fork is dropped, not closed: closing would let go of the parent's locks.
            self._connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = TRUNCATE")
            # Survives the death of any process, though not of the machine; the demonstration ends before that.
            self._connection.execute("PRAGMA synchronous = OFF")
            self._pid = os.getpid()
        return self._connection


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def _one_line(text: str) -> str:
    """The text without line ends and without the marks that underline headings."""
    return " ".join(re.sub(r"[*=~-]{4,}", " ", text).split())
