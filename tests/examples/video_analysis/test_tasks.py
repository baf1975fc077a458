"""The pipeline with a worker inside the test: its good end and its bad ones. What is said in the videos comes from a
stand-in for a transcription service; `test_end_to_end.py` has real recognition and real processes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from smallage import AsyncResult
from smallage.testing import start_worker
from tests.examples.video_analysis import speech
from tests.examples.video_analysis.elsewhere import Answer, Endpoint, Videos, endpoint, host_of_videos
from tests.examples.video_analysis.site import Program, Site
from video_analysis import db, records, tasks
from video_analysis.models import Analysis, Charge
from video_analysis.pipeline import Pipeline, in_plain_words
from video_analysis.steps.errors import StepFailed, TryAgain
from video_analysis.tasks import native

PATIENCE = 150.0
"""Seconds until a moment that does not come fails the test; it says nothing about how soon it should come."""
pytestmark = pytest.mark.timeout(240)
BUSY: Answer = (503, {}, b"")


@pytest.fixture(autouse=True)
def looks_are_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "BETWEEN", 0.02)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    broken = folder / "broken.mp4"
    broken.write_bytes(os.urandom(20_000))
    return {
        "/talk.mp4": speech.talk(folder),
        "/silent.mp4": speech.silent(folder),
        "/picture.mp4": speech.picture(folder),
        "/broken.mp4": broken,
    }


@pytest.fixture
def videos(films: dict[str, Path]) -> Iterator[Videos]:
    with host_of_videos() as made:
        made.files |= films
        yield made


@pytest.fixture
def service() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made
        assert made.wrong == []


Open = Callable[..., Site]


@pytest.fixture
def working(open_site: Open) -> Iterator[Open]:
    """`working(setting=…)`: the application with these settings, and a worker for both queues."""
    workers = []

    def start(**settings: object) -> Site:
        site = open_site(**{"allow_private_urls": True, "retry_seconds": 0, "piece_seconds": 4, **settings})
        workers.append(start_worker(native.smallage, queues=("net", "cpu"), concurrency=4))
        return site

    yield start
    for worker in workers:
        worker.stop()


def remote(service: Endpoint) -> dict[str, str]:
    """Settings that leave transcription and analysis to `service`."""
    return {"openai_base_url": service.url, "openai_api_key": service.key}


def ended(analysis_id: str) -> Analysis:
    """The analysis, once it has ended."""
    deadline = time.monotonic() + PATIENCE
    for _ in tasks.changes(analysis_id):
        assert time.monotonic() < deadline, vars(records.load(analysis_id))
    return records.load(analysis_id)


def submitted(program: Program, url: str) -> str:
    answer = program.submit(url)
    assert answer.status_code == 202, answer.text
    return str(answer.json["id"])


def until(condition: Callable[[], object]) -> None:
    """Wait for what no moment tells of."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def is_clean(site: Site) -> bool:
    """Are there no files of any analysis?"""
    return not any(any(folder.glob("*")) for folder in (site.settings.work, site.settings.uploads))


def charges() -> list[tuple[str, int]]:
    with db.reading() as session:
        return [(one.analysis_id, one.minutes) for one in session.scalars(select(Charge))]


def test_a_video_is_analysed_and_charged_once(working: Open, videos: Videos, service: Endpoint) -> None:
    site = working(**remote(service))
    program = site.program(quota=3)
    found = ended(submitted(program, f"{videos.url}/talk.mp4"))
    assert (found.state, found.step, found.error) == ("done", "store", None)
    assert found.title == "talk"
    assert found.seconds is not None
    assert 7 < found.seconds < 9
    assert found.transcript is not None
    assert {one["text"] for one in found.transcript} == set(service.says)
    starts = [one["start"] or 0.0 for one in found.transcript]
    assert starts[0] == 0.5
    assert starts[1] > 4, "at the times of the whole video"
    assert (found.summary, found.key_phrases) == ("It is about boats.", ["boats", "new boats"])
    assert charges() == [(found.id, 1)]
    until(lambda: is_clean(site))

    asked = len(service.asked)
    assert asked == 3, "two pieces and the analysis"
    with site.app.app_context():
        assert tasks.start(found.id) == found.task_id
    assert AsyncResult(f"{found.id}-download", app=native.smallage).state == "SUCCESS"
    assert len(service.asked) == asked, "a second start changes nothing"
    assert native.smallage.store.audit() == []


