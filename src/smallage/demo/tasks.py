"""The tasks of the demonstration: what a user writes. A click pushes `index_playlist`; everything else follows."""

from __future__ import annotations

import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smallage import Outcomes, Smallage, Task
from smallage.demo.fetch import TooManyRequests, TransientError, fetch
from smallage.demo.index import Hit, Index
from smallage.demo.view import percentile

URL = "SMALLAGE_URL"
"""It wins over what the code says, also over a user's own environment."""
NAMESPACE = "SMALLAGE_DEMO_NAMESPACE"
INDEX = "SMALLAGE_DEMO_INDEX"
SEARCHES = ("context manager", "floating point", "garbage collection")
SOON = {"countdown": 0.25, "max_retries": 8}
"""Seconds to wait, and how often, where the third party could not answer."""
HELD_S = 20.0
"""How long the foreman waits to be killed, where that is what the demonstration is about."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """The app, the task that a click pushes, and what a worker's environment must say to make the same app."""

    app: Smallage
    index_playlist: Task[Any, Any]
    environment: dict[str, str]


def make(url: str, namespace: str, index_path: Path) -> Tasks:
    """The tasks, on the store at `url`, writing to the index at `index_path`."""
    app = Smallage("demo", changes={"namespace": namespace})
    app.conf.pin("broker_url", url)  # its own stage, whatever the environment says
    index = Index(index_path)

    @app.task(bind=True, name="demo.index_video", autoretry_for=(TransientError,), retry_kwargs=SOON)
    def index_video(self: Any, party: str, number: int, video: str) -> dict[str, Any]:
        """Fetch one transcript and index it. Running it twice leaves one row."""
        try:
            transcript = fetch(party, f"/transcript/{video}", task=self.request.id)
        except TooManyRequests as error:
            raise self.retry(exc=error, countdown=error.retry_after) from error
        index.put(number, video, transcript["title"], transcript["text"])
        first = not self.request.retries and not self.request.crashes
        return {"waited": self.request.waited if first else None, "crashes": self.request.crashes}

    @app.task(name="demo.finish")
    def finish(outcomes: Outcomes) -> dict[str, Any]:
        """Runs once, when every video's task has ended: sums up, and tries the index out."""
        values = list(outcomes.values())
        waits = [value["waited"] for value in values if value["waited"] is not None]
        return {
            "taken_back": sum(1 for value in values if value["crashes"]),
            "wait_p50": percentile(waits, 0.5),
            "wait_p95": percentile(waits, 0.95),
            "searches": {words: _plain(index.search(words)) for words in SEARCHES},
        }

    @app.task(bind=True, name="demo.index_playlist", autoretry_for=(TransientError,), retry_kwargs=SOON)
    def index_playlist(self: Any, party: str, hold: bool = False) -> dict[str, Any]:
        """The foreman: reads the playlist and fans out one task for each item.

        If its process dies after that and it runs again, the same tasks get the same ids, so nothing doubles.
        """
        items = fetch(party, "/playlist", task=self.request.id)["items"]
        rows = ((party, number, item["id"]) for number, item in enumerate(items))
        run = index_video.fan_out(rows, then=finish.s())
        pushed = {"run": run.id, "pid": os.getpid(), "crashes": self.request.crashes}
        self.update_state(state="PUSHED", meta=pushed)
        if hold and not self.request.crashes:
            threading.Event().wait(HELD_S)  # --chaos kills this process now
        return pushed

    return Tasks(app, index_playlist, {URL: url, NAMESPACE: namespace, INDEX: str(index_path)})


def from_environment() -> Tasks:
    """The tasks as `make` made them in the process that started this one."""
    return make(os.environ[URL], os.environ[NAMESPACE], Path(os.environ[INDEX]))


def _plain(found: tuple[int, list[Hit]]) -> tuple[int, list[dict[str, str]]]:
    total, hits = found
    return total, [asdict(hit) for hit in hits]
