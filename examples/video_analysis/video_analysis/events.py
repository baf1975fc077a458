"""Server-sent events: the progress of one analysis, until it has ended."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator

from video_analysis import shown, tasks

STREAMS_PER_USER = 6
"""As many as a browser opens to one server over HTTP/1.1."""
LONGEST_SECONDS = 120
"""A stream ends after this long and the browser connects anew, so that a server can be stopped."""
QUIET_SECONDS = 15
"""After this long without news a comment is sent, which is how the server learns that nobody listens any more."""


class Streams:
    """Counts the open streams of this process, a user's and all, for each takes a thread. Used by several threads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._open: Counter[int] = Counter()
        self._lock = threading.Lock()

    def enter(self, user_id: int) -> bool:
        """Take a place; False if there is none. Each True needs one `leave`."""
        with self._lock:
            if self._open[user_id] >= STREAMS_PER_USER or self._open.total() >= self.limit:
                return False
            self._open[user_id] += 1
            return True

    def leave(self, user_id: int) -> None:
        """Give the place back."""
        with self._lock:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]


def stream(analysis_id: str) -> Iterator[str]:
    """The events of `analysis_id`, beginning with how it stands. Each is the JSON of `shown.progress`."""
    until = time.monotonic() + LONGEST_SECONDS
    told: dict[str, object] = {}
    told_at = time.monotonic()
    for analysis in tasks.changes(analysis_id):
        news = shown.progress(analysis)
        if news != told:
            told, told_at = news, time.monotonic()
            yield _event(news)
        elif time.monotonic() - told_at > QUIET_SECONDS:
            told_at = time.monotonic()
            yield ": still there\n\n"
        if time.monotonic() > until:
            return


def _event(data: dict[str, object]) -> str:
    return f"data: {json.dumps(data)}\n\n"
