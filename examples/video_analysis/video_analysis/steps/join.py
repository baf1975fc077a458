"""The fourth step: the words of all pieces, in their order."""

from __future__ import annotations

from video_analysis.steps import audio
from video_analysis.steps.engines import Segment
from video_analysis.steps.errors import StepFailed
from video_analysis.steps.transcribe import words_of
from video_analysis.steps.workspace import Workspace

TRANSCRIPT = "transcript.json"


def join(space: Workspace) -> list[Segment]:
    """The transcript. Raises StepFailed when nothing was said, or a piece's words are missing."""
    if space.has(TRANSCRIPT):
        return load(space)
    segments = [segment for piece in audio.load(space).pieces for segment in space.read_json(words_of(piece))]
    if not segments:
        raise StepFailed("No speech was heard in this video, so there is nothing to analyse.")
    space.write_json(TRANSCRIPT, segments)
    return segments


def load(space: Workspace) -> list[Segment]:
    """The transcript that `join` made."""
    found: list[Segment] = space.read_json(TRANSCRIPT)
    return found
