"""The JSON API: taking videos in, once each, within the quota, and telling how they stand."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from smallage import StoreUnavailable
from tests.examples.video_analysis.site import Program, Site, silence
from video_analysis import db, events, records, tasks, uploads
from video_analysis.models import Analysis, now
from video_analysis.pipeline import Pipeline
from video_analysis.tasks import native
from video_analysis.uploads import title_of


@pytest.fixture
def program(site: Site) -> Program:
    return site.program()


def problem(answer: Any, status: int) -> str:
    """The detail of a problem, after a look at its shape."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert answer.json["status"] == status
    return str(answer.json["detail"])


# -- submitting -----------------------------------------------------------------------------------------------------


def test_a_url_is_accepted_at_once(program: Program) -> None:
    answer = program.submit("https://example.com/talks/Fourier%20series.mp4")
    assert answer.status_code == 202
    body = answer.json
    assert answer.headers["Location"] == f"/api/analyses/{body['id']}"
    assert (body["state"], body["progress"], body["title"]) == ("queued", 0, "example.com/talks/Fourier series.mp4")
    seen = program.ask("GET", answer.headers["Location"]).json
    assert (seen["source"], seen["transcript"]) == ("https://example.com/talks/Fourier%20series.mp4", None)
    task_id = records.load(body["id"]).task_id
    assert task_id is not None
    assert native.smallage.AsyncResult(task_id).state == "PENDING"


def test_a_file_is_kept_under_a_name_of_ours_and_its_minutes_are_reserved(site: Site, program: Program) -> None:
    sound = silence(61)
    answer = program.upload(sound, "Holiday.wav")
    assert answer.status_code == 202, answer.text
    assert (answer.json["title"], answer.json["kind"], answer.json["seconds"]) == ("Holiday.wav", "file", 61.0)
    kept = site.settings.uploads / records.load(answer.json["id"]).source
    assert kept.read_bytes() == sound
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    told = program.ask("GET", "/api/account").json
    assert (told["minutes_used"], told["minutes_reserved"]) == (0, 2)


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "example.com/v",
        "ftp://example.com/v",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///v",
        "https://example.com:99999/",
        "https://[::1/",
        "https://example.com/a b",
        "https://example.com/\r\nX: y",
        "https://example.com/" + "a" * 2000,
    ],
)
def test_what_is_no_address_of_a_video_is_refused(program: Program, url: str) -> None:
    problem(program.submit(url), 422)
    assert program.ask("GET", "/api/analyses").json == {"analyses": []}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {}}, 422),
        ({"json": {"url": 7}}, 422),
        ({"json": ["https://example.com"]}, 400),
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b"https://example.com", "content_type": "text/plain"}, 415),
        ({"data": {"url": "https://example.com"}, "content_type": "application/x-www-form-urlencoded"}, 415),
        ({"data": {"other": "x"}, "content_type": "multipart/form-data"}, 422),
    ],
)
def test_what_cannot_be_read_is_said(program: Program, sent: dict[str, Any], status: int) -> None:
    problem(program.ask("POST", "/api/analyses", **sent), status)


# -- uploads of every kind ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("../../x.wav", "x.wav"),
        ("/etc/passwd", "passwd"),
        ("a\0b.wav", "a b.wav"),
        ("tab\tand\u202eevil.wav", "tab and evil.wav"),
        ("....", "Untitled"),
        ("x" * 5000 + ".wav", "x" * 200),
        ("Ferien in Köln – Tag 1.wav", "Ferien in Köln – Tag 1.wav"),
    ],
)
def test_the_name_of_a_file_is_never_a_path(site: Site, program: Program, name: str, title: str) -> None:
    answer = program.upload(silence(1), name)
    assert answer.status_code == 202, answer.text
    assert answer.json["title"] == title
    (kept,) = site.settings.uploads.iterdir()
    assert kept.name == records.load(answer.json["id"]).source
    assert len(kept.name) == 36


