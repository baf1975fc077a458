"""Videos are fetched by yt-dlp from a host on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.video_analysis.elsewhere import Videos, host_of_videos, serving
from video_analysis.steps import download
from video_analysis.steps.download import Limits, fetch, take_upload
from video_analysis.steps.errors import NotAllowed, StepFailed, TryAgain
from video_analysis.steps.guard import Guard
from video_analysis.steps.workspace import Workspace

BYTES = b"\0\0\0\x18ftypmp42" + bytes(200_000)


@pytest.fixture
def videos(tmp_path: Path) -> Iterator[Videos]:
    file = tmp_path / "film.mp4"
    file.write_bytes(BYTES)
    with host_of_videos() as made:
        made.files["/film.mp4"] = file
        yield made


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "work", "one")


def files(space: Workspace) -> list[str]:
    return sorted(path.name for path in space.folder.iterdir())


def test_a_file_at_an_address(videos: Videos, space: Workspace) -> None:
    told: list[float] = []
    found = fetch(f"{videos.url}/film.mp4", space, Guard(allow_private=True), report=lambda part, _: told.append(part))
    assert found.title == "film"
    assert space.path("media").read_bytes() == BYTES
    assert files(space) == ["media"]
    assert told
    assert told == sorted(told)
    assert told[-1] == 1.0
    asked = len(videos.asked)
    fetch(f"{videos.url}/film.mp4", space, Guard(allow_private=True))
    assert len(videos.asked) == asked, "what is there is not fetched again"


def test_redirects_are_followed_within_the_rule(
    videos: Videos, space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the private addresses that the test plays with are let through, one after the other."""
    monkeypatch.setattr("video_analysis.steps.guard.is_public", lambda address: address == "127.0.0.1")
    videos.answers["/moved"] = [(302, {"Location": "/film.mp4"}, b"")]
    fetch(f"{videos.url}/moved", space, Guard())
    assert space.has("media")

    space.remove()
    inside = videos.url.replace("127.0.0.1", "127.0.0.2")
    videos.answers["/trap"] = [(302, {"Location": f"{inside}/film.mp4"}, b"")]
    with pytest.raises(NotAllowed, match=r"127\.0\.0\.2 is not on the public internet"):
        fetch(f"{videos.url}/trap", space, Guard())
    assert files(space) == []


def test_what_a_page_points_to_is_under_the_rule_too(
    videos: Videos, space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_analysis.steps.guard.is_public", lambda address: address == "127.0.0.1")
    inside = videos.url.replace("127.0.0.1", "127.0.0.2")
    page = f'<html><title>A film</title><video src="{inside}/film.mp4"></video></html>'.encode()
    videos.answers["/page"] = [(200, {"Content-Type": "text/html"}, page)] * 3
    with pytest.raises(NotAllowed):
        fetch(f"{videos.url}/page", space, Guard())
    assert "/film.mp4" not in videos.asked


def test_private_addresses_are_refused_without_a_connection(videos: Videos, space: Workspace) -> None:
    for url in (f"{videos.url}/film.mp4", videos.url.replace("127.0.0.1", "localhost") + "/film.mp4"):
        with pytest.raises(NotAllowed, match="not on the public internet"):
            fetch(url, space, Guard())
    assert videos.asked == []


def test_a_redirect_to_another_scheme_is_refused(videos: Videos, space: Workspace) -> None:
    videos.answers["/trap"] = [(302, {"Location": "file:///etc/passwd"}, b"")]
    with pytest.raises(StepFailed):
        fetch(f"{videos.url}/trap", space, Guard(allow_private=True))
    assert files(space) == []


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (404, StepFailed, "nothing at this address"),
        (410, StepFailed, "nothing at this address"),
        (403, StepFailed, "Is it private"),
        (500, TryAgain, "out of order"),
        (429, TryAgain, "too busy"),
    ],
)
def test_what_the_host_says_is_said_to_the_user(
    videos: Videos, space: Workspace, status: int, kind: type[Exception], words: str
) -> None:
    videos.answers["/film.mp4"] = [(status, {"Retry-After": "7"}, b"")]
    with pytest.raises(kind, match=words) as caught:
        fetch(f"{videos.url}/film.mp4", space, Guard(allow_private=True))
    assert getattr(caught.value, "after", 7.0) == 7.0


