"""The live bar's stream, read as a browser reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from playlist_search import live, runs, services
from playlist_search.models import IndexRun
from playlist_search.runs import Progress
from playlist_search.youtube import VideoItem
from tests.examples.playlist_search.site import add_user, site, visitor

VIDEOS = [VideoItem(f"video{n}", f"Talk {n}", "", "") for n in range(3)]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with site(tmp_path) as app:
        yield app


def shot(state: str = "indexing", total: int = 4, done: int = 1, failed: int = 0) -> Progress:
    return Progress(state, total, done, failed, 0, 1, None)


def events(text: str) -> list[tuple[str, str, dict]]:
    """(id, event, data) of each event; comments and the rest are left out."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def test_a_snapshot_first_then_changes_then_the_end(app, monkeypatch):
    ada = add_user(PLada=VIDEOS)
    run = runs.start(ada, "PLada")
    shots = [shot(), shot(), shot(done=2), shot("done", done=4)]
    monkeypatch.setattr(runs, "changes", lambda _: (one for one in shots))
    answer = visitor(app, ada).get("/playlists/PLada/events")
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.text.startswith("retry: 1500\n\nid: ")
    assert "\n\n: still here\n\n" in answer.text, "what has not changed is a comment"
    told = events(answer.text)
    assert [(event, data["done"]) for _, event, data in told] == [("progress", 1), ("progress", 2), ("end", 4)]
    assert len({identity for identity, _, _ in told}) == 3
    assert all(identity.startswith(run.id) for identity, _, _ in told)


def test_it_beats_while_nothing_happens_and_holds_no_connection(app):
    """There is no worker: the run waits."""
    ada = add_user(PLada=VIDEOS)
    runs.start(ada, "PLada")
    with visitor(app, ada).get("/playlists/PLada/events", buffered=False) as answer:
        blocks = (chunk.decode() for chunk in answer.response)
        assert next(blocks) == "retry: 1500\n\n"
        ((_, event, data),) = events(next(blocks))
        assert (event, data["state"], data["determinate"]) == ("progress", "waiting", False)
        assert next(blocks) == ": still here\n\n"
        assert services.current().db.engine.pool.checkedout() == 0


def test_who_has_heard_the_end_is_told_to_stay_away(app):
    ada = add_user(PLada=VIDEOS)
    run = runs.start(ada, "PLada")
    with services.current().db.writing() as session:
        found = session.get_one(IndexRun, run.id)
        found.finished, found.active = found.started, None
    client = visitor(app, ada)
    first = client.get("/playlists/PLada/events")
    ((identity, event, _),) = events(first.text)
    assert event == "end"
    assert client.get("/playlists/PLada/events", headers={"Last-Event-ID": identity}).status_code == 204
    again = client.get("/playlists/PLada/events", headers={"Last-Event-ID": "of something else"})
    assert [event for _, event, _ in events(again.text)] == ["end"]


def test_a_stream_ends_before_a_deployment_would_have_to_wait_for_it(app, monkeypatch):
    ada = add_user(PLada=VIDEOS)
    runs.start(ada, "PLada")
    monkeypatch.setattr(live, "STREAM_SECONDS", 0)
    told = events(visitor(app, ada).get("/playlists/PLada/events").text)
    assert [event for _, event, _ in told] == ["progress"]


def test_streams_are_limited_and_their_places_come_back(app):
    ada, bob = add_user("Ada", PLada=VIDEOS), add_user("Bob", PLbob=[])
    runs.start(ada, "PLada")
    runs.start(bob, "PLbob")
    client = visitor(app, ada)
    opened = [client.get("/playlists/PLada/events", buffered=False) for _ in range(live.STREAMS_PER_USER)]
    refused = client.get("/playlists/PLada/events", headers={"Accept": "text/event-stream"})
    assert refused.status_code == 429
    assert client.get("/playlists/PLada/progress").status_code == 200, "the page asks instead"
    visitor(app, bob).get("/playlists/PLbob/events", buffered=False).close()
    opened.pop().close()
    client.get("/playlists/PLada/events", buffered=False).close()
    for one in opened:
        one.close()
    assert app.extensions["playlist_search.streams"]._open == {}


def test_all_users_together_leave_threads_for_pages():
    streams = live.Streams(limit=3, per_user=2)
    assert [streams.enter(user) for user in (1, 1, 1, 2, 3)] == [True, True, False, True, False]
    streams.leave(1)
    assert streams.enter(3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Progress("waiting", 0, 0, 0, 0, 0, None), "Waiting for a worker …"),
        (Progress("listing", 50, 0, 0, 0, 0, None), "Listing the playlist: 50 videos so far …"),
        (Progress("indexing", 1200, 400, 3, 0, 50, 42), "403 of 1,200 videos, about 42 s left"),
        (Progress("indexing", 1200, 400, 0, 0, 50, 400), "400 of 1,200 videos, about 7 min left"),
        (Progress("done", 1, 1, 0, 1, 0, None), "Done: 1 of 1 video can be searched."),
        (Progress("done", 9, 7, 2, 1, 0, None), "Done: 7 of 9 videos can be searched, 2 failed."),
        (Progress("failed", 0, 0, 0, 0, 0, None, "no access"), "The playlist could not be listed: no access"),
    ],
)
def test_the_line_for_people(given, said):
    assert live.as_json(given)["summary"] == said


@pytest.mark.parametrize(
    ("given", "percent"),
    [
        (shot(total=0, done=0), 0),
        (shot(), 25),
        (shot(failed=1), 50),
        (shot("done", 0, 0), 100),
        (shot("done", 4, 4), 100),
    ],
)
def test_percent(given, percent):
    assert live.as_json(given)["percent"] == percent
