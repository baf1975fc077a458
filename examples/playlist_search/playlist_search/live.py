"""The live bar: a run's progress as Server-Sent Events, and as JSON for browsers that may not have another stream.

A stream is a thread of the web server that mostly waits. It holds no database connection: the run is looked up before
the stream begins, and each look at it afterwards is a transaction of its own.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any, cast

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from playlist_search import runs
from playlist_search.accounts import login_required, signed_in
from playlist_search.errors import answer
from playlist_search.runs import Progress, Run

blueprint = Blueprint("live", __name__)

STREAMS_PER_USER = 6
"""As many as a browser opens to one server over HTTP/1.1."""
STREAM_SECONDS = 300
"""After so long a stream ends and the browser comes back by itself, so that a deployment never waits for one."""
RECONNECT_MILLISECONDS = 1500
"""How long the browser waits before it comes back."""


class Streams:
    """Counts the open streams of this process, a user's and all. Used by several threads."""

    def __init__(self, limit: int, per_user: int = STREAMS_PER_USER) -> None:
        self.limit = limit
        self.per_user = per_user
        self._open: Counter[int] = Counter()
        self._lock = threading.Lock()

    def enter(self, user_id: int) -> bool:
        """Take a place; False if there is none. Each True needs one `leave`."""
        with self._lock:
            if self._open[user_id] >= self.per_user or self._open.total() >= self.limit:
                return False
            self._open[user_id] += 1
            return True

    def leave(self, user_id: int) -> None:
        """Give the place back."""
        with self._lock:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]


def init_app(app: Flask) -> None:
    """Bind the live bar to an application."""
    app.extensions["playlist_search.streams"] = Streams(app.config["STREAMS"])
    app.register_blueprint(blueprint)


@blueprint.get("/playlists/<playlist_id>/progress")
@login_required
def progress(playlist_id: str) -> ResponseReturnValue:
    """How far the run is, once."""
    return jsonify(as_json(runs.progress(_run(playlist_id))))


@blueprint.get("/playlists/<playlist_id>/events")
@login_required
def events(playlist_id: str) -> ResponseReturnValue:
    """How far the run is, now and at each change, until it has ended."""
    run = _run(playlist_id)
    if seen := request.headers.get("Last-Event-ID"):
        shot = runs.progress(run)
        if shot.over and seen == event_id(run, shot):
            return "", 204  # the browser has heard the end: this tells it to stop coming back
    user_id = signed_in().id
    streams: Streams = current_app.extensions["playlist_search.streams"]
    if not streams.enter(user_id):
        return answer(429, "Too many pages follow a run; this one asks now and then instead.")
    response = Response(event_stream(run), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
    response.call_on_close(lambda: streams.leave(user_id))
    return response


def event_stream(run: Run) -> Iterator[str]:
    """The events: a snapshot first, then each change, comments in between, "end" last. Each event is the whole state,
    so a browser that comes back has missed nothing."""
    yield f"retry: {RECONNECT_MILLISECONDS}\n\n"
    until = time.monotonic() + STREAM_SECONDS
    last = ""
    with contextlib.closing(cast(Generator[Progress, None, None], runs.changes(run))) as shots:
        for shot in shots:
            data = json.dumps(as_json(shot))
            if data == last:
                yield ": still here\n\n"  # fails when the browser has gone, which frees the thread
            else:
                name = "end" if shot.over else "progress"
                yield f"id: {event_id(run, shot)}\nevent: {name}\ndata: {data}\n\n"
            last = data
            if time.monotonic() > until:
                return


def event_id(run: Run, shot: Progress) -> str:
    """Names what a browser has seen."""
    return f"{run.id}.{shot.state}.{shot.total}.{shot.done}.{shot.failed}"


def as_json(shot: Progress) -> dict[str, Any]:
    """The progress with what the page shows of it, the same for the template and for the script."""
    ended = shot.done + shot.failed
    return {
        "state": shot.state,
        "over": shot.over,
        "total": shot.total,
        "done": shot.done,
        "with_transcript": max(0, shot.done - shot.without_transcript),
        "without_transcript": shot.without_transcript,
        "failed": shot.failed,
        "running": shot.running,
        "eta_seconds": shot.eta_seconds,
        "ended": ended,
        "percent": 100 * ended // shot.total if shot.total else 100 * shot.over,
        "determinate": shot.over or shot.state == "indexing",
        "summary": summary(shot),
    }


def summary(shot: Progress) -> str:
    """One line for people."""
    if shot.state == "failed":
        return f"The playlist could not be listed: {shot.error}"
    if shot.state == "waiting":
        return "Waiting for a worker …"
    if shot.state == "listing":
        return f"Listing the playlist: {shot.total:,} {_videos(shot.total)} so far …"
    if shot.over:
        failed = f", {shot.failed:,} failed" if shot.failed else ""
        return f"Done: {shot.done:,} of {shot.total:,} {_videos(shot.total)} can be searched{failed}."
    return f"{shot.done + shot.failed:,} of {shot.total:,} {_videos(shot.total)}{_left(shot.eta_seconds)}"


def _videos(number: int) -> str:
    return "video" if number == 1 else "videos"


def _left(seconds: int | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f", about {seconds} s left"
    return f", about {round(seconds / 60)} min left"


def _run(playlist_id: str) -> Run:
    """This user's last run of the playlist; answers 404 if there is none, as for somebody else's."""
    run = runs.current(signed_in().id, playlist_id)
    if run is None:
        abort(404)
    return run
