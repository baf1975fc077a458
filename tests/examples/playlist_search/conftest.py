"""Fixtures for the tests of the program's inner part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from playlist_search.services import Services
from playlist_search.standin import youtube as standin
from playlist_search.tasks import native
from smallage.core.settings import Settings
from tests.examples.playlist_search.backend import make_settings, new_user, program


@pytest.fixture(autouse=True)
def queue_as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the tasks' app are those of the test, given by a Flask application or without one."""
    monkeypatch.setattr(native.app, "conf", Settings(native.app._configure, os.environ))
    monkeypatch.setattr(native.app, "_config_source", (None, False))
    monkeypatch.setattr(native.app, "surroundings", None)


@pytest.fixture
def youtube() -> Iterator[standin.YouTube]:
    """A stand-in for YouTube."""
    with standin.serving() as served:
        yield served


@pytest.fixture
def parts(tmp_path: Path, youtube: standin.YouTube) -> Iterator[Services]:
    """The program on SQLite, with its tasks in memory."""
    with program(make_settings(tmp_path, youtube)) as made:
        yield made


@pytest.fixture
def user(parts: Services) -> int:
    """A user with access to YouTube, whose playlists are known."""
    return new_user()
