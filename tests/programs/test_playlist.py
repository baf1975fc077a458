"""The foreman of a playlist: a group started inside a task, fifty green threads, progress by the group's id."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.programs.api import Api
from tests.programs.conftest import PATIENCE, Make, Program

pytestmark = pytest.mark.slow

VIDEOS = [f"video-{n}" for n in range(120)]


def look(it: Program, what: str, group: str) -> Any:
    """What the program itself says, in a process of its own."""
    process = it.python("indexer.py", what, group)
    assert process.wait() == 0, process.talk
    return json.loads(process.talk.splitlines()[-1])


def test_a_playlist_is_indexed_fifty_at_a_time(program: Make, api: Api) -> None:
    pytest.importorskip("gevent")
    it = program("playlist")
    it.environment["VIDEO_API"] = api.url
    foreman = it.call("indexer", "indexer.process_playlist_task", json.dumps([VIDEOS, "de"]))
    worker = it.celery("-A", "indexer", "worker", "--pool=gevent", "--concurrency=50", "--loglevel=INFO")

    told = it.client().AsyncResult(foreman).get(timeout=PATIENCE)
    api.wait_for(50)
    assert told["videos"] == 120
    assert look(it, "progress", told["group"]) == {"done": 0, "of": 120, "failed": False}

    api.let_go()
    found = look(it, "transcripts", told["group"])
    assert [one["video"] for one in found] == VIDEOS
    assert {(one["language"], one["bytes"] > 0) for one in found} == {("de", True)}
    assert look(it, "progress", told["group"]) == {"done": 120, "of": 120, "failed": False}
    assert api.most_at_once == 50
    assert sorted(api.paths) == sorted(f"/{video}" for video in VIDEOS)
    assert worker.stop() == 0
