"""faster-whisper, for who has installed it (`pip install faster-whisper`) and lets it load its model.

Not run by the tests: neither the package nor a model is part of the development environment.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Any

from video_analysis.steps.engines import Segment


class FasterWhisper:
    """Whisper on this machine's processors, or its GPU. The model is loaded once a process."""

    def __init__(self, model: str) -> None:
        self.model = model

    def transcribe(self, sound: Path) -> list[Segment]:
        segments, _ = _load(self.model).transcribe(str(sound), vad_filter=True)
        return [Segment(start=one.start, end=one.end, text=one.text.strip()) for one in segments if one.text.strip()]


@functools.cache
def _load(model: str) -> Any:
    return importlib.import_module("faster_whisper").WhisperModel(model, compute_type="auto")