def test_an_upload_is_analysed_and_then_deleted(working: Open, films: dict[str, Path], service: Endpoint) -> None:
    site = working(**remote(service))
    answer = site.program().upload(films["/talk.mp4"].read_bytes(), "my talk.mp4", kind="video/mp4")
    assert answer.status_code == 202, answer.text
    found = ended(answer.json["id"])
    assert (found.state, found.title) == ("done", "my talk.mp4")
    until(lambda: is_clean(site))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/broken.mp4", "no video or sound file that we can read"),
        ("/picture.mp4", "no sound in this video"),
        ("/silent.mp4", "No speech was heard"),
        ("/nothing.mp4", "nothing at this address"),
    ],
)
def test_a_video_that_is_of_no_use(working: Open, videos: Videos, path: str, words: str) -> None:
    site = working(transcriber="pocketsphinx")
    found = ended(submitted(site.program(), f"{videos.url}{path}"))
    assert found.state == "failed"
    assert words in (found.error or "")
    assert charges() == []
    until(lambda: is_clean(site))
    assert AsyncResult(f"{found.id}-store", app=native.smallage).state == "FAILURE"


def test_a_video_that_is_too_long(working: Open, videos: Videos) -> None:
    site = working(longest_minutes=0)
    found = ended(submitted(site.program(), f"{videos.url}/talk.mp4"))
    assert (found.state, found.error) == ("failed", "This video is too long: at most 0 minutes are accepted.")
    until(lambda: is_clean(site))


def test_private_addresses_are_refused(working: Open, videos: Videos) -> None:
    site = working(allow_private_urls=False)
    found = ended(submitted(site.program(), f"{videos.url}/talk.mp4"))
    assert found.state == "failed"
    assert "not on the public internet" in (found.error or "")
    assert videos.asked == []
    until(lambda: is_clean(site))


def test_a_host_that_stays_away_is_given_up(working: Open) -> None:
    site = working()
    found = ended(submitted(site.program(), "http://127.0.0.1:1/talk.mp4"))
    assert (found.state, found.error) == ("failed", "127.0.0.1 could not be reached, or broke off.")
    assert AsyncResult(f"{found.id}-download", app=native.smallage).retries == 4
    until(lambda: is_clean(site))


def test_what_is_busy_is_tried_again(working: Open, videos: Videos, service: Endpoint) -> None:
    site = working(**remote(service))
    videos.answers["/talk.mp4"] = [BUSY, BUSY]
    service.refusals = [(429, {"Retry-After": "0"}, b""), BUSY]
    found = ended(submitted(site.program(), f"{videos.url}/talk.mp4"))
    assert found.state == "done"
    assert charges() == [(found.id, 1)]


def test_too_few_minutes(working: Open, videos: Videos, monkeypatch: pytest.MonkeyPatch) -> None:
    """The length is known after the download; then the video is refused, before anything is spent on it."""
    site = working()
    monkeypatch.setattr("video_analysis.records.minutes_of", lambda seconds: 7)
    found = ended(submitted(site.program(quota=2), f"{videos.url}/talk.mp4"))
    assert (found.state, found.error) == ("refused", "This video takes 7 minutes, and you have 2 minutes left.")
    assert charges() == []
    until(lambda: is_clean(site))
    until(lambda: AsyncResult(f"{found.id}-store", app=native.smallage).ready())


def test_a_piece_that_fails_fails_the_analysis(working: Open, videos: Videos, service: Endpoint) -> None:
    site = working(**remote(service))
    service.refusals = [(400, {}, b"")]
    found = ended(submitted(site.program(), f"{videos.url}/talk.mp4"))
    assert (found.state, found.error) == ("failed", "The transcription service refused to work on this (HTTP 400).")
    until(lambda: AsyncResult(f"{found.id}-store", app=native.smallage).ready())
    until(lambda: is_clean(site))
    assert charges() == []


