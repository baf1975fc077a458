"""What is found, by each of the search engines: SQLite's FTS5, PostgreSQL, and Elasticsearch's client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from playlist_search import shelf
from playlist_search.documents import Document, Hit, Line
from playlist_search.failures import Later
from playlist_search.models import Passage, Playlist, User
from playlist_search.search import Search
from playlist_search.search.elastic import Elastic
from playlist_search.services import Services
from playlist_search.youtube import VideoItem
from tests.examples.playlist_search import elasticsearch_standin
from tests.examples.playlist_search.backend import make_settings, program

TALK = [
    Line(0, "Good evening and welcome."),
    Line(4.2, "Tonight it is about the café on the corner"),
    Line(9, "and about write-ahead logging."),
    Line(13, "A log is a promise."),
]
LONG = [Line(5.0 * place, f"filler words of line {place} are of no use to anybody here") for place in range(60)]
ADA, GRACE = "ada", "grace"


@pytest.fixture(params=["fts5", "postgres", "elastic"])
def parts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Services]:
    if request.param == "fts5":
        more: dict[str, Any] = {}
    elif request.param == "postgres":
        more = {"database_url": request.getfixturevalue("postgres_url")}
    else:
        served = request.getfixturevalue("elasticsearch")
        more = {"elasticsearch_url": served.url, "elasticsearch_api_key": elasticsearch_standin.API_KEY}
    with program(make_settings(tmp_path, **more)) as made:
        assert type(made.search).__name__.lower() == request.param
        yield made


@pytest.fixture
def elasticsearch() -> Iterator[elasticsearch_standin.Elasticsearch]:
    with elasticsearch_standin.serving() as served:
        yield served


def test_an_elasticsearch_that_is_away_or_busy_is_asked_again_later(
    tmp_path: Path, elasticsearch: elasticsearch_standin.Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    more: dict[str, Any] = {"elasticsearch_api_key": elasticsearch_standin.API_KEY}
    with program(make_settings(tmp_path, elasticsearch_url="http://127.0.0.1:9", **more)) as parts:
        with pytest.raises(Later, match="cannot be reached"):
            _ = parts.search
    with program(make_settings(tmp_path, elasticsearch_url=elasticsearch.url, **more)) as parts:
        engine = parts.search
        monkeypatch.setattr(elasticsearch, "answer", lambda *_: (503, {"error": {"type": "busy"}, "status": 503}))
        with pytest.raises(Later, match="503"):
            engine.put(Document("v", "Title", "", TALK))
        full = [{"index": {"_id": "v:0", "status": 429, "error": {"type": "rejected", "reason": "full"}}}]
        monkeypatch.setattr(elasticsearch, "answer", lambda *_: (200, {"errors": True, "items": full}))
        with pytest.raises(Later, match="429"):
            engine.put(Document("v", "Title", ""))


@pytest.fixture
def engine(parts: Services) -> Search:
    return parts.search


def has(parts: Services, name: str, *video_ids: str) -> int:
    """A user with these videos in a playlist."""
    with parts.db.writing() as session:
        user = User(subject=name)
        session.add(user)
        session.flush()
        session.add(Playlist(user_id=user.id, youtube_id=f"PL{name}", title="All"))
        session.flush()
        shelf.save_videos(session, [VideoItem(one, one, "", "") for one in video_ids])
        shelf.save_places(session, user.id, f"PL{name}", video_ids)
        return user.id


def ids(hits: list[Hit]) -> list[str]:
    return [one.video_id for one in hits]


def text(hit: Hit) -> str:
    return "".join(f"[{part}]" if is_marked else part for part, is_marked in hit.snippet)


def test_a_hit_leads_to_the_second_and_marks_the_words(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "a")
    engine.put(Document("a", "An evening", "About coffee.", TALK))
    (hit,) = engine.find(ada, "logging ahead")
    assert (hit.video_id, hit.title, hit.second) == ("a", "An evening", 9)
    assert hit.url == "https://www.youtube.com/watch?v=a&t=9s"
    assert "about write-[ahead] [logging]. A log is a promise." in text(hit)


def test_typed_beginnings_cases_and_accents(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "a")
    engine.put(Document("a", "An evening", "", TALK))
    for typed in ("cafe", "CAFÉ", "caf", "ca", "café corner", "corner cafe", "evening caf"):
        assert ids(engine.find(ada, typed)) == ["a"], typed


def test_words_that_are_there_only_as_endings_or_not_at_all_are_not_found(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "a")
    engine.put(Document("a", "An evening", "", TALK))
    assert engine.find(ada, "ogging") == []
    assert engine.find(ada, "corner office") == []
    assert engine.find(ada, "co ") == []  # a short word that has been typed to its end


HOSTILE = """ " ' café" AND caf*_OR_* (café NEAR(café_corner) -café title:café café:* café_&_|_! <-> \\ % ^café {} 日本
café');_DROP_TABLE_passages;_-- \x00café"""


def test_whatever_is_typed_is_no_syntax(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "a")
    engine.put(Document("a", "An evening", "", TALK))
    for typed in ["", "   ", "café" * 400, *HOSTILE.split()]:
        engine.find(ada, typed.replace("_", " "))
    assert ids(engine.find(ada, "café")) == ["a"]


def test_a_user_finds_only_her_own(parts: Services, engine: Search) -> None:
    ada, grace = has(parts, ADA, "a", "both"), has(parts, GRACE, "g", "both")
    for name in ("a", "g", "both"):
        engine.put(Document(name, name, "", TALK))
    assert sorted(ids(engine.find(ada, "promise"))) == ["a", "both"]
    assert sorted(ids(engine.find(grace, "promise"))) == ["both", "g"]


def test_each_video_comes_once_and_the_better_one_first(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "title", "often", "once", "never")
    engine.put(Document("once", "Some evening", "", [*LONG, Line(300, "a hive in a whole hour")]))
    engine.put(
        Document(
            "often", "Another evening", "", [*LONG, *[Line(one.second + 300, f"{one.text} or hive") for one in LONG]]
        )
    )
    engine.put(Document("title", "The hive", "All about it", [Line(0, "open the hive")]))
    engine.put(Document("never", "No evening", "", LONG * 5))
    found = engine.find(ada, "hive")
    assert sorted(ids(found)) == ["often", "once", "title"]
    assert engine.find(ada, "hive", limit=1) == found[:1]
    if not isinstance(engine, Elastic):  # its stand-in ranks by counting
        assert found[0].video_id == "title"


def test_a_video_with_many_places_does_not_crowd_out_others(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "long", "short")
    engine.put(Document("long", "Long", "", [Line(5.0 * n, f"hive {'word ' * 60}") for n in range(500)]))
    engine.put(Document("short", "Short", "", [*LONG[:9], Line(60, "a hive")]))
    assert sorted(ids(engine.find(ada, "hive", limit=2))) == ["long", "short"]


def test_many_put_the_same_video_at_the_same_time(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "a")
    gate = threading.Barrier(6)

    def put() -> None:
        gate.wait()
        engine.put(Document("a", "Evening", "", LONG))

    threads = [threading.Thread(target=put) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids(engine.find(ada, "evening")) == ["a"]
    if not isinstance(engine, Elastic):
        with parts.db.reading() as session:
            texts = list(session.scalars(select(Passage.text)))
        assert len(texts) == len(set(texts)) == len(list(Document("a", "", "", LONG).passages()))


def test_the_hit_is_where_the_words_stand_together(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "a")
    lines = [Line(0, "bees"), *LONG, Line(400, "bees in a swarm"), *[Line(405 + one.second, one.text) for one in LONG]]
    engine.put(Document("a", "Talk", "", lines))
    (hit,) = engine.find(ada, "swarm bees")
    assert hit.second == 400
    assert "[bees] in a [swarm]" in text(hit)


def test_what_is_put_again_takes_the_place_of_what_was(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "a")
    engine.put(Document("a", "First", "", [*LONG, Line(300, "zebra")]))
    engine.put(Document("a", "Second", "", TALK))
    engine.put(Document("a", "Second", "", TALK))
    assert engine.find(ada, "zebra") == []
    assert engine.find(ada, "first") == []
    assert ids(engine.find(ada, "second")) == ["a"]


def test_a_video_without_a_transcript_is_found_by_title_and_description(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "a")
    engine.put(Document("a", "Silent film", "Nobody says anything."))
    assert ids(engine.find(ada, "silent")) == ["a"]
    (hit,) = engine.find(ada, "nobody")
    assert (hit.second, hit.url) == (0, "https://www.youtube.com/watch?v=a")


def test_what_is_forgotten_is_not_found(parts: Services, engine: Search) -> None:
    ada = has(parts, ADA, "a", "b")
    engine.put(Document("a", "A", "", TALK))
    engine.put(Document("b", "B", "", TALK))
    engine.forget("a")
    engine.forget("unknown")
    assert ids(engine.find(ada, "promise")) == ["b"]
