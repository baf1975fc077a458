"""Signals as bytes in a pipe, so that the supervisor's poll wakes for them and nothing is done inside a handler."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)


class SignalPipe:
    """From its making on, the signals of `HEARD` do nothing but make `fileno` readable. Made in another thread than the
    main one it hears none: they are the program's that has the worker in a thread."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        if threading.current_thread() is not threading.main_thread():
            return
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in HEARD:
            signal.signal(number, _do_nothing)

    def fileno(self) -> int:
        return self._read

    def take(self) -> bytes:
        """The numbers of the signals that have come since the last call, in their order."""
        try:
            return os.read(self._read, 256)
        except BlockingIOError:
            return b""


def _do_nothing(signum: int, frame: FrameType | None) -> None:
    pass
