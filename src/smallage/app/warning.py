"""The app's log."""

from __future__ import annotations


def warn(text: str, *values: object) -> None:
    """A line in the log of `smallage.app`."""
    import logging  # costs a program that only pushes more than this file does

    logging.getLogger("smallage.app").warning(text, *values)