def test_a_fault_of_ours_is_not_told(working: Open, videos: Videos, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    site = working()
    monkeypatch.setattr(Pipeline, "split", fails)
    found = ended(submitted(site.program(), f"{videos.url}/talk.mp4"))
    assert found.error == "Something went wrong on our side while this video was analysed."
    until(lambda: is_clean(site))


def test_a_database_that_is_away_for_a_moment(
    working: Open, videos: Videos, service: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, tries, measured = working(**remote(service)), [], records.measured

    def away_at_first(analysis_id: str, seconds: float) -> int:
        tries.append(seconds)
        if len(tries) < 3:
            raise OperationalError("SELECT 1", {}, ConnectionError("away"))
        return measured(analysis_id, seconds)

    monkeypatch.setattr(records, "measured", away_at_first)
    assert ended(submitted(site.program(), f"{videos.url}/talk.mp4")).state == "done"
    assert len(tries) == 3


def test_the_word_of_a_failure_is_not_lost_while_the_database_is_away(open_site: Open) -> None:
    """The last that is said of an analysis: without it the user would wait until the sweep of the next day."""
    pipeline = Pipeline(open_site().settings)
    waits = [pipeline.pause(number, TryAgain("away")) for number in range(native.failed.max_retries or 0)]
    assert sum(waits) > 3600


def test_a_cancel_stops_what_runs_and_what_waits(
    working: Open, videos: Videos, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = threading.Event(), threading.Event()

    def endless(self: Pipeline, analysis_id: str, number: int) -> None:
        begun.set()
        while not over.wait(0.01):  # threads are interrupted between two steps of Python
            pass

    site = working()
    monkeypatch.setattr(Pipeline, "transcribe", endless)
    program = site.program()
    analysis_id = submitted(program, f"{videos.url}/talk.mp4")
    assert begun.wait(PATIENCE)
    assert program.ask("DELETE", f"/api/analyses/{analysis_id}").json["state"] == "cancelled"
    pieces = native.smallage.GroupResult(native.pieces_id(analysis_id))
    until(lambda: pieces.done + pieces.cancelled == 2)
    over.set()
    assert (pieces.done, pieces.cancelled) == (0, 2)
    last: AsyncResult[None] = AsyncResult(f"{analysis_id}-store", app=native.smallage)
    until(last.ready)
    assert last.state == "REVOKED"
    assert records.load(analysis_id).state == "cancelled"
    assert is_clean(site)
    assert charges() == []


def test_a_step_that_begins_after_a_cancel_ends_by_itself(
    working: Open, videos: Videos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the task store is away while the user cancels: the records say it too."""
    site, split = working(), Pipeline.split

    def cancelled_meanwhile(self: Pipeline, analysis_id: str) -> int:
        records.cancel(analysis_id)
        return split(self, analysis_id)

    monkeypatch.setattr(Pipeline, "split", cancelled_meanwhile)
    analysis_id = submitted(site.program(), f"{videos.url}/talk.mp4")
    last: AsyncResult[None] = AsyncResult(f"{analysis_id}-store", app=native.smallage)
    until(last.ready)
    assert last.state == "IGNORED"
    assert records.load(analysis_id).state == "cancelled"
    until(lambda: is_clean(site))


def test_a_sweep_deletes_what_was_left_over(open_site: Open) -> None:
    site = open_site()
    user, pipeline = site.program().user_id, Pipeline(site.settings)
    ids = {}
    for name in ("ended", "running", "stuck", "young"):
        analysis, _ = records.submit(user, name, kind="url", source="http://a", title="t", fingerprint=name)
        ids[name] = records.begin(analysis.id).id
    records.fail(ids["ended"], "no")
    records.fail(ids["young"], "no")
    ages = {ids["ended"]: 7200, ids["running"]: 7200, ids["stuck"]: 90_000, ids["young"]: 0, "unknown": 7200}
    for name, age in ages.items():
        pipeline.space(name).create()
        os.utime(pipeline.space(name).folder, (time.time() - age, time.time() - age))
    assert pipeline.sweep() == 3
    assert {path.name for path in site.settings.work.iterdir()} == {ids["running"], ids["young"]}
    assert "Nothing has happened for a day" in (records.load(ids["stuck"]).error or "")
    assert records.load(ids["running"]).state == "running"


def test_the_sweep_is_on_the_schedule(open_site: Open) -> None:
    open_site()
    entry = native.smallage.conf.beat_schedule["sweep"]
    assert entry["task"] == native.sweep.name
    assert entry["options"]["queue"] == "net"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StepFailed("No sound."), "No sound."),
        (TryAgain("Busy.", 3.0), "Busy."),
        (TimeoutError("10.0.0.7:5432"), "Something went wrong on our side"),
        (None, "Something went wrong on our side"),
        (type("TimeLimitExceeded", (Exception,), {})(5), "longer than a step of the analysis may take"),
        (type("WorkerLostError", (Exception,), {})("x"), "ended unexpectedly several times"),
    ],
)
def test_errors_in_plain_words(error: BaseException | None, words: str) -> None:
    assert words in in_plain_words(error)


def test_pauses_grow_and_follow_who_asks_for_more(open_site: Open) -> None:
    pipeline = Pipeline(open_site(retry_seconds=5).settings)
    assert [pipeline.pause(tries, TryAgain("x")) for tries in range(4)] == [5, 10, 20, 40]
    assert pipeline.pause(0, TryAgain("x", 30.0)) == 30
    assert pipeline.pause(2, TryAgain("x", 3.0)) == 20
    assert pipeline.pause(20, TryAgain("x", 9e9)) == 600


def test_a_spelling_that_does_not_exist(open_site: Open) -> None:
    with pytest.raises(ValueError, match="one of smallage, celery"):
        open_site(tasks="rabbit")
