"""PocketSphinx: real recognition of English on any processor, offline, with the model that comes in its package.

It hears far less well than models of today, in exchange for a download of 30 MB and no further setting.
"""

from __future__ import annotations

import threading
import wave
from pathlib import Path
from typing import Any

from video_analysis.steps.engines import Segment

RATE = 16_000
_of_thread = threading.local()


class PocketSphinx:
    """Finds the utterances by their pauses, and decodes each. The model is loaded once a thread, in about half a
    second."""

    def transcribe(self, sound: Path) -> list[Segment]:
        from pocketsphinx import Segmenter

        with wave.open(str(sound), "rb") as reader:
            utterances = list(Segmenter(sample_rate=RATE).segment(_Frames(reader)))
        heard = ((one, self._decode(one.pcm)) for one in utterances)
        return [Segment(start=one.start_time, end=one.end_time, text=text) for one, text in heard if text]

    def _decode(self, pcm: bytes) -> str:
        decoder = _decoder()
        decoder.start_utt()
        try:
            # As a whole: then the loudness and colour of the voice are measured over all of it, which helps a lot.
            decoder.process_raw(pcm, full_utt=True)
        finally:
            decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr.strip() if found is not None else ""


class _Frames:
    """A WAV file as the stream of bytes that a Segmenter reads."""

    def __init__(self, reader: wave.Wave_read) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        return self._reader.readframes(size // 2)


def _decoder() -> Any:
    from pocketsphinx import Decoder

    if not hasattr(_of_thread, "decoder"):
        _of_thread.decoder = Decoder(samprate=RATE, loglevel="FATAL")
    return _of_thread.decoder
