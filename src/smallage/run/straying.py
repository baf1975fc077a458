"""A body forked, and its child came back from it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn


def leave(error: BaseException | None) -> NoReturn:
    """End this process as Python would: it is a child of the worker's, holds none of its tasks and may tell the store
    nothing."""
    code = 0
    with suppress(Exception):
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            code = 1
            sys.excepthook(type(error), error, error.__traceback__)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code & 0xFF)
