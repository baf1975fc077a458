"""The second step: the sound of the video, in pieces that can be transcribed side by side.

The video's sound is decoded once, to 16 kHz mono as speech recognisers want it, while ffmpeg listens for silences. Cuts
are made at silences where there are any, so that no word is torn apart.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from video_analysis.steps import ffmpeg
from video_analysis.steps.download import MEDIA, too_long
from video_analysis.steps.errors import StepFailed
from video_analysis.steps.report import Report, silent
from video_analysis.steps.workspace import Workspace, gone

PIECES = "pieces.json"
RATE = 16_000
_LAPSE = 0.4
"""Of the wished length of a piece: how much shorter or longer it may get for the sake of a silence."""
_BLOCK = 16 * RATE
"""Frames that are copied at a time."""


@dataclass(frozen=True)
class Piece:
    """A part of the sound: a WAV file in the workspace, and where it stands in the video, in seconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Pieces:
    seconds: float
    """Length of all the sound."""
    pieces: tuple[Piece, ...]


def split(
    space: Workspace, *, wished: float = 30.0, longest: float = 7200.0, timeout: float = 900.0, report: Report = silent
) -> Pieces:
    """Cut the sound of `media` into pieces of about `wished` seconds.

    Raises StepFailed for what is no video, has no sound, is longer than `longest` seconds, or takes ffmpeg longer than
    `timeout` seconds.
    """
    if space.has(PIECES):
        return load(space)
    media = space.path(MEDIA)
    if not media.is_file():
        raise gone()
    length = seconds_of(media)
    if length is not None and length > longest:
        raise too_long(longest)
    with space.scratch() as folder:
        sound = folder / "sound.wav"
        silences = decode(media, sound, length, longest, timeout, report)
        with wave.open(str(sound), "rb") as reader:
            seconds = reader.getnframes() / RATE
            if seconds > longest:
                raise too_long(longest)
            if not seconds:
                raise StepFailed("There is no sound in this video.")
            edges = [0.0, *cuts(seconds, silences, wished), seconds]
            pieces = tuple(
                _cut(reader, space, f"piece-{number:04}.wav", start, end)
                for number, (start, end) in enumerate(pairwise(edges))
            )
    space.write_json(PIECES, asdict(made := Pieces(seconds, pieces)))
    report(1.0, f"{len(pieces)} pieces" if len(pieces) > 1 else "1 piece")
    return made


def load(space: Workspace) -> Pieces:
    """The pieces that `split` made."""
    kept = space.read_json(PIECES)
    return Pieces(kept["seconds"], tuple(Piece(**piece) for piece in kept["pieces"]))


def seconds_of(media: Path) -> float | None:
    """The length that the file says it has, None if it says none. Raises StepFailed for what cannot be read as a video,
    or has no sound."""
    _, said = ffmpeg.run(ffmpeg.input_of(media), timeout=60)
    if "Input #0" not in said:
        raise StepFailed("This is no video or sound file that we can read, or it is damaged.")
    if not re.search(r"Stream #0.*: Audio:", said):
        raise StepFailed("There is no sound in this video.")
    found = re.search(r"Duration: (\d+):(\d+):(\d+\.\d+)", said)
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def decode(
    media: Path, sound: Path, length: float | None, longest: float, timeout: float, report: Report
) -> list[tuple[float, float]]:
    """Write the sound to `sound`, a second more than `longest` at most; the silences in it, as (start, end)."""

    def hear(line: str) -> None:
        name, _, value = line.partition("=")
        if name == "out_time_us" and value.isdecimal() and length:
            report(min(0.99, int(value) / 1e6 / length), "reading the sound")

    code, said = ffmpeg.run(
        [
            *("-nostats", "-progress", "pipe:1", "-y"),
            *ffmpeg.input_of(media),
            *("-map", "0:a:0", "-t", str(longest + 1), "-af", "silencedetect=noise=-35dB:d=0.3"),
            *("-ac", "1", "-ar", str(RATE), "-c:a", "pcm_s16le", "-bitexact", "-f", "wav", str(sound)),
        ],
        timeout,
        hear,
    )
    if code != 0 or not sound.is_file():
        raise StepFailed("The sound of this video cannot be read; the file may be damaged.")
    starts = [max(0.0, float(text)) for text in re.findall(r"silence_start: (-?[\d.]+)", said)]
    ends = [float(text) for text in re.findall(r"silence_end: (-?[\d.]+)", said)]
    return list(zip(starts, ends, strict=False))


def cuts(seconds: float, silences: Sequence[tuple[float, float]], wished: float) -> list[float]:
    """Where to cut: in the middle of the silence that makes the piece before it most nearly as long as is wished, or
    after that length where there is no silence near."""
    middles = [(start + end) / 2 for start, end in silences]
    made: list[float] = []
    before = 0.0
    while seconds - before > wished * (1 + _LAPSE):
        wanted = before + wished
        near = [middle for middle in middles if abs(middle - wanted) <= wished * _LAPSE]
        before = min(near, key=lambda middle: abs(middle - wanted), default=wanted)
        made.append(before)
    return made


def _cut(reader: wave.Wave_read, space: Workspace, name: str, start: float, end: float) -> Piece:
    first, last = round(start * RATE), round(end * RATE)
    reader.setpos(first)
    with space.writing(name) as draft, wave.open(str(draft), "wb") as writer:
        writer.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        for position in range(first, last, _BLOCK):
            writer.writeframesraw(reader.readframes(min(_BLOCK, last - position)))
    return Piece(name, start, end)
