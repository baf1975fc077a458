"""Runs of the indexing, for the web part: start or join one, follow it, try failed videos again."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from playlist_search import indexing, services, shelf
from playlist_search.models import FAILED, INDEXED, NO_TRANSCRIPT, IndexRun, Playlist, RunVideo, Video, now
from playlist_search.tasks import Counters, queue

Run = IndexRun
"""A run, as it was when it was read."""

HEARTBEAT = 1.0
"""Seconds after which `changes` tells something even if nothing has changed."""
PAGE = 50
FEW = 5
"""So many videos have to end before it can be said how long the rest will take."""


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    state: str
    """waiting (for a worker), listing (the playlist), indexing, done, or failed: the playlist could not be listed."""
    total: int
    """Videos known so far; all of them from "indexing" on."""
    done: int
    """Videos that can be found now, those without a transcript among them."""
    failed: int
    without_transcript: int
    running: int
    eta_seconds: int | None
    """None while it cannot be said."""
    error: str = ""
    """Why the playlist could not be listed; for people."""

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed")


@dataclass(frozen=True)
class Failure:
    """A video that could not be indexed."""

    video_id: str
    title: str
    reason: str


# -- starting -----------------------------------------------------------------------------------------------------
def start(user_id: int, playlist_id: str, forced: bool = False) -> Run:
    """Start indexing one of the user's playlists, or join the run that is under way; `forced` fetches transcripts anew
    that are known.

    The decision is one INSERT that a UNIQUE column lets through once, whatever number of web processes is asked at the
    same moment. The task is sent by all of them, under the run's id, and so is there once, even if the first of them
    died before it could send it. Raises LookupError for a playlist that is not the user's.
    """
    while True:
        with services.current().db.writing() as session:
            _check(session, user_id, playlist_id)
            run, is_new = _insert_or_find(session, user_id, playlist_id, forced)
        if not is_new and _is_over(run):
            continue
        queue().start(run.id)
        return run


def _check(session: Session, user_id: int, playlist_id: str) -> None:
    if (
        session.scalar(select(Playlist.id).where(Playlist.user_id == user_id, Playlist.youtube_id == playlist_id))
        is None
    ):
        raise LookupError(f"There is no playlist {playlist_id} of yours.")


def _insert_or_find(session: Session, user_id: int, playlist_id: str, forced: bool) -> tuple[Run, bool]:
    """The run that is under way, after making it if there was none, and whether it was made."""
    own = str(uuid.uuid4())
    key = _key(user_id, playlist_id)
    values = {
        "id": own,
        "group_id": str(uuid.uuid4()),
        "user_id": user_id,
        "playlist_id": playlist_id,
        "forced": forced,
        "active": key,
        "started": now(),
        "found": 0,
        "error": "",
    }
    while True:
        session.execute(shelf.upsert(session, IndexRun, ("active",), ()), values)
        run = session.scalar(select(IndexRun).where(IndexRun.active == key))
        if run is not None:  # else it ended between the two statements
            return run, run.id == own


def _key(user_id: int, playlist_id: str) -> str:
    return f"{user_id}:{playlist_id}"


def _is_over(run: Run) -> bool:
    """Whether a run that counts as under way has ended, or is too old to wait for; it no longer counts then."""
    oldest = now() - dt.timedelta(seconds=services.current().settings.run_ttl)
    if run.started > oldest and not progress(run).over:
        return False
    indexing.finish(run.id)
    return True


# -- following ----------------------------------------------------------------------------------------------------
def get(user_id: int, run_id: str) -> Run | None:
    """One of the user's runs."""
    with services.current().db.reading() as session:
        return session.scalar(select(IndexRun).where(IndexRun.id == run_id, IndexRun.user_id == user_id))


def current(user_id: int, playlist_id: str) -> Run | None:
    """The last run of a playlist, under way or ended, unless it was started longer ago than the settings' `run_ttl`."""
    oldest = now() - dt.timedelta(seconds=services.current().settings.run_ttl)
    chosen = select(IndexRun).where(
        IndexRun.user_id == user_id, IndexRun.playlist_id == playlist_id, IndexRun.started > oldest
    )
    with services.current().db.reading() as session:
        return session.scalar(chosen.order_by(IndexRun.started.desc()).limit(1))


def progress(run: Run) -> Progress:
    """How far the run is: the counters of its tasks, which are one read at any number of videos, and how many videos
    had no transcript."""
    return _progress(run.id, queue().counters(run.group_id))


