"""The tasks in Smallage's own spelling: a foreman fans out one task a video, and the group of them is followed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from playlist_search import indexing, services
from playlist_search.failures import PASSING, Denied, reason
from playlist_search.models import FAILED
from playlist_search.settings import Settings
from playlist_search.tasks import Counters
from playlist_search.tasks.pacing import MAX_RETRIES, countdown, priority
from smallage import AsyncResult, Outcomes, Smallage, Task

app = Smallage("playlist_search")

INDEX_VIDEO = "playlist_search.index_video"


def queue_settings(settings: Settings) -> dict[str, Any]:
    """The queue's settings, for `app.config["CELERY"]` or `app.config_from_object`."""
    return {
        "broker_url": settings.queue(),
        "result_expires": settings.run_ttl,
        "task_annotations": {INDEX_VIDEO: {"rate_limit": settings.video_rate or None}},
    }


def configure() -> Smallage:
    """The queue, set up by this process's settings: for programs without Flask."""
    app.config_from_object(queue_settings(services.current().settings))
    return app


# -- the tasks ----------------------------------------------------------------------------------------------------
@app.task(bind=True, max_retries=MAX_RETRIES, name="playlist_search.index_playlist")
def index_playlist(self: Task[..., None], run_id: str) -> None:
    """The foreman: lists the playlist and has a task run for each video. It may be killed at any point and run again:
    the same videos come out in the same order, and what is sent twice under one id is there once."""
    try:
        if indexing.list_playlist(run_id):
            videos = indexing.videos_of(run_id)
            index_video.fan_out(
                ((run_id, video_id) for video_id in videos),
                then=finish_run.s(run_id).set(task_id=f"{run_id}:finish"),
                task_id=indexing.group_of(run_id),
                priority=priority(len(videos)),
            )
    except Denied as error:
        indexing.listing_failed(run_id, str(error))
        return
    except PASSING as error:
        if self.request.retries >= MAX_RETRIES:
            indexing.listing_failed(run_id, reason(error))
        raise self.retry(exc=error, countdown=countdown(error, self.request.retries)) from error


@app.task(bind=True, max_retries=MAX_RETRIES, time_limit=300, name=INDEX_VIDEO)
def index_video(self: Task[..., str], run_id: str, video_id: str) -> str:
    """Index one video; returns how that ended."""
    try:
        return indexing.index_video(run_id, video_id)
    except PASSING as error:
        if self.request.retries >= MAX_RETRIES:
            indexing.record(run_id, video_id, FAILED, reason(error))
        raise self.retry(exc=error, countdown=countdown(error, self.request.retries)) from error
    except Exception as error:
        indexing.record(run_id, video_id, FAILED, reason(error))
        raise


@app.task(name="playlist_search.finish_run")
def finish_run(outcomes: Outcomes, run_id: str) -> None:
    """All videos have ended, however they ended."""
    indexing.finish(run_id, _failures(outcomes))


# -- what the rest of the program asks for: see `Queue` -----------------------------------------------------------
def start(run_id: str) -> None:
    index_playlist.apply_async((run_id,), task_id=run_id)


def listing_error(run_id: str) -> str:
    foreman = index_playlist.AsyncResult(run_id)
    return reason(foreman.result) if foreman.failed() else ""


def counters(group_id: str) -> Counters | None:
    return _counters(app.GroupResult(group_id).snapshot())


def changes(group_id: str, patience: float) -> Iterator[Counters | None]:
    group = app.GroupResult(group_id)
    while True:
        try:
            for shot in group.progress(timeout=patience):
                yield _counters(shot)
            return
        except TimeoutError:
            pass  # nothing new for a while: tell how it stands all the same


def failures(group_id: str) -> Iterator[tuple[int, str]]:
    return _failures(Outcomes(app, group_id))


def retry(run_id: str, group_id: str, place: int) -> bool:
    member: AsyncResult[str] = app.GroupResult(group_id).results[place]
    return member.retry()


def retry_failed(run_id: str, group_id: str) -> int:
    return app.GroupResult(group_id).retry_failed()


def _counters(shot: Any) -> Counters | None:
    if not shot.total and not shot.ended:
        return None
    return Counters(shot.total, shot.done, shot.failed + shot.cancelled, shot.running, shot.ended)


def _failures(outcomes: Outcomes) -> Iterator[tuple[int, str]]:
    return ((place, reason(error)) for place, _, error in outcomes.failures())
