"""The analysis as tasks. The rest of the application knows these functions only.

They are there in two spellings: `native.py` is Smallage's own, `in_celery.py` Celery's; the setting `tasks`
(`VIDEO_ANALYSIS_TASKS`) chooses.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from video_analysis import records

if TYPE_CHECKING:
    from flask import Flask

    from video_analysis.models import Analysis
    from video_analysis.settings import Settings

SPELLINGS: Final = {"smallage": "native", "celery": "in_celery"}
BETWEEN = 0.5
"""Seconds between two looks at the records of an analysis that somebody watches."""

_spelling: Any = None


def init_app(app: Flask, settings: Settings) -> None:
    """Bind the tasks to the application. Raises ValueError for a spelling that does not exist."""
    global _spelling
    if settings.tasks not in SPELLINGS:
        raise ValueError(f"VIDEO_ANALYSIS_TASKS is to be one of {', '.join(SPELLINGS)}, not {settings.tasks!r}.")
    _spelling = importlib.import_module(f"{__name__}.{SPELLINGS[settings.tasks]}")
    _spelling.init_app(app, settings)


def unavailable() -> type[Exception]:
    """What `start` raises when the queue cannot be reached."""
    raised: type[Exception] = _spelling.Unavailable
    return raised


def start(analysis_id: str) -> str:
    """Have workers analyse it; the id of the last task. Once: a second call means the run that is under way.

    Raises `unavailable()` when the queue cannot be reached, or has no room.
    """
    started: str = _spelling.start(analysis_id)
    return started


def cancel(analysis_id: str) -> None:
    """Stop what is running of it and drop what waits. The records are to say already that it was cancelled: a step that
    begins all the same sees that, and ends."""
    _spelling.cancel(analysis_id)


def changes(analysis_id: str) -> Iterator[Analysis]:
    """The analysis as it stands, now and again and again, for the last time when it has ended."""
    while True:
        analysis = records.load(analysis_id)
        yield analysis
        if analysis.ended:
            return
        time.sleep(BETWEEN)
