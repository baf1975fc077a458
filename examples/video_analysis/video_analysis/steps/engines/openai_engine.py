"""An OpenAI-compatible endpoint for transcription: OpenAI's own, or a server of one's own that speaks the same."""

from __future__ import annotations

from pathlib import Path

from video_analysis.steps import endpoint
from video_analysis.steps.engines import Segment


class OpenAIEngine:
    """`POST {base_url}/audio/transcriptions` for each piece."""

    def __init__(self, base_url: str, api_key: str, model: str, timeout: float = 120.0) -> None:
        self._base_url, self._api_key, self._model, self._timeout = base_url, api_key, model, timeout

    def transcribe(self, sound: Path) -> list[Segment]:
        with endpoint.client(self._base_url, self._api_key, self._timeout, "transcription") as client:
            with sound.open("rb") as file:
                answer = client.audio.transcriptions.create(
                    file=("piece.wav", file, "audio/wav"), model=self._model, response_format="verbose_json"
                )
        segments = [
            Segment(start=one.start, end=one.end, text=one.text.strip())
            for one in answer.segments or ()
            if one.text.strip()
        ]
        if segments or not answer.text.strip():
            return segments
        return [Segment(start=None, end=None, text=answer.text.strip())]
