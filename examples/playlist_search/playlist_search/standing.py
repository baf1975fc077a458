"""How a run's tasks stand, read from the database: for a queue that cannot tell it of a group in one read."""

from __future__ import annotations

from sqlalchemy import select

from playlist_search import indexing, services
from playlist_search.models import FAILED, IndexRun, RunVideo


def outcomes_of(group_id: str) -> dict[str, int] | None:
    """How many videos of the group's run ended how ("" are those that have not); None before they are all known."""
    with services.current().db.reading() as session:
        run = session.scalar(select(IndexRun).where(IndexRun.group_id == group_id))
        return None if run is None or run.listed is None else indexing.counts(session, run.id)


def failed_of(counted: dict[str, int]) -> int:
    """How many of them failed."""
    return counted.get(FAILED, 0)


def unfinished(run_id: str) -> list[str]:
    """The videos of a run that have no outcome."""
    chosen = select(RunVideo.video_id).where(RunVideo.run_id == run_id, RunVideo.outcome == "")
    with services.current().db.reading() as session:
        return list(session.scalars(chosen.order_by(RunVideo.place)))


def video_at(run_id: str, place: int) -> str | None:
    """The video at a place of a run."""
    with services.current().db.reading() as session:
        return session.scalar(select(RunVideo.video_id).where(RunVideo.run_id == run_id, RunVideo.place == place))
