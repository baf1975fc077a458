"""A user's playlists, and the videos in them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from playlist_search import services, tokens
from playlist_search.failures import Denied
from playlist_search.models import INDEXED, NO_TRANSCRIPT, Playlist, PlaylistVideo, User, Video, now
from playlist_search.youtube import PlaylistItem, VideoItem

T = TypeVar("T")


@dataclass(frozen=True)
class PlaylistInfo:
    """A playlist for the list on the page."""

    id: str
    """YouTube's."""
    title: str
    videos: int
    thumbnail: str
    indexed: int
    """How many of its videos can be found."""


def playlists(user_id: int, fresh: bool = False) -> list[PlaylistInfo]:
    """The user's playlists in YouTube's order; fetched there when the known ones are old, or with `fresh`. Raises
    Denied, RateLimited and Later when they have to be fetched and cannot be."""
    parts = services.current()
    with parts.db.reading() as session:
        known_at = session.get_one(User, user_id).playlists_at
    age = dt.timedelta(seconds=parts.settings.playlists_ttl)
    if fresh or known_at is None or now() - known_at > age:
        items = with_access(user_id, lambda token: list(parts.youtube.playlists(token)))
        with parts.db.writing() as session:
            _save_playlists(session, user_id, items)
    with parts.db.reading() as session:
        return _infos(session, user_id)


def playlist(user_id: int, playlist_id: str) -> PlaylistInfo | None:
    """One of the user's playlists, as it is known here."""
    with services.current().db.reading() as session:
        return next(iter(_infos(session, user_id, playlist_id)), None)


def with_access(user_id: int, ask: Callable[[str], T]) -> T:
    """`ask(access token)`, once more with a fresh token when the first is refused."""
    try:
        return ask(tokens.access_token(user_id))
    except Denied as error:
        if error.status != 401:
            raise
    return ask(tokens.access_token(user_id, fresh=True))


def _infos(session: Session, user_id: int, playlist_id: str | None = None) -> list[PlaylistInfo]:
    findable = (
        select(PlaylistVideo.playlist_id, func.count(func.distinct(Video.id)).label("indexed"))
        .join(Video, Video.id == PlaylistVideo.video_id)
        .where(Video.outcome.in_((INDEXED, NO_TRANSCRIPT)))
        .group_by(PlaylistVideo.playlist_id)
        .subquery()
    )
    chosen = (
        select(Playlist, func.coalesce(findable.c.indexed, 0))
        .outerjoin(findable, findable.c.playlist_id == Playlist.id)
        .where(Playlist.user_id == user_id)
        .order_by(Playlist.place)
    )
    if playlist_id is not None:
        chosen = chosen.where(Playlist.youtube_id == playlist_id)
    return [
        PlaylistInfo(one.youtube_id, one.title, one.videos, one.thumbnail, indexed)
        for one, indexed in session.execute(chosen)
    ]


def _save_playlists(session: Session, user_id: int, items: list[PlaylistItem]) -> None:
    """Make the known playlists what YouTube says."""
    kept = [item.id for item in items]
    session.execute(delete(Playlist).where(Playlist.user_id == user_id, Playlist.youtube_id.not_in(kept)))
    for place, item in enumerate(items):
        values = {"title": item.title, "thumbnail": item.thumbnail, "videos": item.videos, "place": place}
        row = {"user_id": user_id, "youtube_id": item.id, **values}
        session.execute(upsert(session, Playlist, ("user_id", "youtube_id"), tuple(values)), row)
    session.execute(update(User).where(User.id == user_id).values(playlists_at=now()))


def save_videos(session: Session, items: Iterable[VideoItem]) -> None:
    """Keep what YouTube says about videos; how their indexing ended stays."""
    rows = {
        item.id: {
            "id": item.id,
            "title": item.title,
            "description": item.description,
            "thumbnail": item.thumbnail,
            "outcome": "",
            "reason": "",
            "language": "",
        }
        for item in items
    }
    if rows:
        # In order of their ids: two transactions that lock the same videos then never wait for each other in a circle.
        ordered = [rows[name] for name in sorted(rows)]
        session.execute(upsert(session, Video, ("id",), ("title", "description", "thumbnail")), ordered)


def save_places(session: Session, user_id: int, playlist_id: str, video_ids: Iterable[str]) -> None:
    """Make these the videos of the user's playlist, in this order."""
    found = session.scalar(select(Playlist.id).where(Playlist.user_id == user_id, Playlist.youtube_id == playlist_id))
    if found is None:
        return  # it was deleted meanwhile
    session.execute(delete(PlaylistVideo).where(PlaylistVideo.playlist_id == found))
    rows = [{"playlist_id": found, "place": place, "video_id": one} for place, one in enumerate(video_ids)]
    if rows:
        session.execute(insert(PlaylistVideo), rows)


def upsert(session: Session, table: type, keys: tuple[str, ...], changed: tuple[str, ...]) -> Any:
    """INSERT … ON CONFLICT: write a row, or these columns of the one that is there; without columns it stays."""
    made: Any = (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(table)
    if not changed:
        return made.on_conflict_do_nothing(index_elements=list(keys))
    new = {name: getattr(made.excluded, name) for name in changed}
    return made.on_conflict_do_update(index_elements=list(keys), set_=new)
