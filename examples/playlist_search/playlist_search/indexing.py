"""The work itself, without any queue: list a playlist, index a video, end a run. Each may be done twice, or be cut off
and done again, and comes to the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from playlist_search import services, shelf
from playlist_search.documents import Document
from playlist_search.failures import NoTranscript
from playlist_search.models import FAILED, INDEXED, NO_TRANSCRIPT, IndexRun, Playlist, RunVideo, Video, now

REASON_CHARACTERS = 300


# -- the playlist -------------------------------------------------------------------------------------------------
def list_playlist(run_id: str) -> bool:
    """Find all videos of the run's playlist, page by page. False when the run is not there or is over, as when it has
    been given up for another."""
    parts = services.current()
    with parts.db.reading() as session:
        run = session.get(IndexRun, run_id)
    if run is None or run.finished is not None:
        return False
    if run.listed is not None:
        return True  # done by an earlier attempt: the same videos in the same order
    with parts.db.writing() as session:
        session.execute(delete(RunVideo).where(RunVideo.run_id == run_id))
    found = shelf.with_access(run.user_id, lambda token: _list_pages(run, token))
    with parts.db.writing() as session:
        shelf.save_places(session, run.user_id, run.playlist_id, found)
        session.execute(update(IndexRun).where(IndexRun.id == run_id).values(listed=now(), found=len(found)))
        session.execute(
            update(Playlist)
            .where(Playlist.user_id == run.user_id, Playlist.youtube_id == run.playlist_id)
            .values(videos=len(found))
        )
    return True


def _list_pages(run: IndexRun, token: str) -> list[str]:
    """The ids of the videos, each of them once."""
    parts = services.current()
    found: dict[str, None] = {}
    for page in parts.youtube.video_pages(token, run.playlist_id):
        new = list(dict.fromkeys(item.id for item in page if item.id not in found))
        rows = [
            {"run_id": run.id, "place": place, "video_id": one, "outcome": "", "reason": ""}
            for place, one in enumerate(new, start=len(found))
        ]
        with parts.db.writing() as session:
            shelf.save_videos(session, page)
            if rows:
                session.execute(shelf.upsert(session, RunVideo, ("run_id", "place"), ("video_id",)), rows)
            found.update(dict.fromkeys(new))
            session.execute(update(IndexRun).where(IndexRun.id == run.id).values(found=len(found)))
    return list(found)


def videos_of(run_id: str) -> list[str]:
    """The videos of a run that has been listed, in order: the n-th is the n-th member of the run's group."""
    with services.current().db.reading() as session:
        return list(
            session.scalars(select(RunVideo.video_id).where(RunVideo.run_id == run_id).order_by(RunVideo.place))
        )


def group_of(run_id: str) -> str:
    """The id for the group of the run's tasks."""
    with services.current().db.reading() as session:
        return session.get_one(IndexRun, run_id).group_id


def listing_failed(run_id: str, reason: str) -> None:
    """The playlist cannot be listed: the run is over."""
    with services.current().db.writing() as session:
        session.execute(
            update(IndexRun)
            .where(IndexRun.id == run_id, IndexRun.finished.is_(None))
            .values(finished=now(), active=None, error=reason[:REASON_CHARACTERS])
        )


# -- a video ------------------------------------------------------------------------------------------------------
def index_video(run_id: str, video_id: str) -> str:
    """Fetch the video's transcript and make the video findable; returns how that ended. One that was indexed before is
    not fetched again, unless the run is forced. Raises RateLimited and Later, to be tried again."""
    parts = services.current()
    with parts.db.reading() as session:
        video = session.get_one(Video, video_id)
        forced = bool(session.scalar(select(IndexRun.forced).where(IndexRun.id == run_id)))
    if video.outcome == INDEXED and not forced:
        record(run_id, video_id, INDEXED)
        return INDEXED
    try:
        transcript = parts.transcripts.fetch(video_id)
    except NoTranscript as error:
        parts.search.put(Document(video_id, video.title, video.description))
        record(run_id, video_id, NO_TRANSCRIPT, str(error))
        return NO_TRANSCRIPT
    parts.search.put(Document(video_id, video.title, video.description, transcript.lines))
    record(run_id, video_id, INDEXED, language=transcript.language)
    return INDEXED


def record(run_id: str, video_id: str, outcome: str, reason: str = "", **more: Any) -> None:
    """Write down how a video's indexing ended. What was indexed before stays so when a later attempt fails."""
    reason = reason[:REASON_CHARACTERS]
    video = update(Video).where(Video.id == video_id)
    if outcome == FAILED:
        video = video.where(Video.outcome.not_in((INDEXED, NO_TRANSCRIPT)))
    with services.current().db.writing() as session:
        session.execute(video.values(outcome=outcome, reason=reason, tried=now(), **more))
        session.execute(
            update(RunVideo)
            .where(RunVideo.run_id == run_id, RunVideo.video_id == video_id)
            .values(outcome=outcome, reason=reason)
        )


# -- the end ------------------------------------------------------------------------------------------------------
def finish(run_id: str, failures: Iterable[tuple[int, str]] = ()) -> None:
    """All videos' tasks have ended: the run is over. `failures` has (place, reason) of tasks that could not say so
    themselves, because their worker died with them."""
    with services.current().db.writing() as session:
        for place, reason in failures:
            session.execute(
                update(RunVideo)
                .where(RunVideo.run_id == run_id, RunVideo.place == place, RunVideo.outcome == "")
                .values(outcome=FAILED, reason=reason[:REASON_CHARACTERS])
            )
        session.execute(
            update(IndexRun)
            .where(IndexRun.id == run_id, IndexRun.finished.is_(None))
            .values(finished=now(), active=None)
        )


def counts(session: Session, run_id: str) -> dict[str, int]:
    """How many videos of a run ended how; "" are those that have not ended."""
    rows = session.execute(
        select(RunVideo.outcome, func.count()).where(RunVideo.run_id == run_id).group_by(RunVideo.outcome)
    )
    return {row[0]: row[1] for row in rows}
