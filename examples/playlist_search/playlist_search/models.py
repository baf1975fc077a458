"""The tables: users, their playlists, videos that playlists share, runs of the indexing, and what is searched."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import JSON, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


def now() -> dt.datetime:
    """The time of day in UTC."""
    return dt.datetime.now(dt.UTC)


class Moment(TypeDecorator[dt.datetime]):
    """A point in time, always with its zone, UTC; SQLite keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """All tables."""

    type_annotation_map = {dt.datetime: Moment}  # noqa: RUF012 - SQLAlchemy's own spelling


class User(Base):
    """Somebody who has logged in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), unique=True)
    """The OpenID provider's name for this person, which never changes."""
    email: Mapped[str] = mapped_column(String(320), default="")
    name: Mapped[str] = mapped_column(String(255), default="")
    picture: Mapped[str] = mapped_column(Text, default="")
    token: Mapped[str] = mapped_column(Text, default="")
    """The OAuth token, encrypted: see vault.py."""
    created: Mapped[dt.datetime] = mapped_column(default=now)
    playlists_at: Mapped[dt.datetime | None]
    """When the list of playlists was fetched."""


class Playlist(Base):
    """A playlist as one user has it."""

    __tablename__ = "playlists"
    __table_args__ = (UniqueConstraint("user_id", "youtube_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    youtube_id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(Text)
    thumbnail: Mapped[str] = mapped_column(Text, default="")
    videos: Mapped[int] = mapped_column(default=0)
    """How many it has, as YouTube says."""
    place: Mapped[int] = mapped_column(default=0)


class Video(Base):
    """A video, however many playlists it is in."""

    __tablename__ = "videos"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, default="")
    thumbnail: Mapped[str] = mapped_column(Text, default="")
    outcome: Mapped[str] = mapped_column(String(16), default="")
    """How its last indexing ended: empty (never tried), or one of OUTCOMES."""
    reason: Mapped[str] = mapped_column(Text, default="")
    language: Mapped[str] = mapped_column(String(16), default="")
    tried: Mapped[dt.datetime | None]


INDEXED, NO_TRANSCRIPT, FAILED = "indexed", "no_transcript", "failed"
OUTCOMES = (INDEXED, NO_TRANSCRIPT, FAILED)
"""With its transcript, without because there is none (title and description are indexed), or not at all."""


class PlaylistVideo(Base):
    """A place in a playlist."""

    __tablename__ = "playlist_videos"
    __table_args__ = (Index("playlist_videos_by_video", "video_id", "playlist_id"),)

    playlist_id: Mapped[int] = mapped_column(ForeignKey("playlists.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id"))


class IndexRun(Base):
    """One indexing of a playlist."""

    __tablename__ = "index_runs"
    __table_args__ = (Index("index_runs_by_playlist", "user_id", "playlist_id", "started"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    """A UUID, and the id of the task that lists the playlist: sent twice it is there once."""
    group_id: Mapped[str] = mapped_column(String(36), unique=True)
    """A UUID: the group of the videos' tasks."""
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    playlist_id: Mapped[str] = mapped_column(String(64))
    """YouTube's id."""
    forced: Mapped[bool] = mapped_column(default=False)
    """Fetch transcripts anew that are there already."""
    active: Mapped[str | None] = mapped_column(String(128), unique=True)
    """Who and what while it is under way, else NULL: there is one run of a playlist at a time."""
    started: Mapped[dt.datetime] = mapped_column(default=now)
    listed: Mapped[dt.datetime | None]
    """When all of its videos were known."""
    finished: Mapped[dt.datetime | None]
    found: Mapped[int] = mapped_column(default=0)
    """Videos known so far."""
    error: Mapped[str] = mapped_column(Text, default="")
    """Why the playlist could not be listed, if it could not."""


class RunVideo(Base):
    """A video's part in a run."""

    __tablename__ = "run_videos"
    __table_args__ = (
        Index("run_videos_by_outcome", "run_id", "outcome", "place"),
        UniqueConstraint("run_id", "video_id"),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("index_runs.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    """Its place among the tasks of the run's group."""
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id"))
    outcome: Mapped[str] = mapped_column(String(16), default="")
    """Empty while it is not over, else one of OUTCOMES."""
    reason: Mapped[str] = mapped_column(Text, default="")


class Passage(Base):
    """Some lines of a video that are found together: what the database's own full text search is about."""

    __tablename__ = "passages"

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[str] = mapped_column(String(32), index=True)
    title: Mapped[str] = mapped_column(Text)
    """The video's title, so that words of it and of what was said can be found together."""
    text: Mapped[str] = mapped_column(Text)
    lines: Mapped[list[tuple[int, float]]] = mapped_column(JSON)
    """[place in the text, second of the video] of each line; empty for the description."""
