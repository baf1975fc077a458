"""Celery's fork of multiprocessing: the exceptions that tasks meet, and the standard library's for all else. A task may
start processes by either, as no process of a worker is a daemon."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from smallage.app import launching

VERSION = (4, 2, 0)
__version__ = "4.2.0"


def current_process() -> Any:
    """The process that runs this; in a worker's its number, from 0, is `.index`."""
    process = import_module("multiprocessing").current_process()
    if launching.child is not None:
        process.index = launching.child
    return process


__all__ = ["VERSION", "current_process"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        library = import_module("multiprocessing")  # the program's own processes, not Smallage's
        try:
            return getattr(library, name)
        except AttributeError:
            raise AttributeError(f"module 'billiard' has no attribute '{name}'") from None
