"""The program's inner part in a test: settings, a user with playlists, a stand-in for YouTube, tasks in threads."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playlist_search import services, shelf, tokens
from playlist_search.models import User
from playlist_search.services import Services
from playlist_search.settings import Settings
from playlist_search.standin.youtube import YouTube
from playlist_search.tasks import native
from smallage.testing import start_worker

PATIENCE = 30.0


def make_settings(folder: Path, youtube: YouTube | None = None, **more: Any) -> Settings:
    """Settings for a test: everything in its folder, YouTube at the stand-in."""
    given: dict[str, Any] = {
        "data_dir": folder,
        "queue_url": "memory://",
        "secret_key": "of the tests",
        "video_rate": "",
    }
    if youtube is not None:
        given |= {"youtube_api_url": youtube.api_url, "youtube_watch_url": youtube.url}
    return Settings(**{**given, **more})


@contextlib.contextmanager
def program(settings: Settings) -> Iterator[Services]:
    """The program with these settings, in this process."""
    made = Services(settings)
    services.use(made)
    native.configure()
    try:
        yield made
    finally:
        native.app.close()
        services.use(None)


def new_user(name: str = "ada", playlists: bool = True) -> int:
    """A user who has granted access, and whose playlists have been fetched."""
    with services.current().db.writing() as session:
        user = User(subject=name, name=name.title())
        session.add(user)
        session.flush()
        user_id = user.id
    tokens.save(user_id, {"access_token": f"token-for-{name}", "expires_at": time.time() + 3600})
    if playlists:
        shelf.playlists(user_id)
    return user_id


@contextlib.contextmanager
def worker(threads: int = 8) -> Iterator[None]:
    """A worker for the program's tasks, in threads of this process."""
    with start_worker(native.app, concurrency=threads):
        yield
