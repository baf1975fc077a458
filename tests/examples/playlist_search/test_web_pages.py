"""The pages over HTTP: who may see what, what forms need, and that nothing said in a video becomes part of a page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask

from playlist_search import create_app, indexing, runs, services, tokens
from playlist_search.db import Database
from playlist_search.documents import Document, Line
from playlist_search.models import Playlist, RunVideo, User
from playlist_search.pages import clock
from playlist_search.settings import Settings
from playlist_search.standin import youtube
from playlist_search.standin.talks import phrase
from playlist_search.tasks import native
from playlist_search.youtube import VideoItem
from smallage.testing import start_worker
from tests.examples.playlist_search.site import add_user, post, site, token_on, visitor

EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"
VIDEOS = [VideoItem(f"video{n}", f"Talk {n}", "", "") for n in range(3)]
OPEN_TO_ALL = {"/", "/health", "/login", "/login/callback", "/static/style.css"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with site(tmp_path, google_issuer="http://127.0.0.1:9", google_client_id="x") as app:
        yield app


def addresses(app: Flask, method: str) -> list[str]:
    """All addresses that take this method, for the playlist PLada."""
    names = {"playlist_id": "PLada", "video_id": "video0", "filename": "style.css"}
    with app.test_request_context():
        adapter = app.create_url_adapter(None) or app.url_map.bind("localhost")
        return [
            adapter.build(rule.endpoint, {name: names[name] for name in rule.arguments})
            for rule in app.url_map.iter_rules()
            if method in (rule.methods or ())
        ]


# -- who may see what ---------------------------------------------------------------------------------------------
def test_nothing_is_shown_to_whoever_has_not_logged_in(app):
    add_user(PLada=VIDEOS)
    client = app.test_client()
    seen = set()
    for address in addresses(app, "GET"):
        with client.get(address, headers={"Accept": "application/json"}) as answer:
            if answer.status_code != 401:
                seen.add(address)
                continue
            assert answer.json["error"] == "log_in_first"
            assert set(answer.json) == {"error", "message"}
        assert client.get(address, headers={"Accept": "text/html"}).status_code in (302, 401)
    assert seen == OPEN_TO_ALL


def test_what_belongs_to_somebody_else_is_not_there(app):
    ada, bob = add_user("Ada", PLada=VIDEOS), add_user("Bob")
    runs.start(ada, "PLada")
    client = visitor(app, bob)
    tried = 0
    for address in addresses(app, "GET"):
        if "PLada" in address:
            tried += 1
            answer = client.get(address, headers={"Accept": "application/json"})
            assert (answer.status_code, answer.json["error"]) == (404, "there_is_nothing_here"), address
    for address in addresses(app, "POST"):
        if "PLada" in address:
            tried += 1
            assert post(client, address).status_code == 404, address
    assert tried == 7
    assert "PLada" not in client.get("/playlists").text


def test_a_user_who_was_deleted_is_logged_out(app):
    assert visitor(app, 4711).get("/search", headers={"Accept": "application/json"}).status_code == 401


def test_every_post_needs_the_token_of_its_session(app):
    ada, bob = add_user("Ada", PLada=VIDEOS), add_user("Bob")
    client = visitor(app, ada)
    client.get("/playlists")
    others = token_on(visitor(app, bob).get("/playlists").text)
    for address in addresses(app, "POST"):
        for data in ({}, {"csrf_token": "guess"}, {"csrf_token": others}):
            answer = client.post(address, data=data, headers={"Accept": "application/json"})
            assert (answer.status_code, set(answer.json or {})) == (400, {"error", "message"}), address
    assert runs.current(ada, "PLada") is None


def test_headers_are_on_every_answer(app):
    client = visitor(app, add_user(PLada=VIDEOS))
    for address in [*addresses(app, "GET"), "/nowhere"]:
        with client.get(address) as answer:
            headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'"), address
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        if not address.startswith("/static/"):
            assert headers["Cache-Control"] == "no-store", address


def test_behind_https_cookies_are_secure(tmp_path):
    with site(tmp_path, public_url="https://search.example.org") as app:
        client = app.test_client()
        answer = client.get("/playlists", headers={"Accept": "text/html"}, base_url="https://search.example.org")
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        with client.session_transaction(base_url="https://search.example.org") as session:
            session["user"] = add_user()
        page = client.get("/playlists", base_url="https://search.example.org")
        (cookie,) = [one for one in page.headers.getlist("Set-Cookie") if one.startswith("__Host-playlist_search=")]
        for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert flag in cookie


def test_other_names_of_the_server_are_not_answered_to(tmp_path):
    with site(tmp_path, public_url="https://search.example.org") as app:
        client = app.test_client()
        for host, status in {"search.example.org": 200, "127.0.0.1:8000": 200, "evil.example": 400}.items():
            assert client.get("/", headers={"Host": host}).status_code == status, host


# -- what was said is text ----------------------------------------------------------------------------------------
class Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.pictures: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "script":
            self.scripts.append(given.get("src") or "inline")
        if tag == "img":
            self.pictures.append(given.get("src") or "")
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]

    def handle_data(self, data):
        self.text += data


def test_titles_and_transcripts_are_text_on_every_page(app):
    ada = add_user("Ada", PLada=[VideoItem("evil", EVIL, EVIL, "")])
    with services.current().db.writing() as session:
        session.query(Playlist).update({"title": EVIL})
        session.query(User).update({"name": EVIL})
    services.current().search.put(Document("evil", EVIL, EVIL, [Line(7.0, f"and then {EVIL} was said")]))
    run = runs.start(ada, "PLada")
    fail(run.id, "evil", EVIL)
    client = visitor(app, ada)
    shown = {
        "/playlists": 2,
        "/playlists/PLada": 5,
        "/search?q=said": 3,
    }
    for address, times in shown.items():
        found = Tags(client.get(address).text)
        assert found.text.count("<script>alert('x')</script>") >= times - 1, address
        assert all(script.startswith("/static/") for script in found.scripts), address
        assert (found.handlers, found.pictures) == ([], []), address
    for fragment in ("/search?q=script", "/playlists/PLada/failures"):
        found = Tags(client.get(fragment, headers={"X-Requested-With": "fetch"}).text)
        assert (found.scripts, found.handlers, found.pictures) == ([], [], []), fragment
        assert "alert" in found.text


def fail(run_id: str, video_id: str, reason: str) -> None:
    """As when a video could not be indexed."""
    with services.current().db.writing() as session:
        session.add(RunVideo(run_id=run_id, place=0, video_id=video_id))
    indexing.record(run_id, video_id, "failed", reason)


# -- playlists and runs -------------------------------------------------------------------------------------------
def test_the_playlists_page_has_what_youtube_has(tmp_path):
    with youtube.serving() as tube, site(tmp_path, youtube_api_url=tube.api_url) as app:
        client = visitor(app, user_with_token("ada"))
        page = client.get("/playlists").text
        for title in ("Talks to hear again", "One evening", "For later"):
            assert title in page
        assert "120 videos" in page
        assert "0 videos" in page
        token = token_on(page)
        asked = tube.asked["playlists"]
        client.get("/playlists")
        assert tube.asked["playlists"] == asked, "known ones are shown without asking again"
        assert client.post("/playlists", data={"csrf_token": token}).status_code == 303
        assert tube.asked["playlists"] == asked + 1


def test_a_picture_of_the_stand_in_may_be_shown(tmp_path):
    with site(tmp_path, youtube_watch_url="http://127.0.0.1:4711/x") as app:
        policy = app.test_client().get("/").headers["Content-Security-Policy"]
        assert "img-src 'self' https://i.ytimg.com https://*.googleusercontent.com http://127.0.0.1:4711;" in policy


def user_with_token(name: str) -> int:
    """Somebody whose token the stand-in knows, and whose playlists are not known yet."""
    with services.current().db.writing() as session:
        user = User(subject=name, name=name)
        session.add(user)
        session.flush()
        number = user.id
    tokens.save(number, {"access_token": f"token-for-{name}", "expires_at": time.time() + 3600})
    return number


def test_start_indexing_answers_202_and_a_second_click_joins(app):
    ada = add_user(PLada=VIDEOS)
    client = visitor(app, ada)
    first = post(client, "/playlists/PLada/runs")
    assert first.status_code == 202
    assert first.json["playlist"] == "PLada"
    assert first.json["progress"]["state"] == "waiting"
    assert first.json["progress"]["summary"] == "Waiting for a worker …"
    assert post(client, "/playlists/PLada/runs").json["run"] == first.json["run"]
    page = client.get("/playlists/PLada").text
    assert 'data-following="yes"' in page
    token = token_on(page)
    by_form = client.post("/playlists/PLada/runs", data={"csrf_token": token}, headers={"Accept": "text/html,*/*;q=.8"})
    assert (by_form.status_code, by_form.location) == (303, "/playlists/PLada")


def test_a_run_from_the_first_click_to_the_end(tmp_path):
    with youtube.serving() as tube:
        tube.faults = youtube.Faults(silent_every=5, broken=frozenset({103}))
        with site(tmp_path, youtube_api_url=tube.api_url, youtube_watch_url=tube.url) as app:
            client = visitor(app, user_with_token("ada"))
            client.get("/playlists")
            native.index_video.max_retries, kept = 0, native.index_video.max_retries
            try:
                with start_worker(native.app, concurrency=4):
                    post(client, "/playlists/PLevening/runs")
                    stream = client.get("/playlists/PLevening/events").text
            finally:
                native.index_video.max_retries = kept
            assert "event: end" in stream
            shown = client.get("/playlists/PLevening/progress").json
            assert (shown["total"], shown["done"], shown["failed"]) == (10, 9, 1)
            assert (shown["without_transcript"], shown["with_transcript"]) == (2, 7)
            assert shown["summary"] == "Done: 9 of 10 videos can be searched, 1 failed."
            page = client.get("/playlists/PLevening").text
            assert "Failed videos" in page
            assert "Index again" in page
            assert 'data-following="no"' in page
            second, words = phrase(105)
            found = client.get("/search", query_string={"q": words}).text
            assert f"&amp;t={second}s" in found
            assert "<mark>" in found

            tube.faults = youtube.Faults()
            with start_worker(native.app, concurrency=4):
                assert post(client, "/playlists/PLevening/retry").status_code == 202
                assert "event: end" in client.get("/playlists/PLevening/events").text
            assert client.get("/playlists/PLevening/progress").json["failed"] == 0
            assert post(client, "/playlists/PLevening/retry").status_code == 409


def test_retrying_what_has_not_failed_is_a_conflict(app):
    ada = add_user(PLada=VIDEOS)
    client = visitor(app, ada)
    assert post(client, "/playlists/PLada/retry").status_code == 404, "there is no run yet"
    runs.start(ada, "PLada")
    answer = post(client, "/playlists/PLada/retry")
    assert (answer.status_code, answer.json["error"]) == (409, "not_now")


def test_failed_videos_come_in_pages(app):
    many = [VideoItem(f"v{n:03}", f"Talk number {n:03}", "", "") for n in range(runs.PAGE + 5)]
    ada = add_user(PLada=many)
    run = runs.start(ada, "PLada")
    with services.current().db.writing() as session:
        for place, video in enumerate(many):
            session.add(RunVideo(run_id=run.id, place=place, video_id=video.id, outcome="failed", reason="no answer"))
    client = visitor(app, ada)
    first = client.get("/playlists/PLada").text
    assert "Talk number 049" in first
    assert "Talk number 050" not in first
    assert 'href="/playlists/PLada?page=2"' in first
    second = client.get("/playlists/PLada?page=2").text
    assert "Talk number 050" in second
    assert 'href="/playlists/PLada?page=1"' in second
    assert client.get("/playlists/PLada?page=-3").status_code == 200
    assert client.get("/playlists/PLada?page=many").status_code == 200


# -- when something does not answer -------------------------------------------------------------------------------
def test_access_that_was_taken_back_is_said(tmp_path):
    with youtube.serving() as tube:
        tube.account_of = lambda _: None
        with site(tmp_path, youtube_api_url=tube.api_url) as app:
            answer = visitor(app, user_with_token("ada")).get("/playlists", headers={"Accept": "text/html"})
    assert answer.status_code == 403
    assert "log in again" in answer.text


def test_youtube_out_of_reach_is_said(tmp_path):
    with site(tmp_path, youtube_api_url="http://127.0.0.1:9") as app:
        client = visitor(app, user_with_token("ada"))
        answer = client.get("/playlists", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json["error"]) == (503, "not_available_just_now")


def test_a_queue_out_of_reach_is_said(tmp_path):
    settings = Settings(data_dir=tmp_path, queue_url="redis://127.0.0.1:9/0", video_rate="")
    app = create_app(settings)
    app.config["CELERY"]["task_publish_retry"] = False
    native.app.conf.task_publish_retry = False
    try:
        client = visitor(app, add_user(PLada=VIDEOS))
        answer = post(client, "/playlists/PLada/runs")
        assert (answer.status_code, answer.json["error"]) == (503, "not_available_just_now")
    finally:
        del native.app.conf.task_publish_retry
        native.app.close()
        services.use(None)


def test_a_database_out_of_reach_is_said(app, monkeypatch):
    client = visitor(app, add_user(PLada=VIDEOS))
    database = services.current().db
    elsewhere = Database("postgresql+psycopg://127.0.0.1:9/none")
    monkeypatch.setattr(database, "reading", elsewhere.reading)
    answer = client.get("/playlists", headers={"Accept": "text/html"})
    elsewhere.close()
    assert answer.status_code == 503
    assert "Not available just now" in answer.text


def test_a_bug_tells_no_details(app, monkeypatch):
    def broken(*_):
        raise RuntimeError("the secret of the day")

    monkeypatch.setattr("playlist_search.shelf.playlists", broken)
    app.testing = False
    answer = visitor(app, add_user()).get("/playlists", headers={"Accept": "text/html"})
    assert answer.status_code == 500
    assert "Something broke" in answer.text
    assert "secret of the day" not in answer.text


# -- search -------------------------------------------------------------------------------------------------------
def test_search_shows_the_words_and_leads_to_the_second(app):
    ada = add_user(PLada=VIDEOS)
    said = [Line(0.0, "welcome everybody"), Line(65.4, "a swarm of bees in the chimney")]
    services.current().search.put(Document("video1", "Talk 1", "", said))
    client = visitor(app, ada)
    page = client.get("/search?q=bee+chimney").text
    assert 'href="https://www.youtube.com/watch?v=video1&amp;t=65s"' in page
    assert "<mark>bees</mark>" in page
    assert "<mark>chimney</mark>" in page
    assert "1:05" in page
    part = client.get("/search?q=bee", headers={"X-Requested-With": "fetch"}).text
    assert "<mark>bees</mark>" in part
    assert "<html" not in part
    nothing = client.get("/search?q=wasp").text
    assert "Nobody said “wasp”" in nothing


@pytest.mark.parametrize(
    "text", ['"', "a OR", "NEAR(", "'; DROP TABLE users; --", "*", "%", "\x00", "🦋" * 50, "x" * 5000]
)
def test_anything_may_be_typed(app, text):
    client = visitor(app, add_user(PLada=VIDEOS))
    assert client.get("/search", query_string={"q": text}).status_code == 200


def test_somebody_elses_videos_are_not_found(app):
    add_user("Ada", PLada=VIDEOS)
    services.current().search.put(Document("video1", "Talk 1", "", [Line(1.0, "bees")]))
    assert "<mark>" not in visitor(app, add_user("Bob")).get("/search?q=bees").text


@pytest.mark.parametrize(("second", "shown"), [(0, "0:00"), (65, "1:05"), (3665, "1:01:05"), (36_000, "10:00:00")])
def test_clock(second, shown):
    assert clock(second) == shown
