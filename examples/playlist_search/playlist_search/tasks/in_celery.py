"""The tasks in Celery's spelling: one file that runs under Celery and under smallage-as-celery.

What Celery cannot do is done around it: how far a run is stands in the database, because a group of Celery tells it in
one read per task; a video that failed for good returns so instead of raising, because a chord with a failed task does
not call its body; and a second click sends the run again only if no worker has begun it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from celery import Celery, Task, chain, group

from playlist_search import indexing, services, standing
from playlist_search.failures import PASSING, Denied, reason
from playlist_search.models import FAILED
from playlist_search.tasks import Counters
from playlist_search.tasks.pacing import MAX_RETRIES, countdown, priority

LOOK_EVERY = 0.5
"""Seconds between two looks at how a run stands."""


def make_app() -> Celery:
    settings = services.current().settings
    made = Celery("playlist_search", broker=settings.queue(), backend=settings.queue())
    made.conf.update(
        result_expires=settings.run_ttl,
        task_track_started=True,
        # A task is given back when its worker dies. On Redis Celery does that an hour later: its visibility timeout.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
    )
    return made


app = make_app()


@app.task(bind=True, max_retries=MAX_RETRIES, name="playlist_search.index_playlist")
def index_playlist(self: Task[..., None], run_id: str) -> None:
    """The foreman: lists the playlist and has a task run for each video."""
    try:
        if indexing.list_playlist(run_id):
            videos = indexing.videos_of(run_id)
            turn = priority(len(videos))
            tasks = group(index_video.s(run_id, video_id).set(priority=turn) for video_id in videos)
            chain(tasks, finish_run.si(run_id)).apply_async() if videos else finish_run.delay(run_id)
    except Denied as error:
        indexing.listing_failed(run_id, str(error))
        return
    except PASSING as error:
        if self.request.retries >= MAX_RETRIES:
            indexing.listing_failed(run_id, reason(error))
        raise self.retry(exc=error, countdown=countdown(error, self.request.retries)) from error


@app.task(
    bind=True,
    max_retries=MAX_RETRIES,
    time_limit=300,
    rate_limit=services.current().settings.video_rate or None,
    name="playlist_search.index_video",
)
def index_video(self: Task[..., str], run_id: str, video_id: str) -> str:
    """Index one video; returns how that ended."""
    try:
        return indexing.index_video(run_id, video_id)
    except PASSING as error:
        if self.request.retries >= MAX_RETRIES:
            indexing.record(run_id, video_id, FAILED, reason(error))
            return FAILED
        raise self.retry(exc=error, countdown=countdown(error, self.request.retries)) from error
    except Exception as error:
        indexing.record(run_id, video_id, FAILED, reason(error))
        return FAILED


@app.task(name="playlist_search.finish_run")
def finish_run(run_id: str) -> None:
    """All videos have ended, however they ended."""
    indexing.finish(run_id)


# -- what the rest of the program asks for: see `Queue` -----------------------------------------------------------
def start(run_id: str) -> None:
    if index_playlist.AsyncResult(run_id).state == "PENDING":
        index_playlist.apply_async((run_id,), task_id=run_id)


def listing_error(run_id: str) -> str:
    foreman = index_playlist.AsyncResult(run_id)
    return reason(foreman.result) if foreman.failed() else ""


def counters(group_id: str) -> Counters | None:
    counted = standing.outcomes_of(group_id)
    if counted is None:
        return None
    total, failed, waiting = sum(counted.values()), standing.failed_of(counted), counted.get("", 0)
    return Counters(total, total - failed - waiting, failed, 0, not waiting)


def changes(group_id: str, patience: float) -> Iterator[Counters | None]:
    while True:
        now = counters(group_id)
        yield now
        if now is not None and now.ended:
            return
        time.sleep(min(patience, LOOK_EVERY))


def failures(group_id: str) -> Iterator[tuple[int, str]]:
    return iter(())  # each of them has been written down where it happened


def retry(run_id: str, group_id: str, place: int) -> bool:
    video_id = standing.video_at(run_id, place)
    if video_id is not None:
        index_video.apply_async((run_id, video_id), priority=priority(1))
    return video_id is not None


def retry_failed(run_id: str, group_id: str) -> int:
    videos = standing.unfinished(run_id)
    for video_id in videos:
        index_video.apply_async((run_id, video_id), priority=priority(len(videos)))
    return len(videos)
