"""Where the store is when nobody says: the project's file, the platform's variable, a folder beside it."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Final

PLATFORM_URL: Final = "REDIS_URL"
"""Set by hosting platforms; asked after pyproject.toml."""
DEFAULT_PATH: Final = os.path.join(".smallage", "queue.db")


def store_url(home: str | None) -> str:
    """`url` under `[tool.smallage]` in the nearest pyproject.toml at or above `home`, else REDIS_URL, else the file
    `.smallage/queue.db` beside that pyproject.toml or where we are."""
    folder = project_folder(home)
    return project_url(folder) or os.environ.get(PLATFORM_URL) or f"sqlite:///{os.path.join(folder, DEFAULT_PATH)}"


def caller_folder() -> str | None:
    """Folder of the file that makes the app: the nearest caller outside this package."""
    own = os.path.dirname(__file__)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((own, "<")):
            return os.path.dirname(os.path.realpath(name)) if os.path.exists(name) else None
        frame = frame.f_back
    return None


def project_folder(home: str | None) -> str:
    """The nearest folder at or above `home` that holds a pyproject.toml, else the working directory."""
    folder, above = home, None
    while folder is not None and folder != above:
        if os.path.isfile(os.path.join(folder, "pyproject.toml")):
            return folder
        folder, above = os.path.dirname(folder), folder
    return os.getcwd()


def project_url(folder: str) -> str | None:
    """`url` under `[tool.smallage]` in the folder's pyproject.toml."""
    import tomllib

    try:
        with open(os.path.join(folder, "pyproject.toml"), "rb") as file:
            url = tomllib.load(file).get("tool", {}).get("smallage", {}).get("url")
    except (OSError, ValueError):
        return None
    return url if isinstance(url, str) else None
