"""What can go wrong with YouTube, by what is to be done about it."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime

from sqlalchemy.exc import OperationalError

LONGEST_WAIT = 900.0


class NoTranscript(Exception):
    """The video has none, and will have none in a minute: an outcome, not an error."""


class Unreadable(Exception):
    """An answer came that makes no sense."""


class Later(Exception):
    """It did not work now and may work later."""


class RateLimited(Later):
    """Too many requests; again after `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"YouTube asks to come back in {retry_after:g} seconds")
        self.retry_after = retry_after


class Denied(Exception):
    """Access was not granted, or has been taken back; only its owner can help."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


PASSING = (Later, OperationalError)
"""What a task is tried again for. A database that is away, or busy for too long, is among it."""


def reason(error: object) -> str:
    """What people are told of what failed. Texts of exceptions that nobody has foreseen stay in the log."""
    if isinstance(error, OperationalError):
        return "The database did not answer."
    return str(error) if isinstance(error, Later | Unreadable) else f"unexpected: {type(error).__name__}"


def retry_after(header: str | None, default: float) -> float:
    """Seconds that a Retry-After header asks for, in either spelling; `default` without one that can be read."""
    text = (header or "").strip()
    try:
        seconds = float(text) if text.isdigit() else _until(text)
    except ValueError:
        seconds = default
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _until(text: str) -> float:
    """Seconds from now to a date as HTTP writes it. Raises ValueError if it is none."""
    moment = parsedate_to_datetime(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - dt.datetime.now(dt.UTC)).total_seconds()
