"""When a task is tried again, and who goes first; the same in each spelling."""

from __future__ import annotations

import random

from playlist_search.failures import RateLimited

MAX_RETRIES = 8
LONGEST_BACKOFF = 60.0


def countdown(error: Exception, retries: int) -> float:
    """Seconds until the next attempt: what YouTube asks for, else 1, 2, 4 … with jitter, so that tasks that failed
    together do not come back together."""
    if isinstance(error, RateLimited):
        return error.retry_after + random.uniform(0, 1)
    return min(LONGEST_BACKOFF, 2.0**retries) * random.uniform(0.5, 1)


def priority(videos: int) -> int:
    """Short playlists go first: who has ten videos does not wait for somebody's thousand. 0 is served first."""
    return 3 if videos <= 50 else 6 if videos <= 500 else 9
