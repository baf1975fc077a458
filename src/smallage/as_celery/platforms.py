"""What differs from system to system: `celery.platforms`."""

from __future__ import annotations

import platform
import signal as _signal
from typing import TYPE_CHECKING, Any

from smallage.as_celery.absent import attribute
from smallage.cli.background import (
    LockFailed,
    Pidfile,
    create_pidlock,
    detached,
    maybe_drop_privileges,
    parse_gid,
    parse_uid,
)

EX_OK = 0
EX_FAILURE = 1
EX_USAGE = 64
EX_UNAVAILABLE = 69
EX_CANTCREAT = 73

SYSTEM = platform.system()
IS_macOS = SYSTEM == "Darwin"
IS_WINDOWS = SYSTEM == "Windows"


def pyimplementation() -> str:
    """The name of this Python: CPython, PyPy."""
    return platform.python_implementation()


def isatty(fh: Any) -> bool:
    """True if this file is a terminal."""
    try:
        return bool(fh.isatty())
    except (AttributeError, ValueError):
        return False


def signal_name(signum: int) -> str:
    """`"SIGTERM"` for 15."""
    return _signal.Signals(signum).name


__all__ = [
    "EX_CANTCREAT",
    "EX_FAILURE",
    "EX_OK",
    "EX_UNAVAILABLE",
    "EX_USAGE",
    "IS_WINDOWS",
    "SYSTEM",
    "IS_macOS",
    "LockFailed",
    "Pidfile",
    "create_pidlock",
    "detached",
    "isatty",
    "maybe_drop_privileges",
    "parse_gid",
    "parse_uid",
    "pyimplementation",
    "signal_name",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
