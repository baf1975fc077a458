"""What tasks print, as lines in the log."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from smallage.log import REDIRECTED_LOGGER

if TYPE_CHECKING:
    from typing import TextIO


class Redirected:
    """Stands for stdout or stderr: lines go to the log, everything else (`fileno`, `buffer`) to the stream itself."""

    def __init__(self, stream: TextIO, level: int) -> None:
        self._stream, self._level = stream, level
        self._logger = logging.getLogger(REDIRECTED_LOGGER)
        self._local = threading.local()

    def write(self, text: str) -> int:
        """Log the whole lines of `text`; the rest waits for its end. What is printed while that is done goes to the
        stream."""
        local = self._local
        if getattr(local, "busy", False):
            return self._stream.write(text)
        *lines, local.rest = (getattr(local, "rest", "") + str(text)).split("\n")
        self._log(lines)
        return len(text)

    def _log(self, lines: Iterable[str]) -> None:
        self._local.busy = True
        try:
            for line in lines:
                if line.strip():
                    self._logger.log(self._level, "%s", line.rstrip())
        finally:
            self._local.busy = False

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        rest, self._local.rest = getattr(self._local, "rest", ""), ""
        self._log((rest,))
        self._stream.flush()

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redirect(level: int | str) -> None:
    """Send what this process prints from now on to the log, at this level."""
    number = logging.getLevelName(level) if isinstance(level, str) else level
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Redirected):
            setattr(sys, name, Redirected(stream, number))
