"""The third step, once for each piece: what is said in it."""

from __future__ import annotations

from pathlib import PurePath

from video_analysis.steps import audio
from video_analysis.steps.engines import Engine, Segment
from video_analysis.steps.workspace import Workspace, gone


def transcribe(space: Workspace, number: int, engine: Engine) -> list[Segment]:
    """What `engine` hears in piece `number`, at the times of the whole video. Raises what the engine raises."""
    piece = audio.load(space).pieces[number]
    result = words_of(piece)
    if space.has(result):
        found: list[Segment] = space.read_json(result)
        return found
    sound = space.path(piece.name)
    if not sound.is_file():
        raise gone()
    segments = [
        Segment(start=_later(one["start"], piece.start), end=_later(one["end"], piece.start), text=one["text"])
        for one in engine.transcribe(sound)
    ]
    if segments and segments[0]["start"] is None:
        segments[0]["start"], segments[-1]["end"] = piece.start, piece.end
    space.write_json(result, segments)
    return segments


def words_of(piece: audio.Piece) -> str:
    """Name of the file with a piece's words."""
    return str(PurePath(piece.name).with_suffix(".json"))


def done(space: Workspace) -> tuple[int, int]:
    """How many pieces have their words, and how many there are."""
    pieces = audio.load(space).pieces
    return sum(space.has(words_of(piece)) for piece in pieces), len(pieces)


def _later(moment: float | None, start: float) -> float | None:
    return None if moment is None else round(moment + start, 2)
