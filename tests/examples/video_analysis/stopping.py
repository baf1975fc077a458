"""The application for a worker that stands still at chosen points, each once, so that a test can kill it there.

`STOPS` names a folder and the points; a process that has come to one writes its id to the file of that name.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask

import video_analysis
from video_analysis import records
from video_analysis.pipeline import Pipeline
from video_analysis.steps import engines


def create_app() -> Flask:
    folder, *points = os.environ["STOPS"].split(",")
    stop = functools.partial(stand_still, Path(folder), points)
    _after(Pipeline, "download", stop)
    _after(Pipeline, "split", stop)
    _after(engines, "engine", stop)
    _after(records, "finish", stop)
    return video_analysis.create_app()


def stand_still(folder: Path, points: list[str], point: str) -> None:
    """Wait to be killed, if nobody has stood here before."""
    if point not in points:
        return
    draft = folder / f"{point}.{os.getpid()}"
    draft.write_text(str(os.getpid()))
    try:
        os.link(draft, folder / point)
    except FileExistsError:
        return
    while True:
        signal.pause()


def _after(home: Any, name: str, stop: Callable[[str], None]) -> None:
    """Let `home.name` come to the point of that name when it has done its work."""
    done = getattr(home, name)

    @functools.wraps(done)
    def stopping(*args: Any, **kwargs: Any) -> Any:
        value = done(*args, **kwargs)
        stop(name)
        return value

    setattr(home, name, stopping)