def test_windows_has_paths_too() -> None:
    assert title_of("C:\\videos\\..\\x.wav") == "x.wav"


@pytest.mark.parametrize("content", [b"", b"<html>not a video</html>", b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n"])
def test_what_is_no_video_is_not_kept(site: Site, program: Program, content: bytes) -> None:
    assert "no video" in problem(program.upload(content), 422)
    assert list(site.settings.uploads.iterdir()) == []
    assert program.ask("GET", "/api/analyses").json == {"analyses": []}


def test_what_says_that_it_is_something_else_is_not_even_looked_at(program: Program) -> None:
    assert "not text/html" in problem(program.upload(silence(1), kind="text/html"), 415)


def test_a_file_that_is_too_large_is_refused(open_site: Callable[..., Site]) -> None:
    site = open_site(upload_limit=1024**2)
    body: dict[str, Any] = {"data": b"x" * 1_200_000, "content_type": "multipart/form-data; boundary=b"}
    assert "1 MiB is the most" in problem(site.program().ask("POST", "/api/analyses", **body), 413)
    assert not site.settings.uploads.exists()


def test_who_has_not_logged_in_sends_little_and_only_files_are_large(site: Site, program: Program) -> None:
    form: dict[str, Any] = {"data": b"x" * 100_000, "content_type": "multipart/form-data; boundary=b"}
    for path in ("/login", "/analyses"):
        assert site.app.test_client().post(path, **form).status_code == 413
    long = {"email": "a" * 100_000, "password": ""}
    problem(site.app.test_client().post("/api/tokens", json=long), 413)
    problem(program.submit("https://example.com/" + "a" * 100_000), 413)


# -- the same key ---------------------------------------------------------------------------------------------------


def test_the_same_key_is_the_same_analysis(site: Site, program: Program) -> None:
    first, again = program.submit(key="order-1"), program.submit(key="order-1")
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    problem(program.submit("https://example.com/other", key="order-1"), 409)
    assert site.program("bob@example.com").submit(key="order-1").json["id"] != first.json["id"]
    assert program.submit().json["id"] != program.submit().json["id"]  # without keys


def test_a_file_that_is_sent_again_is_kept_once(site: Site, program: Program) -> None:
    first, again = (program.upload(silence(2), key="k") for _ in range(2))
    assert first.json["id"] == again.json["id"]
    assert len(list(site.settings.uploads.iterdir())) == 1
    problem(program.upload(silence(3), key="k"), 409)
    assert len(list(site.settings.uploads.iterdir())) == 1


@pytest.mark.parametrize("key", ["x" * 201, "with space", "ümlaut"])
def test_a_key_has_a_shape(program: Program, key: str) -> None:
    problem(program.submit(key=key), 400)


def test_one_key_sent_at_once_by_many_is_one_analysis_with_one_run(site: Site, program: Program) -> None:
    gate, seen = threading.Barrier(6), []

    def send() -> None:
        one = Program(site.app.test_client(), program.token, program.user_id)
        gate.wait(30)
        seen.append(one.submit(key="k").json["id"])

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6
    assert len(set(seen)) == 1
    assert native.smallage.control.purge() == 1  # the chain's first task, once


# -- the quota ------------------------------------------------------------------------------------------------------


def test_402_when_nothing_is_left(site: Site) -> None:
    program = site.program(quota=1)
    first = program.upload(silence(5), key="k")
    assert first.status_code == 202
    assert "used up" in problem(program.submit(), 402)
    assert "used up" in problem(program.upload(silence(5)), 402)
    assert program.upload(silence(5), key="k").json["id"] == first.json["id"]  # what was accepted stays accepted
    assert program.ask("DELETE", first.headers["Location"]).status_code == 200
    assert program.submit().status_code == 202  # cancelled analyses give their minutes back


def test_402_for_a_file_that_does_not_fit(site: Site) -> None:
    program = site.program(quota=1)
    assert problem(program.upload(silence(61)), 402) == "This video takes 2 minutes, and you have 1 minute left."
    assert list(site.settings.uploads.iterdir()) == []


def test_a_url_that_does_not_fit_is_refused_once_it_is_measured(site: Site) -> None:
    program = site.program(quota=1)
    where = program.submit().headers["Location"]
    with pytest.raises(records.OverQuota):
        records.measured(where.rpartition("/")[2], 61)
    told = program.ask("GET", where).json
    assert (told["state"], told["error"]) == ("refused", "This video takes 2 minutes, and you have 1 minute left.")


# -- reading, following, cancelling ---------------------------------------------------------------------------------


def test_the_result(program: Program) -> None:
    answer = program.upload(silence(5))
    said: list[Any] = [{"start": 0.0, "end": 5.0, "text": "Nothing."}]
    records.finish(answer.json["id"], said, "Silence.", ["nothing"])
    told = program.ask("GET", answer.headers["Location"]).json
    assert (told["state"], told["progress"], told["transcript"]) == ("done", 1.0, said)
    assert (told["summary"], told["key_phrases"]) == ("Silence.", ["nothing"])
    assert told["finished"].endswith("Z")
    (listed,) = program.ask("GET", "/api/analyses").json["analyses"]
    assert "transcript" not in listed
    assert program.ask("GET", "/api/account").json["minutes_used"] == 1


def test_progress_is_small_and_tells_the_step(program: Program) -> None:
    where = program.submit().headers["Location"]
    records.at_step(where.rpartition("/")[2], "transcribe", 0.5, "6 of 12 pieces")
    told = program.ask("GET", f"{where}/progress").json
    assert (told["state"], told["step"], told["step_progress"]) == ("running", "transcribe", 0.5)
    assert (told["progress"], told["note"]) == (0.417, "6 of 12 pieces")


def test_events_until_the_end(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "BETWEEN", 0.005)
    answer = program.upload(silence(5))
    analysis_id = answer.json["id"]
    stream = program.ask("GET", f"{answer.headers['Location']}/events")
    assert (stream.mimetype, stream.headers["X-Accel-Buffering"]) == ("text/event-stream", "no")
    lines = iter(stream.response)

    def following() -> dict[str, Any]:
        line = next(lines)
        text = line.decode() if isinstance(line, bytes) else line
        assert text.startswith("data: ")
        assert text.endswith("\n\n")
        return dict(json.loads(text.removeprefix("data: ")))

    assert following()["state"] == "queued"
    records.at_step(analysis_id, "split", 0.5)
    assert following()["step"] == "split"
    records.at_step(analysis_id, "transcribe", 0.0, "0 of 1 pieces")
    assert following()["note"] == "0 of 1 pieces"
    records.finish(analysis_id, [], "", [])
    assert following()["state"] == "done"
    assert list(lines) == []
    stream.close()


def test_streams_have_a_limit_and_leave_threads_for_pages(
    open_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STREAMS_PER_USER", 2)
    site = open_site(streams=3)
    ann, bob, eve = (site.program(f"{name}@example.com") for name in ("ann", "bob", "eve"))
    open_ones = []
    for program, status in ((ann, 200), (ann, 200), (ann, 429), (bob, 200), (eve, 429)):
        where = program.submit().headers["Location"]
        answer = program.ask("GET", f"{where}/events")
        assert answer.status_code == status
        assert program.ask("GET", f"{where}/progress").status_code == 200, "the page asks instead"
        if status == 200:
            open_ones.append(answer)
    open_ones.pop().close()
    where = eve.submit().headers["Location"]
    open_ones.append(eve.ask("GET", f"{where}/events"))
    assert open_ones[-1].status_code == 200
    for answer in open_ones:
        answer.close()
    assert site.app.extensions["streams"]._open == {}


def test_events_of_what_has_ended_are_one(program: Program) -> None:
    where = program.submit().headers["Location"]
    records.fail(where.rpartition("/")[2], "The video is private.")
    told = program.ask("GET", f"{where}/events").text
    assert told.count("data: ") == 1
    assert "The video is private." in told


def test_cancelling(site: Site, program: Program) -> None:
    answer = program.upload(silence(5))
    for _time in range(2):
        told = program.ask("DELETE", answer.headers["Location"])
        assert (told.status_code, told.json["state"]) == (200, "cancelled")
    assert list(site.settings.uploads.iterdir()) == []
    assert native.smallage.control.purge() == 0  # its task is out of the queue
    done = program.upload(silence(5))
    records.finish(done.json["id"], [], "", [])
    assert problem(program.ask("DELETE", done.headers["Location"]), 409).endswith("ended already: done.")


@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("GET", "/progress"), ("GET", "/events"), ("DELETE", "")])
def test_others_analyses_do_not_exist(site: Site, program: Program, method: str, tail: str) -> None:
    where = site.program("bob@example.com").submit().headers["Location"]
    theirs = problem(program.ask(method, where + tail), 404)
    assert problem(program.ask(method, "/api/analyses/none" + tail), 404) == theirs
    problem(site.app.test_client().open(where + tail, method=method), 401)
    assert records.load(where.rpartition("/")[2]).state == "queued"


def test_problems_of_the_web_server_have_the_same_shape(program: Program) -> None:
    problem(program.ask("GET", "/api/nothing"), 404)
    problem(program.ask("PUT", "/api/analyses"), 405)


def test_an_upload_that_is_nobodys_is_swept_away(site: Site, program: Program) -> None:
    waiting = records.load(program.upload(silence(5)).json["id"])
    orphan = site.settings.uploads / "web-process-died-here"
    orphan.write_bytes(b"video")
    pipeline = Pipeline(site.settings)
    assert pipeline.sweep() == 0  # its request may be under way
    assert pipeline.sweep(quiet=0) == 1
    assert [file.name for file in site.settings.uploads.iterdir()] == [waiting.source]


def test_another_sweep_may_be_faster(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert uploads.nobodys(tmp_path, 0) == []


# -- a queue that is away -------------------------------------------------------------------------------------------


def test_what_was_accepted_while_the_queue_is_away_starts_with_the_next_try(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_analysis_id: str) -> str:
        raise StoreUnavailable("redis://:secret@queue.internal")

    with monkeypatch.context() as outage:
        outage.setattr(tasks, "start", away)
        answer = program.submit(key="k")
        assert "secret" not in problem(answer, 503)
        assert answer.headers["Retry-After"] == "5"
    (kept,) = program.ask("GET", "/api/analyses").json["analyses"]
    assert records.load(kept["id"]).task_id is None
    assert program.submit(key="k").json["id"] == kept["id"]
    assert records.load(kept["id"]).task_id is not None


def test_what_a_dying_web_process_left_is_started_by_whoever_looks(program: Program) -> None:
    left, _new = records.submit(program.user_id, "k", kind="url", source="https://e.com/", title="t", fingerprint="f")
    program.ask("GET", f"/api/analyses/{left.id}/progress")
    assert records.load(left.id).task_id is None  # its request may be under way still
    with db.writing() as session:
        session.execute(update(Analysis).values(created=now().replace(year=2020)))
    program.ask("GET", f"/api/analyses/{left.id}")
    assert records.load(left.id).task_id is not None


@pytest.mark.parametrize("error", [OperationalError("SELECT secret", {}, ConnectionError("away")), PoolTimeout("full")])
def test_a_database_that_is_away_is_said(site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    browser = site.browser()

    def away() -> None:
        raise error

    monkeypatch.setattr(db, "reading", away)
    monkeypatch.setattr(db, "writing", away)
    assert "database" in problem(browser.get("/api/account"), 503)
    page = browser.get("/")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "database" in page.text
    assert "secret" not in page.text
