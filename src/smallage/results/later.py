"""`then`: something that is called when results are there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

logger = logging.getLogger("smallage.watching")


class _Call:
    """A callback that waits for its result; called once."""

    def __init__(self, result: Any, names: Sequence[str], callback: Any, on_error: Any) -> None:
        self.result, self.names = result, names
        self.callback, self.on_error = callback, on_error
        self.lock = threading.Lock()
        self.over = False

    def begin(self) -> None:
        hub = self.result.app.hub
        for name in self.names:
            hub.add(name, self.told)
        self.look()

    def told(self) -> None:
        """In the hub's thread, which is not to be kept waiting."""
        from smallage.aio import submit

        submit(self.look)

    def look(self) -> None:
        """Call back if the result is there."""
        try:
            if self.over or not self.result.ready():
                return
        except Exception as error:
            logger.warning("Waiting for %s: %s", self.result, error)
            return
        with self.lock:
            first, self.over = not self.over, True
        if not first:
            return
        for name in self.names:
            self.result.app.hub.discard(name, self.told)
        call(self.result, self.callback, self.on_error)


def call(result: Any, callback: Callable[[Any], Any], on_error: Callable[[BaseException], Any] | None) -> None:
    """Call `callback(result)`; what it raises goes to `on_error`, else to the log."""
    try:
        callback(result)
    except Exception as error:
        if on_error is None:
            logger.exception("A callback of %s failed", result)
        else:
            on_error(error)


def call_when_ready(
    result: Any,
    names: Sequence[str],
    callback: Callable[[Any], Any],
    on_error: Callable[[BaseException], Any] | None = None,
) -> Any:
    """Call `callback(result)` once it is ready, one of `names` having changed; returns the result."""
    if result.ready():
        call(result, callback, on_error)
    else:
        _Call(result, names, callback, on_error).begin()
    return result
