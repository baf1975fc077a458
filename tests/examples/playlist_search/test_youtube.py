"""The Data API, transcripts by the real library, and tokens, against the stand-ins."""

from __future__ import annotations

import datetime as dt
import functools
import time
from email.utils import format_datetime

import httpx
import pytest

from playlist_search import services, shelf, tokens
from playlist_search.failures import LONGEST_WAIT, Denied, Later, NoTranscript, RateLimited, retry_after
from playlist_search.models import User
from playlist_search.services import Services
from playlist_search.settings import Settings
from playlist_search.standin import google
from playlist_search.standin import youtube as standin
from playlist_search.standin.talks import phrase, talk, video_id
from playlist_search.standin.youtube import Faults
from playlist_search.transcripts import Transcripts, proxy_of
from playlist_search.youtube import YouTube
from tests.examples.playlist_search.backend import make_settings, program

TOKEN = "token-for-ada"


# -- the Data API -------------------------------------------------------------------------------------------------
def test_playlists_and_all_pages_of_a_long_one(parts: Services, youtube: standin.YouTube) -> None:
    found = list(parts.youtube.playlists(TOKEN))
    assert [(one.id, one.title, one.videos) for one in found[:2]] == [
        ("PLtalks", "Talks to hear again", 120),
        ("PLevening", "One evening", 10),
    ]
    assert found[0].thumbnail.startswith(youtube.url)
    pages = list(parts.youtube.video_pages(TOKEN, "PLtalks"))
    assert [len(page) for page in pages] == [50, 50, 20]
    assert [video.id for page in pages for video in page] == [video_id(n) for n in range(120)]
    assert (pages[2][0].title, pages[2][0].description) == (talk(100).title, talk(100).description)
    assert list(parts.youtube.video_pages(TOKEN, "PLempty")) == [[]]


def test_what_the_api_says_no_to(parts: Services) -> None:
    with pytest.raises(Denied, match="authError") as refused:
        list(parts.youtube.playlists("stolen"))
    assert refused.value.status == 401
    with pytest.raises(Denied, match="playlistNotFound"):
        list(parts.youtube.video_pages(TOKEN, "PLnobody"))


def test_an_api_that_is_not_there(parts: Services) -> None:
    gone = YouTube(Settings(youtube_api_url="http://127.0.0.1:1"))
    with pytest.raises(Later, match="cannot be reached"):
        list(gone.playlists(TOKEN))
    gone.close()


# -- transcripts --------------------------------------------------------------------------------------------------
def test_a_transcript_by_the_real_library(parts: Services, youtube: standin.YouTube) -> None:
    fetched = parts.transcripts.fetch(video_id(7))
    assert fetched.language == "en"
    second, said = phrase(7)
    assert [line.text for line in fetched.lines if line.second == second] == [said]
    assert [(line.second, line.text) for line in fetched.lines] == list(talk(7).lines)
    assert youtube.asked == {"watch": 1, "player": 1, "timedtext": 1}


def test_any_language_is_better_than_none(parts: Services, youtube: standin.YouTube, tmp_path) -> None:
    german = Transcripts(make_settings(tmp_path, youtube, transcript_languages=("de", "fr")))
    assert german.fetch(video_id(7)).language == "en"


def test_no_transcript_is_told_apart_from_failures(parts: Services, youtube: standin.YouTube) -> None:
    youtube.faults = Faults(silent_every=1)
    with pytest.raises(NoTranscript, match="TranscriptsDisabled"):
        parts.transcripts.fetch(video_id(3))
    with pytest.raises(NoTranscript, match="VideoUnavailable"):
        parts.transcripts.fetch("dQw4w9WgXcQ")


def test_a_429_says_for_how_long(parts: Services, youtube: standin.YouTube) -> None:
    youtube.faults = Faults(limited_every=1, retry_after=7)
    with pytest.raises(RateLimited) as limited:
        parts.transcripts.fetch(video_id(3))
    assert limited.value.retry_after == 7


def test_other_answers_are_worth_another_try(parts: Services, youtube: standin.YouTube) -> None:
    youtube.faults = Faults(broken=frozenset({3}))
    with pytest.raises(Later, match="YouTube answered 500"):
        parts.transcripts.fetch(video_id(3))
    with pytest.raises(Later, match="cannot be reached: ConnectionError"):
        Transcripts(Settings(youtube_watch_url="http://127.0.0.1:1")).fetch(video_id(3))


def test_proxies() -> None:
    assert proxy_of(Settings()) is None
    plain = proxy_of(Settings(transcript_proxy="http://me:pw@proxy:8080"))
    assert plain is not None
    assert plain.to_requests_dict()["https"] == "http://me:pw@proxy:8080"
    webshare = proxy_of(Settings(webshare_username="me", webshare_password="pw"))
    assert webshare is not None
    assert "me-rotate:pw@" in webshare.to_requests_dict()["https"]
    assert "pw" not in repr(Settings(webshare_password="pw", transcript_proxy="http://me:pw@proxy"))


