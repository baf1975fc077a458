"""Search by Elasticsearch, through its official client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from elasticsearch import ApiError, Elasticsearch, NotFoundError, TransportError
from elasticsearch.helpers import BulkIndexError, bulk
from sqlalchemy import select

from playlist_search.db import Database
from playlist_search.documents import Document, Hit, Passage, hit
from playlist_search.failures import Later
from playlist_search.models import Playlist, PlaylistVideo
from playlist_search.settings import Settings
from playlist_search.words import Query, Term, folded_words, parse

INDEX = "passages"
MOST_VIDEOS = 65_536
"""Terms that Elasticsearch takes in one filter (index.max_terms_count)."""

# Words are cut and folded by words.py, the same for all engines; Elasticsearch only has to part them at spaces.
MAPPINGS: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "video_id": {"type": "keyword"},
        "title": {"type": "keyword", "index": False, "doc_values": False},
        "text": {"type": "keyword", "index": False, "doc_values": False},
        "lines": {"type": "object", "enabled": False},
        "title_words": {"type": "text", "analyzer": "whitespace"},
        "text_words": {"type": "text", "analyzer": "whitespace"},
    },
}


class Elastic:
    """See `Search`. A passage is a document of its own, whose id is made of the video's and its place in it.
    What is put can be found a second later, when Elasticsearch refreshes its index."""

    def __init__(self, settings: Settings, db: Database) -> None:
        self._db = db
        self._client = Elasticsearch(
            settings.elasticsearch_url, api_key=settings.elasticsearch_api_key or None, request_timeout=20
        )
        with answering():
            if not self._client.indices.exists(index=INDEX):
                # 400: another process has made it meanwhile
                self._client.options(ignore_status=400).indices.create(index=INDEX, mappings=MAPPINGS)

    def put(self, document: Document) -> None:
        actions = list(_actions(document))
        with answering():
            bulk(self._client, actions)
        # What an earlier, longer transcript had at later places.
        kept = [action["_id"] for action in actions]
        self._delete(document.video_id, [{"ids": {"values": kept}}])

    def forget(self, video_id: str) -> None:
        self._delete(video_id, [])

    def find(self, user_id: int, text: str, limit: int = 20) -> list[Hit]:
        query = parse(text)
        videos = self._videos(user_id) if query else []
        if not videos:
            return []
        with answering():
            found = self._client.search(
                index=INDEX,
                query={"bool": {"must": clauses(query), "filter": [{"terms": {"video_id": videos}}]}},
                collapse={"field": "video_id"},
                source_includes=["video_id", "title", "text", "lines"],
                size=limit,
            )
        return [_hit(one["_source"], query) for one in found["hits"]["hits"]]

    def close(self) -> None:
        self._client.close()

    def _delete(self, video_id: str, but: list[dict[str, Any]]) -> None:
        chosen = {"bool": {"filter": [{"term": {"video_id": video_id}}], "must_not": but}}
        try:
            with answering():
                self._client.delete_by_query(index=INDEX, query=chosen, conflicts="proceed", refresh=True)
        except NotFoundError:
            pass  # somebody has deleted the index: nothing is found any more

    def _videos(self, user_id: int) -> list[str]:
        chosen = (
            select(PlaylistVideo.video_id)
            .join(Playlist, Playlist.id == PlaylistVideo.playlist_id)
            .where(Playlist.user_id == user_id)
            .distinct()
            .limit(MOST_VIDEOS)
        )
        with self._db.reading() as session:
            return list(session.scalars(chosen))


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """In the block a server that is away, or too busy, raises Later: the task is tried again, the page says so."""
    try:
        yield
    except TransportError as error:
        raise Later("Elasticsearch cannot be reached") from error
    except ApiError as error:
        if not _passing(error.status_code):
            raise
        raise Later(f"Elasticsearch answered {error.status_code}") from error
    except BulkIndexError as error:
        statuses = [each["status"] for action in error.errors for each in action.values()]
        if not all(map(_passing, statuses)):
            raise
        raise Later(f"Elasticsearch answered {statuses[0]}") from error


def _passing(status: int) -> bool:
    return status == 429 or status >= 500


def clauses(query: Query) -> list[dict[str, Any]]:
    """One clause a term, all of which have to be met, by the title or by the text. A term is data here, not syntax."""
    return [
        {"dis_max": {"queries": [_clause("title_words", term, 3.0), _clause("text_words", term, 1.0)]}}
        for term in query.terms
    ]


def _clause(field: str, term: Term, boost: float) -> dict[str, Any]:
    if not term.prefix:
        return {"term": {field: {"value": term.word, "boost": boost}}}
    # Ranked by how rare the words are that begin so, as whole words are; a plain prefix query counts all alike.
    return {"match_phrase_prefix": {field: {"query": term.word, "boost": boost, "max_expansions": 200}}}


def _actions(document: Document) -> Iterator[dict[str, Any]]:
    title = folded_words(document.title)
    for place, passage in enumerate(document.passages()):
        yield {
            "_op_type": "index",
            "_index": INDEX,
            "_id": f"{document.video_id}:{place}",
            "video_id": document.video_id,
            "title": document.title,
            "text": passage.text,
            "lines": [{"place": at, "second": second} for at, second in passage.lines],
            "title_words": title,
            "text_words": folded_words(passage.text),
        }


def _hit(source: dict[str, Any], query: Query) -> Hit:
    lines = [(int(line["place"]), float(line["second"])) for line in source["lines"]]
    return hit(source["video_id"], source["title"], Passage(source["text"], lines), query)