def changes(run: Run, heartbeat: float = HEARTBEAT) -> Iterator[Progress]:
    """Progress now, then whenever it changes, at most ten times a second, and every `heartbeat` seconds anyway. Ends
    with the run."""
    for counters in queue().changes(run.group_id, heartbeat):
        shown = _progress(run.id, counters)
        yield shown
        if shown.over:
            return


def _progress(run_id: str, counters: Counters | None) -> Progress:
    run, ended_as = _read(run_id)
    if run.finished is None:
        if counters is None and (error := queue().listing_error(run_id)):
            indexing.listing_failed(run_id, error)  # its worker died too often to say so itself
            run, ended_as = _read(run_id)
        elif counters is not None and counters.ended:
            indexing.finish(run_id, queue().failures(run.group_id) if counters.failed else ())
    without = ended_as.get(NO_TRANSCRIPT, 0)
    if counters is None:
        done = ended_as.get(INDEXED, 0) + without
        return Progress(_state(run), run.found, done, ended_as.get(FAILED, 0), without, 0, None, run.error)
    shown = Progress(
        "done" if counters.ended else "indexing",
        max(counters.total, run.found),
        counters.done,
        counters.failed,
        without,
        counters.running,
        None,
        run.error,
    )
    return replace(shown, eta_seconds=_eta(run, shown))


def _read(run_id: str) -> tuple[Run, dict[str, int]]:
    """The run as it is now, and how many of its videos ended how."""
    with services.current().db.reading() as session:
        return session.get_one(IndexRun, run_id), indexing.counts(session, run_id)


def _state(run: Run) -> str:
    """The state of a run whose tasks are not there, or not remembered."""
    if run.error:
        return "failed"
    if run.finished is not None:
        return "done"
    return "listing" if run.found else "waiting"


def _eta(run: Run, shown: Progress) -> int | None:
    """Seconds that the rest will take if it goes on as it went until now."""
    ended = shown.done + shown.failed
    if shown.over or run.listed is None or ended < FEW:
        return None
    return round((now() - run.listed).total_seconds() / ended * (shown.total - ended))


# -- failures -----------------------------------------------------------------------------------------------------
def failures(run: Run, page: int = 1) -> list[Failure]:
    """The videos of a run that could not be indexed, 50 a page, the first page being 1."""
    chosen = (
        select(RunVideo.video_id, Video.title, RunVideo.reason)
        .join(Video, Video.id == RunVideo.video_id)
        .where(RunVideo.run_id == run.id, RunVideo.outcome == FAILED)
        .order_by(RunVideo.place)
        .limit(PAGE)
        .offset((max(page, 1) - 1) * PAGE)
    )
    with services.current().db.reading() as session:
        return [Failure(*row) for row in session.execute(chosen)]


def retry_video(run: Run, video_id: str) -> Run:
    """Try one failed video again. Returns the run to follow: this one, or another of the same playlist that is under
    way or had to be started because the queue remembers this one no more."""
    with services.current().db.reading() as session:
        place = session.scalar(
            select(RunVideo.place).where(
                RunVideo.run_id == run.id, RunVideo.video_id == video_id, RunVideo.outcome == FAILED
            )
        )
    if place is None:
        return run  # somebody was faster
    if _reopen(run, video_id) and queue().retry(run.id, run.group_id, place):
        return run
    return _anew(run)


def retry_failed(run: Run) -> Run:
    """Try all failed videos of a run again; returns the run to follow, as `retry_video` does."""
    if _reopen(run) and queue().retry_failed(run.id, run.group_id):
        return run
    return _anew(run)


def _reopen(run: Run, video_id: str | None = None) -> bool:
    """Let the run be under way again, with this failed video, or all of them, to be done. False if another run of the
    playlist is under way."""
    failed = update(RunVideo).where(RunVideo.run_id == run.id, RunVideo.outcome == FAILED)
    if video_id is not None:
        failed = failed.where(RunVideo.video_id == video_id)
    try:
        with services.current().db.writing() as session:
            session.execute(
                update(IndexRun)
                .where(IndexRun.id == run.id)
                .values(finished=None, active=_key(run.user_id, run.playlist_id))
            )
            session.execute(failed.values(outcome="", reason=""))
    except IntegrityError:
        return False
    return True


def _anew(run: Run) -> Run:
    """A run that takes up whatever has not been indexed yet."""
    if queue().counters(run.group_id) is None:
        indexing.finish(run.id)
    return start(run.user_id, run.playlist_id)
