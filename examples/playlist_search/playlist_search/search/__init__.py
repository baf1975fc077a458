"""Search in what was said: one interface, three engines behind it, chosen by the settings' URLs."""

from __future__ import annotations

from typing import Protocol

from playlist_search.db import Database
from playlist_search.documents import Document, Hit
from playlist_search.settings import Settings

__all__ = ["Document", "Hit", "Search", "choose", "find"]


class Search(Protocol):
    """A search engine. Usable by several threads."""

    def put(self, document: Document) -> None:
        """Make a video findable; in place of what was known of it."""

    def forget(self, video_id: str) -> None:
        """Make a video unfindable; nothing happens if it is unknown."""

    def find(self, user_id: int, text: str, limit: int = 20) -> list[Hit]:
        """The best place of each of the best videos, of this user's playlists only. Any text may be typed; words are
        also beginnings of longer ones. Nothing typed finds nothing."""

    def close(self) -> None:
        """Let go of connections."""


def choose(settings: Settings, db: Database) -> Search:
    """Elasticsearch if it has a URL, else the full text search of the database that is used."""
    if settings.elasticsearch_url:
        from playlist_search.search.elastic import Elastic

        return Elastic(settings, db)
    if db.is_sqlite:
        from playlist_search.search.fts5 import Fts5

        return Fts5(db)
    from playlist_search.search.postgres import Postgres

    return Postgres(db)


def find(user_id: int, text: str, limit: int = 20) -> list[Hit]:
    """`Search.find` of this process's engine."""
    from playlist_search import services

    return services.current().search.find(user_id, text, limit)
