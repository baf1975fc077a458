"""ffmpeg as a child process: found, started without rights that it does not need, and never left behind."""

from __future__ import annotations

import ctypes
import functools
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from video_analysis.steps.errors import StepFailed

FORMATS = "mov,matroska,webm,avi,flv,asf,mpeg,mpegts,ogg,wav,mp3,flac,aac,w64,aiff,amr,caf"
"""What a file may be. Playlists and scripts (HLS, concat) are not among them: they name other files and addresses,
which ffmpeg would open."""
INPUT = ("-protocol_whitelist", "file", "-format_whitelist", FORMATS)
_DIE_WITH_PARENT = 1


@functools.cache
def find_ffmpeg() -> str:
    """The program: on the PATH, or the one in the imageio-ffmpeg package. Raises RuntimeError when there is none."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except ImportError:
        raise RuntimeError("There is no ffmpeg: install it, or `pip install imageio-ffmpeg`.") from None


def run(arguments: Sequence[str], timeout: float, hear: Callable[[str], None] | None = None) -> tuple[int, str]:
    """Run ffmpeg and return its exit code and what it wrote to stderr; `hear` gets each line of its stdout.

    It ends with this call, whatever ends the call, and on Linux also with the thread that called, so that a worker's
    `kill -9` leaves no ffmpeg behind. Raises StepFailed when it takes longer than `timeout` seconds.
    """
    late = threading.Event()

    def give_up() -> None:
        late.set()
        process.kill()

    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [find_ffmpeg(), "-hide_banner", "-nostdin", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            preexec_fn=_die_with_parent(),
        )
        timer = threading.Timer(timeout, give_up)
        timer.start()
        try:
            assert process.stdout is not None
            with process.stdout as lines:
                for line in lines:
                    if hear is not None:
                        hear(line.strip())
            process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            timer.join()
        if late.is_set():
            raise StepFailed("Reading this video took too long, so it was given up.")
        errors.seek(0)
        return process.returncode, errors.read().decode("utf-8", "replace")


def input_of(file: Path) -> list[str]:
    """Arguments for reading `file`, which a stranger has made."""
    return [*INPUT, "-i", f"file:{file}"]


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_DIE_WITH_PARENT, signal.SIGKILL)

    return prepare
