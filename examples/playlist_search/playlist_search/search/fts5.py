"""Full text search by SQLite's FTS5, ranked by BM25, in the same file as the tables."""

from __future__ import annotations

from sqlalchemy import delete, text

from playlist_search import models
from playlist_search.db import Database
from playlist_search.documents import Document, Hit
from playlist_search.search import ranked
from playlist_search.words import Query, parse

WEIGHTS = {"title_weight": 3.0, "text_weight": 1.0}

SCHEMA = (
    """CREATE VIRTUAL TABLE IF NOT EXISTS passages_fts USING fts5(
        title, text, content='passages', content_rowid='id', tokenize='unicode61 remove_diacritics 2', prefix='2 3'
    )""",
    """CREATE TRIGGER IF NOT EXISTS passages_put AFTER INSERT ON passages BEGIN
        INSERT INTO passages_fts(rowid, title, text) VALUES (new.id, new.title, new.text);
    END""",
    """CREATE TRIGGER IF NOT EXISTS passages_forget AFTER DELETE ON passages BEGIN
        INSERT INTO passages_fts(passages_fts, rowid, title, text) VALUES ('delete', old.id, old.title, old.text);
    END""",
)

# MATERIALIZED: bm25() can be asked only where the match is. Of a group SQLite shows the row that min() was found in.
FIND = text("""
    WITH found AS MATERIALIZED (
        SELECT rowid AS id, bm25(passages_fts, :title_weight, :text_weight) AS score
        FROM passages_fts WHERE passages_fts MATCH :match
    ), best AS (
        SELECT found.id AS id, min(found.score) AS score
        FROM found JOIN passages ON passages.id = found.id
        WHERE passages.video_id IN (
            SELECT video_id FROM playlist_videos JOIN playlists ON playlists.id = playlist_videos.playlist_id
            WHERE playlists.user_id = :user
        )
        GROUP BY passages.video_id ORDER BY score LIMIT :limit
    )
    SELECT passages.video_id, passages.title, passages.text, passages.lines
    FROM best JOIN passages ON passages.id = best.id ORDER BY best.score
""")


class Fts5:
    """See `Search`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        with db.writing() as session:
            for statement in SCHEMA:
                session.execute(text(statement))

    def put(self, document: Document) -> None:
        with self._db.writing() as session:
            ranked.replace(session, document)

    def forget(self, video_id: str) -> None:
        with self._db.writing() as session:
            session.execute(delete(models.Passage).where(models.Passage.video_id == video_id))

    def find(self, user_id: int, text: str, limit: int = 20) -> list[Hit]:
        query = parse(text)
        if not query:
            return []
        values = {"match": match(query), "user": user_id, "limit": limit, **WEIGHTS}
        with self._db.reading() as session:
            return ranked.hits(session.execute(FIND, values), query)

    def close(self) -> None:
        """The database is closed by who opened it."""


def match(query: Query) -> str:
    """The query in FTS5's words: strings in quotes, so that no word of it is an operator."""
    return " AND ".join(f'"{term.word}"' + ("*" if term.prefix else "") for term in query.terms)