def test_a_proxy_gets_the_requests(youtube: standin.YouTube) -> None:
    """The stand-in as a proxy: what reaches it is a request for a tunnel to YouTube, which it does not offer."""
    through = Transcripts(Settings(transcript_proxy=youtube.url))
    with pytest.raises(Later, match="ProxyError"):
        through.fetch(video_id(3))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), (None, 30), ("", 30), ("soon", 30), ("-5", 30), ("99999999", LONGEST_WAIT)],
)
def test_the_header_retry_after(header: str | None, seconds: float) -> None:
    assert retry_after(header, 30) == seconds


def test_the_header_retry_after_as_a_date() -> None:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    far = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)
    assert retry_after(format_datetime(past, usegmt=True), 30) == 0
    assert retry_after(format_datetime(far, usegmt=True), 30) == LONGEST_WAIT


# -- tokens -------------------------------------------------------------------------------------------------------
def kept(user_id: int) -> dict[str, object]:
    parts = services.current()
    with parts.db.reading() as session:
        sealed = session.get_one(User, user_id).token
    assert "token" not in sealed
    return parts.vault.open(sealed)


def test_an_expired_token_is_refreshed(tmp_path, youtube: standin.YouTube) -> None:
    with google.serving(client_id="app", client_secret="of app", redirect_uri="http://localhost/") as provider:
        grant = google.Grant(google.ACCOUNTS[0], {"scope": "openid"}, time.time() + 60)
        first = provider.tokens(grant, refresh=True, identity=True)

        def account_of(token: str) -> str | None:
            account = provider.account_of(token)
            return account.subject if account is not None else None

        youtube.account_of = account_of
        given = {"google_issuer": provider.issuer, "google_client_id": "app", "google_client_secret": "of app"}
        with program(make_settings(tmp_path, youtube, **given)) as parts:
            with parts.db.writing() as session:
                session.add(User(id=1, subject="s"))
            tokens.save(1, {**first, "expires_in": 1})
            assert "id_token" not in kept(1)
            assert len(shelf.playlists(1)) == 3  # with a fresh token, since that one has a second left
            fresh = kept(1)
            assert fresh["access_token"] != first["access_token"]
            assert fresh["refresh_token"] == first["refresh_token"]
            assert tokens.access_token(1) == fresh["access_token"]

            provider.access_tokens.clear()  # taken back before its time: YouTube says so, once
            assert len(shelf.playlists(1, fresh=True)) == 3
            assert kept(1)["access_token"] != fresh["access_token"]

            provider.access_tokens.clear()
            provider.refresh_tokens.clear()
            with pytest.raises(Denied, match="log in again"):
                shelf.playlists(1, fresh=True)
            assert youtube.asked["401"] == 2


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"expires_in": 5}', b'{"access_token": "a", "expires_in": "x"}'])
def test_an_answer_for_a_token_that_makes_no_sense(tmp_path, monkeypatch, body: bytes) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"token_endpoint": "https://google.test/token"})
        return httpx.Response(200, content=body)

    client = functools.partial(httpx.Client, transport=httpx.MockTransport(handle))
    monkeypatch.setattr(tokens.httpx, "Client", client)
    with pytest.raises(Later):
        tokens.refreshed(make_settings(tmp_path), "refresh")


def test_without_access_or_with_another_secret(tmp_path) -> None:
    with program(make_settings(tmp_path)) as parts:
        with parts.db.writing() as session:
            session.add(User(id=1, subject="s"))
        with pytest.raises(Denied, match="log in again"):
            tokens.access_token(1)
        tokens.save(1, {"access_token": "a", "expires_at": time.time() + 3600})
        assert tokens.access_token(1) == "a"
    with program(make_settings(tmp_path, secret_key="another")):
        with pytest.raises(Denied, match="cannot be read any more; log in again"):
            tokens.access_token(1)


# -- playlists ----------------------------------------------------------------------------------------------------
def test_playlists_are_fetched_when_they_are_old(user: int, youtube: standin.YouTube, monkeypatch) -> None:
    assert [one.id for one in shelf.playlists(user)] == ["PLtalks", "PLevening", "PLempty"]
    youtube.playlists_of = lambda _: [standin.PLAYLISTS[1], standin.Listed("PLnew", "New", range(3))]
    assert len(shelf.playlists(user)) == 3
    assert youtube.asked["playlists"] == 1
    then = shelf.now()
    monkeypatch.setattr(shelf, "now", lambda: then + dt.timedelta(seconds=301))
    assert [(one.id, one.videos) for one in shelf.playlists(user)] == [("PLevening", 10), ("PLnew", 3)]
    assert shelf.playlist(user, "PLtalks") is None
    assert youtube.asked["playlists"] == 2
