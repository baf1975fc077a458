"""A worker in processes of its own that is killed in the middle of a run: nothing is missing in the index."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from playlist_search import runs, search, services
from playlist_search.models import Passage, RunVideo
from playlist_search.settings import Settings
from playlist_search.standin import youtube as standin
from playlist_search.standin.talks import video_id
from playlist_search.standin.youtube import Listed
from playlist_search.tasks import native
from tests.examples.playlist_search.backend import PATIENCE, make_settings, new_user, program
from tests.worker.conftest import until

ROOT = Path(__file__).parents[3]
VIDEOS, THREADS, RATE = 40, 8, "200/s"


class Worker:
    """`smallage worker playlist_search.worker` for these settings."""

    def __init__(self, settings: Settings) -> None:
        env = {
            "DATA_DIR": str(settings.data_dir),
            "SMALLAGE_URL": settings.queue_url,
            "YOUTUBE_API_URL": settings.youtube_api_url,
            "YOUTUBE_WATCH_URL": settings.youtube_watch_url,
            "SECRET_KEY": settings.secret_key,
            "VIDEO_RATE": settings.video_rate,
            "PYTHONPATH": str(ROOT / "examples" / "playlist_search"),
        }
        command = [sys.executable, "-m", "smallage", "worker", "playlist_search.worker", "-P", "threads"]
        with (settings.data_dir / "worker.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "-c", str(THREADS)], cwd=settings.data_dir, env={**os.environ, **env}, stderr=log
            )

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> None:
        """End it, however it stands."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                for child in self.children():
                    os.kill(child, signal.SIGKILL)
                self.process.kill()
        self.process.wait()


class Halting(standin.YouTube):
    """Does not answer about some videos before `goes_on`, which leaves half of the threads for the others."""

    held = range(VIDEOS // 2, VIDEOS // 2 + THREADS // 2)
    goes_on = False

    def delay_of(self, number: int) -> float:
        return 3600.0 if number in self.held and not self.goes_on else 0.0

    def is_asked(self) -> bool:
        """Do all that are held wait?"""
        return all(self.asked_of[video_id(number)] for number in self.held)


@pytest.fixture
def youtube() -> Iterator[Halting]:
    made = Halting(lambda _: [Listed("PL", "All", range(VIDEOS))])
    with standin.serving(made) as served:
        assert served is made
        yield made


@pytest.fixture(params=["sqlite", "redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, youtube: standin.YouTube) -> Settings:
    if request.param == "redis":
        return make_settings(tmp_path, youtube, video_rate=RATE, queue_url=request.getfixturevalue("redis_url"))
    return make_settings(tmp_path, youtube, video_rate=RATE, queue_url=f"sqlite:///{tmp_path}/queue/queue.db")


@pytest.mark.timeout(150)
@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker's children in /proc")
def test_killed_in_the_middle_nothing_is_missing(settings: Settings, youtube: Halting) -> None:
    with program(settings):
        user = new_user()
        run = runs.start(user, "PL")
        worker = Worker(settings)
        try:
            following = runs.changes(run)
            middle = next(one for one in following if one.done >= VIDEOS // 2)
            assert middle.done < VIDEOS
            until(youtube.is_asked)
            youtube.goes_on = True
            (child,) = worker.children()
            os.kill(child, signal.SIGKILL)
            *_, last = following
        finally:
            worker.stop()
        assert (last.state, last.done, last.failed) == ("done", VIDEOS, 0)
        rate = native.app.store.limits()[f"task:{native.INDEX_VIDEO}"].effective
        assert rate is not None
        assert rate.every_us == 5_000  # as the settings have it
        assert youtube.asked_of.total() > VIDEOS  # what was under way had to be begun again
        found = [search.find(user, f"marker{number:04d}") for number in range(VIDEOS)]
        assert [len(hits) for hits in found] == [1] * VIDEOS
        with services.current().db.reading() as session:
            per_video = select(func.count()).select_from(Passage).group_by(Passage.video_id)
            assert len(set(session.scalars(per_video))) < 4  # none has its passages twice
            assert set(session.scalars(select(RunVideo.outcome))) == {"indexed"}
