"""Full text search by PostgreSQL: a GIN index over the words of each passage, in the same database as the tables."""

from __future__ import annotations

from sqlalchemy import delete, text

from playlist_search import models
from playlist_search.db import CREATING, Database
from playlist_search.documents import Document, Hit
from playlist_search.search import ranked
from playlist_search.words import Query, folded_words, parse

SCHEMA = (
    "ALTER TABLE passages ADD COLUMN IF NOT EXISTS words tsvector",
    "CREATE INDEX IF NOT EXISTS passages_words ON passages USING gin (words)",
)

# Words are cut and folded here and not by PostgreSQL, whose accents depend on an extension: what is marked in a snippet
# is then what was found. The title weighs more (A) than the text (D).
WORDS = text("""
    UPDATE passages SET words =
        setweight(to_tsvector('simple', :title), 'A') || setweight(to_tsvector('simple', :text), 'D')
    WHERE id = :id
""")

# Two tasks that put the same video at the same time would else not see, and not replace, each other's passages.
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:video, 0))")

# Normalization 1 divides by the logarithm of the length, so that a long passage does not win by being long.
FIND = text("""
    WITH best AS (
        SELECT DISTINCT ON (passages.video_id) passages.id, ts_rank(passages.words, query, 1) AS score
        FROM passages, to_tsquery('simple', :query) AS query
        WHERE passages.words @@ query AND passages.video_id IN (
            SELECT video_id FROM playlist_videos JOIN playlists ON playlists.id = playlist_videos.playlist_id
            WHERE playlists.user_id = :user
        )
        ORDER BY passages.video_id, score DESC, passages.id
    )
    SELECT passages.video_id, passages.title, passages.text, passages.lines
    FROM best JOIN passages ON passages.id = best.id ORDER BY best.score DESC, best.id LIMIT :limit
""")


class Postgres:
    """See `Search`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        with db.writing() as session:
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATING})
            if session.scalar(text("SELECT to_regclass('passages_words')")) is None:  # else tasks would wait for locks
                for statement in SCHEMA:
                    session.execute(text(statement))

    def put(self, document: Document) -> None:
        with self._db.writing() as session:
            session.execute(ONE_AT_A_TIME, {"video": document.video_id})
            rows = ranked.replace(session, document)
            title = folded_words(document.title)
            words = [{"id": name, "title": title, "text": folded_words(passage.text)} for name, passage in rows]
            session.execute(WORDS, words)

    def forget(self, video_id: str) -> None:
        with self._db.writing() as session:
            session.execute(delete(models.Passage).where(models.Passage.video_id == video_id))

    def find(self, user_id: int, text: str, limit: int = 20) -> list[Hit]:
        query = parse(text)
        if not query:
            return []
        values = {"query": tsquery(query), "user": user_id, "limit": limit}
        with self._db.reading() as session:
            return ranked.hits(session.execute(FIND, values), query)

    def close(self) -> None:
        """The database is closed by who opened it."""


def tsquery(query: Query) -> str:
    """The query in PostgreSQL's words; terms are letters and digits only, so no word of it is an operator."""
    return " & ".join(f"'{term.word}'" + (":*" if term.prefix else "") for term in query.terms)
