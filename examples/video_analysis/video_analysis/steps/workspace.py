"""A folder for each video that is being analysed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from video_analysis.steps.errors import StepFailed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


class Workspace:
    """The files of one analysis, in a folder of its own under `root`.

    Raises ValueError for an id that would not do as the name of a folder.
    """

    def __init__(self, root: Path, analysis_id: str) -> None:
        if not _NAME.fullmatch(analysis_id):
            raise ValueError("The id of an analysis has letters, digits and hyphens only.")
        self.folder = root / analysis_id

    def path(self, name: str) -> Path:
        return self.folder / name

    def has(self, name: str) -> bool:
        """Is this result there? It is complete then."""
        return self.path(name).is_file()

    def create(self) -> None:
        """Make the folder; the first step does. A later one that does not find it has nothing to work on."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write to, which gets its `name` when the block has ended well and is deleted otherwise.

        Runs of one step that overlap each have a path of their own; the last one to end leaves its file.
        """
        self._require_folder()
        draft = self.path(f"{name}.{secrets.token_hex(4)}.part")
        try:
            yield draft
            os.replace(draft, self.path(name))
        finally:
            draft.unlink(missing_ok=True)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for the block alone."""
        self._require_folder()
        folder = self.path(f"{secrets.token_hex(4)}.part")
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def write_json(self, name: str, value: Any) -> None:
        with self.writing(name) as draft:
            draft.write_text(json.dumps(value), encoding="utf-8")

    def read_json(self, name: str) -> Any:
        """Raises StepFailed when an earlier step's result has gone."""
        try:
            return json.loads(self.path(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise gone() from None

    def remove(self) -> None:
        """Delete the folder and all that is in it; nothing happens if it has gone."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _require_folder(self) -> None:
        if not self.folder.is_dir():
            raise gone()


def gone() -> StepFailed:
    return StepFailed("The files of this analysis have been removed meanwhile. Please submit the video again.")


def left_overs(root: Path, older_than: float) -> list[str]:
    """Names of the folders in which nothing has been made or renamed for `older_than` seconds."""
    if not root.is_dir():
        return []
    limit = time.time() - older_than
    found = []
    for folder in root.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another sweep was faster
            if folder.is_dir() and _NAME.fullmatch(folder.name) and folder.stat().st_mtime <= limit:
                found.append(folder.name)
    return sorted(found)
