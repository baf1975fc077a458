"""The web part in a test's process: an application on an empty database and a queue in memory, and its visitors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from flask import Flask
from flask.testing import FlaskClient

from playlist_search import create_app, services
from playlist_search.models import Playlist, User, now
from playlist_search.settings import Settings
from playlist_search.shelf import save_places, save_videos
from playlist_search.standin import google
from playlist_search.standin.google import Provider
from playlist_search.tasks import native
from playlist_search.youtube import VideoItem

CALLBACK = "http://localhost/login/callback"
CLIENT = {"client_id": "playlist-search", "client_secret": "the client's secret", "redirect_uri": CALLBACK}
"""What the app and the stand-in for Google know of one another."""


def provider_for_tests() -> AbstractContextManager[Provider]:
    """A stand-in for Google that knows the app."""
    return google.serving(
        client_id=CLIENT["client_id"], client_secret=CLIENT["client_secret"], redirect_uri=CLIENT["redirect_uri"]
    )


@contextmanager
def site(folder: Path, provider: Provider | None = None, **settings: Any) -> Iterator[Flask]:
    """An application of its own; with a provider, one that can be logged in to through it."""
    if provider is not None:
        settings = {
            "google_issuer": provider.issuer,
            "google_client_id": provider.client_id,
            "google_client_secret": provider.client_secret,
            **settings,
        }
    made = Settings(**{"data_dir": folder, "queue_url": "memory://", "video_rate": "", **settings})
    app = create_app(made)
    app.testing = True
    try:
        yield app
    finally:
        native.app.close()
        services.use(None)


def add_user(name: str = "Ada", **playlists: list[VideoItem]) -> int:
    """A user with playlists of these videos; returns the user's number."""
    with services.current().db.writing() as session:
        user = User(subject=name, name=name, email=f"{name.lower()}@example.com", playlists_at=now())
        session.add(user)
        session.flush()
        for place, (playlist_id, videos) in enumerate(playlists.items()):
            session.add(
                Playlist(
                    user_id=user.id,
                    youtube_id=playlist_id,
                    title=f"The playlist {playlist_id}",
                    videos=len(videos),
                    place=place,
                )
            )
            session.flush()
            save_videos(session, videos)
            save_places(session, user.id, playlist_id, [video.id for video in videos])
        return user.id


def visitor(app: Flask, user_id: int) -> FlaskClient:
    """A browser in which this user has logged in."""
    client = app.test_client()
    with client.session_transaction() as session:
        session["user"] = user_id
    return client


def token_on(page: str) -> str:
    """The CSRF token in a page's first form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None, page
    return found.group(1)


def post(client: FlaskClient, url: str, **data: str) -> Any:
    """What a page's script sends: a form with its token, for JSON."""
    token = token_on(client.get("/playlists").text)
    return client.post(url, data={"csrf_token": token, **data}, headers={"Accept": "application/json"})


def ask_google(client: FlaskClient, start: str = "/login") -> dict[str, str]:
    """Begin a login: the parameters with which the browser is sent to Google."""
    answer = client.get(start)
    assert answer.status_code == 302, answer.text
    assert httpx.get(answer.location).status_code == 200
    return dict(parse_qsl(urlsplit(answer.location).query, keep_blank_values=True))


def choose_account(provider: Provider, asked: dict[str, str], account: str) -> str:
    """Click an account on the provider's page: where the browser is sent back to, without the host."""
    answer = httpx.post(f"{provider.issuer}/authorize", data={**asked, "account": account})
    assert answer.status_code == 303, answer.text
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"
