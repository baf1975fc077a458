"""A video to try the application with where there is no network: a synthesiser reads, a site of ours serves it."""

from __future__ import annotations

import contextlib
import functools
import html
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from video_analysis.steps import ffmpeg

TALK = """
The company reported strong sales in the second quarter.

The company will create new jobs for young people.

The price of oil has been falling for three months.

Lower oil prices are good news for the company, because energy is its largest cost.

The new president of the company said that the market in China is growing.

She said that the company will build two new plants next year.

Many workers in the old plants will receive more money and better training.

Analysts expect that sales will increase again in the third quarter.

The shares of the company closed higher on Friday.
"""
RECORDED = Path(__file__).parents[3] / "tests" / "examples" / "video_analysis" / "speech.ogg"
"""The first two sentences, as they lie in a checkout, for computers without a speech synthesiser."""


def make(folder: Path) -> Path:
    """The talk as a video in `folder`. Raises LookupError when there is nothing to make it of."""
    file = folder / "company-news.mp4"
    if file.exists():
        return file
    sound, draft = _speech(folder), folder / "draft.mp4"
    picture = ("-f", "lavfi", "-i", "color=c=0x0f2733:s=640x360:r=5")
    code, said = ffmpeg.run(
        ["-y", *picture, "-i", str(sound), "-shortest", "-c:v", "mpeg4", "-c:a", "aac", "-b:a", "96k", str(draft)], 60
    )
    if code:
        raise RuntimeError(f"ffmpeg could not make the sample video: {said[-500:]}")
    return draft.rename(file)


def _speech(folder: Path) -> Path:
    speak = shutil.which("espeak-ng")
    if speak is None:
        if RECORDED.exists():
            return RECORDED
        raise LookupError("There is no espeak-ng on this computer to make a sample video with.")
    sound = folder / "company-news.wav"
    subprocess.run([speak, "-v", "en-us+f5", "-s", "140", "-w", str(sound), TALK], check=True, capture_output=True)
    return sound


@contextlib.contextmanager
def site(folder: Path) -> Iterator[str]:
    """Serve `folder` on a port of the loopback interface; yields the address."""
    handler = functools.partial(_Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def list_directory(self, path: object) -> None:
        """A site with videos, and no list of files."""
        self.send_error(404, html.escape("Nothing here"))
