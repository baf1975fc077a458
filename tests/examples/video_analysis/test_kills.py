"""Workers are killed at the worst moments; the video is analysed all the same, and charged once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from smallage import AsyncResult
from tests.examples.video_analysis import speech
from tests.examples.video_analysis.elsewhere import endpoint, host_of_videos
from tests.examples.video_analysis.fleets import Fleets, kill
from video_analysis import db, records
from video_analysis.models import Charge, User
from video_analysis.tasks import native

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

APP = "tests.examples.video_analysis.stopping"


def test_workers_are_killed_inside_steps_and_between_the_charge_and_its_acknowledgement(tmp_path: Path) -> None:
    """First the whole worker dies, supervisor and all, after a download that nobody has heard of; then single processes
    do, whose supervisor starts others: when the pieces are cut, while one is heard, and when the charge is written."""
    stops = tmp_path / "stops"
    stops.mkdir()
    with host_of_videos() as videos, endpoint() as service:
        videos.files["/talk.mp4"] = speech.talk(tmp_path)
        environment = {
            "STOPS": f"{stops},download,split,engine,finish",
            "OPENAI_BASE_URL": service.url,
            "OPENAI_API_KEY": service.key,
        }
        with Fleets(tmp_path, environment) as fleets:

            def process_at(point: str) -> int:
                fleets.until(lambda: (stops / point).exists())
                return int((stops / point).read_text())

            program = fleets.program()
            fleets.start(APP, "first", "net,cpu", "-c", "1")
            analysis_id = program.submit(f"{videos.url}/talk.mp4").json["id"]
            process_at("download")
            fleets.kill("first")
            fleets.start(APP, "second", "net,cpu", "-c", "1")
            for point in ("split", "engine"):
                kill(process_at(point))
            last = process_at("finish")
            assert records.load(analysis_id).state == "done", "charged, and not acknowledged"
            result: AsyncResult[None] = AsyncResult(native.task_id(analysis_id, "store"), app=native.smallage)
            assert not result.ready()
            kill(last)
            fleets.until(result.ready)
            assert result.state == "SUCCESS"

            found = records.load(analysis_id)
            assert found.transcript is not None
            assert [one["text"] for one in found.transcript] == service.says
            with db.reading() as session:
                assert [(one.analysis_id, one.minutes) for one in session.scalars(select(Charge))] == [(found.id, 1)]
                assert [user.minutes_used for user in session.scalars(select(User))] == [1]
            fleets.until(fleets.is_clean)
            assert len(videos.asked) == 2, "a look and a download: what was there was not fetched again"
            assert native.smallage.store.audit() == []
            assert service.wrong == []
