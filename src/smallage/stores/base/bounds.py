"""The numbers that all stores keep to."""

from __future__ import annotations

from smallage.core.message import DAY_US

LEASE_US = 15_000_000
"""Default lease of a session."""
TOMBSTONE_US = 60_000_000
TOMBSTONE_MAX = 64 * 2**20 // 128
"""Tombstones kept at most: 64 MiB of them."""
PARKED_US = 7 * DAY_US
MAX_PUSH = 1_000
"""Messages or rows a call; callers split larger batches."""
MAX_CLAIM = 100
MAX_THEN = 1_000
"""Messages and ends together that one settlement may carry."""
MAX_HELD_BACK = 1_000
"""Entries that one claim holds back at most."""
AHEAD_US = 3 * 3600 * 1_000_000
AHEAD_MAX = 50_000
MAX_SCHEDULES = 100
"""Schedules that one call puts at most."""
SCHEDULES = "schedules"
"""Watched by whoever wants to hear of changed schedules."""
ANSWER_US = 60_000_000
"""How long answers to a question are kept."""


def reclaim_delay_us(times: int) -> int:
    """Wait before a task that was taken back for the `times`-th time (from 2) runs again: 1 s, 2 s, 4 s … 60 s."""
    return min(60_000_000, 1_000_000 << min(max(times - 2, 0), 6))