@pytest.mark.parametrize(
    ("url", "words"),
    [("http://127.0.0.1:1/film.mp4", "could not be reached"), ("http://nowhere.invalid/x", "could not be found")],
)
def test_a_host_that_is_away_may_be_there_later(space: Workspace, url: str, words: str) -> None:
    with pytest.raises(TryAgain, match=words):
        fetch(url, space, Guard(allow_private=True))


def test_a_host_that_breaks_off_may_do_better_later(space: Workspace) -> None:
    cut = (200, {"Content-Type": "video/mp4", "Content-Length": str(len(BYTES) * 2)}, BYTES)
    with serving(lambda request: cut) as url, pytest.raises(TryAgain):
        fetch(f"{url}/film.mp4", space, Guard(allow_private=True))
    assert files(space) == []


@pytest.mark.parametrize("honest", [True, False])
def test_large_files_are_refused_also_when_nobody_says_how_large(space: Workspace, honest: bool) -> None:
    answer = (200, {"Content-Type": "video/mp4"} | ({} if honest else {"X-No-Length": "1"}), BYTES)
    with serving(lambda request: answer) as url, pytest.raises(StepFailed, match="too large"):
        fetch(f"{url}/film.mp4", space, Guard(allow_private=True), Limits(bytes=100_000))
    assert files(space) == []


def test_a_page_without_a_video(videos: Videos, space: Workspace) -> None:
    videos.answers["/page"] = [(200, {"Content-Type": "text/html"}, b"<html>Nothing here</html>")]
    with pytest.raises(StepFailed, match="no video at this address"):
        fetch(f"{videos.url}/page", space, Guard(allow_private=True))


def test_streams_that_ffmpeg_would_fetch_are_left_alone(videos: Videos, space: Workspace) -> None:
    """A playlist of segments: yt-dlp hands some of these to ffmpeg, whose connections nobody guards."""
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/film.mp4\n#EXT-X-ENDLIST\n"
    videos.answers["/live.m3u8"] = [(200, {"Content-Type": "application/vnd.apple.mpegurl"}, playlist)] * 4
    with pytest.raises(StepFailed):
        fetch(f"{videos.url}/live.m3u8", space, Guard(allow_private=True))
    assert "/film.mp4" not in videos.asked


def test_an_upload_is_taken_by_its_stored_name(tmp_path: Path, space: Workspace) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "0b7c").write_bytes(BYTES)
    take_upload(uploads, "0b7c", space)
    (uploads / "0b7c").unlink()
    assert space.path("media").read_bytes() == BYTES
    take_upload(uploads, "0b7c", space)  # again: it is there
    with pytest.raises(StepFailed, match="upload it again"):
        take_upload(uploads, "gone", Workspace(tmp_path / "work", "two"))
    for name in ("../film.mp4", "/etc/passwd", ".hidden", ""):
        with pytest.raises(ValueError):
            take_upload(uploads, name, Workspace(tmp_path / "work", "two"))


def test_a_large_upload_is_refused(tmp_path: Path, space: Workspace) -> None:
    (tmp_path / "large").write_bytes(BYTES)
    with pytest.raises(StepFailed, match="too large: at most 0 MB"):
        take_upload(tmp_path, "large", space, Limits(bytes=1000))


def test_all_causes_of_an_error_are_looked_at() -> None:
    inner, outer = ValueError("inner"), RuntimeError("outer")
    outer.__cause__ = inner
    inner.__context__ = outer  # a circle
    assert set(download.causes(outer)) == {inner, outer}
