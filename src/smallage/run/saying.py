"""How errors are told: their names or all that they say, and the frames that are the task's own."""

from __future__ import annotations

import os
import traceback as tracebacks
from types import TracebackType
from typing import Final

from smallage.stores.shelter import sheltered

_HERE: Final = os.path.dirname(__file__) + os.sep

show_values = False
"""Whether the log shows what errors say, as Celery's does. They may hold secrets."""


def said(error: BaseException) -> str:
    return repr(error) if show_values else type(error).__name__


def own_frames(error: BaseException) -> TracebackType | None:
    """The traceback without the frames of this package, which tell nobody anything."""
    here = error.__traceback__
    while here is not None and here.tb_frame.f_code.co_filename.startswith(_HERE):
        here = here.tb_next
    return here


def traceback_text(error: BaseException) -> str:
    """The traceback as text. It reads source files, which an interrupt would leave open."""
    with sheltered():
        return "".join(tracebacks.format_exception(type(error), error, own_frames(error)))
