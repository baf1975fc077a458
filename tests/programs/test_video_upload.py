"""Uploads that are tried again after one, two and four minutes, on a clock of the test's."""

from __future__ import annotations

import pytest

from smallage.core.states import OPEN
from tests.programs.api import Api
from tests.programs.conftest import START_US, Make

pytestmark = pytest.mark.slow

MINUTE_US = 60_000_000


def test_uploads_are_tried_again_later_and_later_and_then_given_up(program: Make, api: Api) -> None:
    it = program("video_upload")
    clock = it.own_clock()
    it.environment["VIDEO_API"] = api.url
    store = it.client().store
    api.refuse = {"/away": 4, "/shaky": 2}

    ids = {video: it.call("uploads", "uploads.upload_video", f'["{video}"]') for video in ("fine", "shaky", "away")}
    worker = it.celery("-A", "uploads", "worker", "--loglevel=INFO", "--concurrency=4")
    api.wait_for(3)
    assert api.most_at_once == 3
    assert len(worker.children()) == 4
    api.let_go()
    worker.hears(f"Task uploads.upload_video[{ids['fine']}] succeeded")

    def waits_until(video: str, minutes: int) -> None:
        """Wait until it is put off; to the instant that is so many minutes after the start."""
        it.until(lambda: (view := store.state([ids[video]])[0]) and view.state == "scheduled")
        view = store.state([ids[video]])[0]
        assert view is not None
        assert view.due_us == START_US + minutes * MINUTE_US

    for calls, minutes, total, those in ((3, 1, 1, "shaky away"), (5, 2, 3, "shaky away"), (7, 4, 7, "away")):
        for video in those.split():
            waits_until(video, total)
        clock.advance(minutes * 60 - 1)
        store.tick([])
        views = store.state([ids[video] for video in those.split()])
        assert {view and view.state for view in views} == {"scheduled"}
        clock.advance(1)
        store.tick([])
        api.wait_for(calls + len(those.split()))

    it.until(lambda: not any((view := store.state([task])[0]) and view.state in OPEN for task in ids.values()))
    assert {video: api.paths.count(f"/{video}") for video in ids} == {"fine": 1, "shaky": 3, "away": 4}
    ends = {video: store.state([task])[0] for video, task in ids.items()}
    for video in ("fine", "shaky"):  # good ends, whose results nobody wants
        assert (end := ends[video]) is None or (end.state, end.result) == ("done", None)
    assert ends["away"] is not None
    assert (ends["away"].state, ends["away"].failures) == ("dead", 4)
    assert worker.stop() == 0
    assert "HTTP Error 503" in worker.talk
    assert store.audit() == []
