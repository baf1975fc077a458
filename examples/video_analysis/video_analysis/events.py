"""Server-sent events: the progress of one analysis, until it has ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from video_analysis import records, shown, tasks

LONGEST_SECONDS = 120
"""A stream ends after this long and the browser connects anew, so that a server can be stopped."""
QUIET_SECONDS = 15
"""After this long without news a comment is sent, which is how the server learns that nobody listens any more."""


def stream(analysis_id: str) -> Iterator[str]:
    """The events of `analysis_id`, beginning with how it stands. Each is the JSON of `shown.progress`."""
    until = time.monotonic() + LONGEST_SECONDS
    analysis = records.load(analysis_id)
    told = shown.progress(analysis)
    told_at = time.monotonic()
    yield _event(told)
    if analysis.ended:
        return
    for _change in tasks.changes(analysis_id):
        analysis = records.load(analysis_id)
        news = shown.progress(analysis)
        if news != told:
            told, told_at = news, time.monotonic()
            yield _event(news)
        elif time.monotonic() - told_at > QUIET_SECONDS:
            told_at = time.monotonic()
            yield ": still there\n\n"
        if analysis.ended or time.monotonic() > until:
            return


def _event(data: dict[str, object]) -> str:
    return f"data: {json.dumps(data)}\n\n"
