"""Videos in which somebody speaks, and videos that are of no use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from video_analysis.steps.ffmpeg import find_ffmpeg

SENTENCES = (
    "The company reported strong sales in the second quarter.",
    "The company will create new jobs for young people.",
)
RECORDED = Path(__file__).with_name("speech.ogg")
"""What espeak-ng makes of the sentences, for machines that have none."""
SPLIT_AT = 4
"""Seconds after which the second sentence begins."""


def speech(folder: Path) -> Path:
    """The sentences, spoken by espeak-ng."""
    program = shutil.which("espeak-ng")
    if program is None:
        return RECORDED
    spoken = folder / "speech.wav"
    voice = ["-v", "en-us+f5", "-s", "140"]
    subprocess.run([program, *voice, "-w", str(spoken), "\n\n".join(SENTENCES)], check=True, capture_output=True)
    return spoken


def talk(folder: Path) -> Path:
    """An MP4 with a blue picture and the sentences."""
    return video(folder / "talk.mp4", ["-i", str(speech(folder))])


def silent(folder: Path, seconds: float = 2) -> Path:
    """An MP4 in which nobody says anything."""
    return video(folder / "silent.mp4", ["-f", "lavfi", "-t", str(seconds), "-i", "anullsrc=r=16000:cl=mono"])


def picture(folder: Path) -> Path:
    """An MP4 without sound."""
    return video(folder / "picture.mp4", ["-t", "1"])


def video(made: Path, sound: list[str]) -> Path:
    blue = ["-f", "lavfi", "-i", "color=c=navy:s=64x48:r=5"]
    run(*blue, *sound, "-shortest", "-c:v", "mpeg4", "-c:a", "aac", "-b:a", "64k", "-f", "mp4", str(made))
    return made


def wav(folder: Path, *given: str) -> Path:
    """A WAV file as the steps make them, of what ffmpeg is `given` to read."""
    made = folder / "sound.wav"
    run(*given, "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", str(made))
    return made


def run(*arguments: str) -> None:
    subprocess.run([find_ffmpeg(), "-v", "error", "-nostdin", "-y", *arguments], check=True)


def share_of_words(said: str, sentences: tuple[str, ...] = SENTENCES) -> float:
    """How much of the sentences came back."""
    wanted = " ".join(sentences).lower().replace(".", "").split()
    heard = said.lower().replace(".", "").split()
    return sum(word in heard for word in wanted) / len(wanted)
