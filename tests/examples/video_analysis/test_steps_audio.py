"""The sound of a video, in pieces."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
import wave
from pathlib import Path

import pytest

from tests.examples.video_analysis import speech
from video_analysis.steps import audio, ffmpeg
from video_analysis.steps.errors import StepFailed
from video_analysis.steps.workspace import Workspace


def space_with(folder: Path, media: Path) -> Workspace:
    made = Workspace(folder, "one")
    made.create()
    os.link(media, made.path("media"))
    return made


def test_speech_is_cut_between_its_sentences(tmp_path: Path) -> None:
    space = space_with(tmp_path / "work", speech.talk(tmp_path))
    told: list[float] = []
    found = audio.split(space, wished=speech.SPLIT_AT, report=lambda part, note: told.append(part))
    assert [piece.name for piece in found.pieces] == ["piece-0000.wav", "piece-0001.wav"]
    assert 3.8 < found.pieces[0].end < 4.6, "in the pause"
    assert found.pieces[0].end == found.pieces[1].start
    assert found.pieces[1].end == found.seconds
    frames = 0
    for piece in found.pieces:
        with wave.open(str(space.path(piece.name))) as reader:
            assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (16000, 1, 2)
            frames += reader.getnframes()
    assert frames == round(found.seconds * 16000), "nothing is lost and nothing is there twice"
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert sorted(path.name for path in space.folder.iterdir()) == [
        *("media", "piece-0000.wav", "piece-0001.wav", "pieces.json")
    ]
    space.path("media").unlink()
    assert audio.split(space) == found, "what is there is not made again"


@pytest.mark.parametrize("wished", [7.0, 30.0])
@pytest.mark.parametrize("silences", [[], [(n, n + 0.5) for n in range(3, 200, 9)], [(50.0, 51.0)]])
def test_cuts_leave_pieces_of_about_the_wished_length(wished: float, silences: list[tuple[float, float]]) -> None:
    edges = [0.0, *audio.cuts(200.0, silences, wished), 200.0]
    lengths = [after - before for before, after in itertools.pairwise(edges)]
    assert all(wished * 0.6 <= length <= wished * 1.4 for length in lengths[:-1])
    assert 0 < lengths[-1] <= wished * 1.4
    middles = [sum(silence) / 2 for silence in silences]
    for before, cut in itertools.pairwise(edges[:-1]):
        near = [middle for middle in middles if abs(middle - before - wished) <= wished * 0.4]
        assert cut in near if near else cut == before + wished


def test_short_sound_is_one_piece() -> None:
    assert audio.cuts(40.0, [(20.0, 21.0)], 30.0) == []


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(os.urandom(50_000))
    with pytest.raises(StepFailed, match="no video or sound file"):
        audio.split(space_with(tmp_path / "work", tmp_path / "noise"))


def test_a_picture_without_sound(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="no sound"):
        audio.split(space_with(tmp_path / "work", speech.picture(tmp_path)))


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    whole = speech.silent(tmp_path)
    (tmp_path / "cut").write_bytes(whole.read_bytes()[:-2000])  # an MP4 has its directory at the end
    with pytest.raises(StepFailed, match="damaged"):
        audio.split(space_with(tmp_path / "work", tmp_path / "cut"))


def test_a_video_that_is_too_long(tmp_path: Path) -> None:
    space = space_with(tmp_path / "work", speech.silent(tmp_path, seconds=3))
    with pytest.raises(StepFailed, match="too long: at most 0 minutes"):
        audio.split(space, longest=2)
    assert [path.name for path in space.folder.iterdir()] == ["media"]


def test_a_video_that_says_it_is_shorter_than_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is what was decoded, and no more than is allowed is decoded."""
    space = space_with(tmp_path / "work", speech.silent(tmp_path, seconds=9))
    monkeypatch.setattr(audio, "seconds_of", lambda media: 1.0)
    with pytest.raises(StepFailed, match="too long"):
        audio.split(space, longest=2)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{other}'\n",
    ],
)
def test_a_file_that_names_other_files_opens_none_of_them(tmp_path: Path, text: str) -> None:
    other = speech.wav(tmp_path, "-f", "lavfi", "-t", "1", "-i", "sine=f=440")
    (tmp_path / "list").write_text(text.format(other=other))
    with pytest.raises(StepFailed, match="no video or sound file"):
        audio.split(space_with(tmp_path / "work", tmp_path / "list"))


def test_ffmpeg_is_given_up_when_it_takes_too_long() -> None:
    with pytest.raises(StepFailed, match="took too long"):
        ffmpeg.run(["-re", "-f", "lavfi", "-i", "anullsrc", "-f", "null", "-"], timeout=0.05)


ORPHAN = """
import sys
from video_analysis.steps import ffmpeg
endless = ["-nostats", "-progress", "pipe:1", "-stats_period", "0.1"]
endless += ["-re", "-f", "lavfi", "-i", "anullsrc", "-f", "null", "-"]
ffmpeg.run(endless, timeout=60, hear=lambda line: print(line, flush=True))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_ffmpeg_ends_when_the_worker_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()  # ffmpeg runs
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        process.kill()
        process.wait()
    end = time.monotonic() + 20
    while _runs(children[0]):
        assert time.monotonic() < end, "ffmpeg outlived its worker"
        time.sleep(0.01)


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
