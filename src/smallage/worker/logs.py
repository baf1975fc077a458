"""How a worker logs: Celery's line on a terminal, or one JSON object a line."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from typing import TextIO

_BARE = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}
"""Attributes that every record has; what goes beyond them came with `extra=`."""

_COLOURS = {"ERROR": "\033[31m", "CRITICAL": "\033[31;1m", "WARNING": "\033[33m", "DEBUG": "\033[34m"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, process, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        for name, value in record.__dict__.items():
            if name not in _BARE and name not in line:
                line[name] = value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class TextFormatter(logging.Formatter):
    """Celery's line, coloured by level on a terminal."""

    def __init__(self, process: str, coloured: bool) -> None:
        super().__init__(f"[%(asctime)s: %(levelname)s/{process}] %(message)s")
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        colour = _COLOURS.get(record.levelname) if self._coloured else None
        return f"{colour}{line}\033[0m" if colour else line


def configure(level: str, style: str, process: str) -> None:
    """Log to stderr from `level` on, in `style` text or json; `process` names this process in the lines.

    Handlers that the app has put on the root logger are left alone, and then ours is not added."""
    logging.logMultiprocessing = False
    root = logging.getLogger()
    root.setLevel(level.upper())
    for handler in root.handlers:
        if isinstance(handler.formatter, TextFormatter):  # inherited from the supervisor, with its name
            root.removeHandler(handler)
        else:
            return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter(process, _wants_colour(sys.stderr)))
    root.addHandler(handler)


def _wants_colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()
