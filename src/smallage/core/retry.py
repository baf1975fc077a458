"""When a task is tried again: Celery's rules, as arithmetic on plain values."""

from __future__ import annotations

from typing import Any, Final, Protocol

MAX_EXPONENT: Final = 62
MAX_DELAY: Final = 10 * 365 * 86_400
"""Seconds; no delay is longer."""


class Rng(Protocol):
    """Where jitter comes from: a `random.Random`, or a test's."""

    def randrange(self, stop: int, /) -> int:
        """A whole number from 0 to below `stop`."""
        ...


def refused(retries: int, limit: int | None) -> bool:
    """True if a task that has been retried `retries` times may not be retried again. None: no limit."""
    return limit is not None and retries + 1 > limit


def backoff(factor: bool | float, retries: int, most: float, jitter: bool, rng: Rng) -> int:
    """Seconds before the next attempt: factor · 2^retries, at most `most`; with jitter a whole number from 0 to that.

    `factor` True counts as 1 and smaller numbers than 1 count as 1.
    """
    whole = max(1, int(factor))
    ceiling = int(min(most, MAX_DELAY, whole * 2 ** min(max(retries, 0), MAX_EXPONENT)))
    ceiling = max(0, ceiling)
    return rng.randrange(ceiling + 1) if jitter else ceiling


def automatic_delay(task: Any, retries: int, rng: Rng) -> float | None:
    """Countdown that `autoretry_for` chooses: back-off, else what `retry_kwargs` says, else None (the task's default).

    `task` has the attributes `retry_backoff`, `retry_backoff_max`, `retry_jitter` and `retry_kwargs`.
    """
    if task.retry_backoff:
        return backoff(task.retry_backoff, retries, task.retry_backoff_max, task.retry_jitter, rng)
    countdown: float | None = task.retry_kwargs.get("countdown")
    return countdown


def reject_delay_us(releases: int) -> int:
    """Wait of a task that rejected itself back to its queue: none at first, then 1 s, 2 s, 4 s … 60 s."""
    if releases <= 0:
        return 0
    return min(60_000_000, 1_000_000 << min(releases - 1, 6))
