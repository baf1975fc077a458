"""How a step tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

Report = Callable[[float, str], None]
"""`report(fraction, note)`: so much of the step is done, from 0 to 1; the note is for the user."""


def silent(fraction: float, note: str) -> None:
    """A report that nobody reads."""


def at_most_every(seconds: float, report: Report) -> Report:
    """`report`, leaving out what follows the last word too soon. The end of a step (1.0) is never left out."""
    last = float("-inf")

    def told(fraction: float, note: str) -> None:
        nonlocal last
        if fraction >= 1 or time.monotonic() - last >= seconds:
            last = time.monotonic()
            report(fraction, note)

    return told
