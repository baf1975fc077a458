"""Uploaded files: kept under names of our own, looked into before they are accepted, gone after their analysis."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from werkzeug.datastructures import FileStorage

from video_analysis import records
from video_analysis.models import new_id
from video_analysis.problems import Problem
from video_analysis.steps import audio
from video_analysis.steps.errors import StepFailed

TYPES = ("audio/", "video/", "application/octet-stream", "application/ogg", "application/mp4", "application/x-matroska")
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Upload:
    """A file in the folder for uploads."""

    path: Path
    title: str
    """What the user called it, to be shown to them. It is never part of a path."""
    digest: str
    """SHA-256 of what is in it."""

    @property
    def name(self) -> str:
        return self.path.name

    @classmethod
    def keep(cls, file: FileStorage, folder: Path) -> Upload:
        """Write `file` into `folder`, readable for this program alone. Raises Problem 415 for what is no video."""
        if file.mimetype and not file.mimetype.startswith(TYPES):
            raise Problem(415, f"A video or a sound recording is needed, not {file.mimetype[:100]}.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / new_id()
        digest = hashlib.sha256()
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as kept:
                while chunk := file.stream.read(CHUNK):
                    digest.update(chunk)
                    kept.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return cls(path, title_of(file.filename or ""), digest.hexdigest())

    def seconds(self) -> float | None:
        """How long it says it is, None if it does not say. Raises Problem 422 when it has no sound."""
        try:
            return audio.seconds_of(self.path)
        except StepFailed as error:
            raise Problem(422, str(error)) from None

    def discard(self) -> None:
        """Delete it."""
        self.path.unlink(missing_ok=True)


def nobodys(folder: Path, older_than: float) -> list[Path]:
    """Uploads of at least `older_than` seconds that no open analysis is made of, as a web server leaves them that dies
    between the file and its row."""
    limit = time.time() - older_than
    old = []
    for file in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # its analysis has ended meanwhile, or another sweep was faster
            if file.stat().st_mtime <= limit:
                old.append(file)
    return [file for file in old if not records.needs_upload(file.name)]


def title_of(filename: str) -> str:
    """What to call a file that a browser named `filename`: its last part, without what cannot be seen."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    seen = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in last)
    return " ".join(seen.split())[:200].lstrip(".") or "Untitled"
