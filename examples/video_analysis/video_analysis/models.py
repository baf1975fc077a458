"""The tables: users, their analyses, and what they were charged."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from typing import Any, ClassVar, Literal, TypedDict

from sqlalchemy import JSON, DateTime, Dialect, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

State = Literal["queued", "running", "done", "failed", "refused", "cancelled"]

ENDED: frozenset[str] = frozenset(("done", "failed", "refused", "cancelled"))
"""States that nothing leads out of."""

STEPS = ("download", "split", "transcribe", "join", "analyse", "store")
"""The steps of the pipeline, in their order."""


class Segment(TypedDict):
    """What was said between two moments, in seconds from the start; None where the engine does not say when."""

    start: float | None
    end: float | None
    text: str


class UtcDateTime(TypeDecorator[dt.datetime]):
    """A moment in UTC, also from SQLite, which keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=dt.UTC)


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dt.datetime: UtcDateTime(),
        list[Segment]: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
    }


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def new_id() -> str:
    return str(uuid.uuid4())


def minutes_of(seconds: float) -> int:
    """What `seconds` of video cost: begun minutes, at least one."""
    return max(1, math.ceil(seconds / 60))


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """In lower case."""
    password_hash: Mapped[str] = mapped_column(String(255))
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    """SHA-256 of the token that programs send; the token itself is kept nowhere."""
    session_epoch: Mapped[int] = mapped_column(Integer, default=0)
    """Counts up when the user logs out everywhere: older sessions are void."""
    minutes_quota: Mapped[int] = mapped_column(Integer)
    minutes_used: Mapped[int] = mapped_column(Integer, default=0)
    created: Mapped[dt.datetime] = mapped_column(default=now)

    def __repr__(self) -> str:
        return f"<User {self.id}>"


class Analysis(Base):
    __tablename__ = "analyses"
    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key", name="one_analysis_a_key"),
        Index("analyses_of_a_user", "user_id", "created"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    idempotency_key: Mapped[str] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Of what was asked for: the same key with something else is a mistake of the caller."""
    kind: Mapped[str] = mapped_column(String(8))
    """ "url", or "file" for an upload."""
    source: Mapped[str] = mapped_column(Text)
    """The URL, or the name of the stored file in the folder for uploads."""
    title: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="queued")
    step: Mapped[str | None] = mapped_column(String(20))
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    """How much of the step is done, from 0 to 1."""
    note: Mapped[str] = mapped_column(String(300), default="")
    """What the step says about itself, such as "3 of 12 pieces"."""
    seconds: Mapped[float | None] = mapped_column(Float)
    minutes_reserved: Mapped[int] = mapped_column(Integer, default=0)
    """Counted against the quota while the analysis is under way."""
    transcript: Mapped[list[Segment] | None]
    summary: Mapped[str | None] = mapped_column(Text)
    key_phrases: Mapped[list[str] | None]
    error: Mapped[str | None] = mapped_column(Text)
    task_id: Mapped[str | None] = mapped_column(String(64))
    created: Mapped[dt.datetime] = mapped_column(default=now)
    started: Mapped[dt.datetime | None]
    finished: Mapped[dt.datetime | None]

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def fraction(self) -> float:
        """How much of the whole is done, from 0 to 1, each step counting the same."""
        if self.state == "done":
            return 1.0
        if self.step not in STEPS:
            return 0.0
        return (STEPS.index(self.step) + self.progress) / len(STEPS)


class Charge(Base):
    """That an analysis was paid for. The primary key is what makes a second charge impossible."""

    __tablename__ = "charges"

    analysis_id: Mapped[str] = mapped_column(ForeignKey("analyses.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    minutes: Mapped[int] = mapped_column(Integer)
    created: Mapped[dt.datetime] = mapped_column(default=now)


class Attempt(Base):
    """One try to log in or to register, kept while it counts against the limit."""

    __tablename__ = "attempts"
    __table_args__ = (Index("attempts_of_a_subject", "subject", "at"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    subject: Mapped[str] = mapped_column(String(64))
    """SHA-256 of whose try it is: an e-mail address, a network, or both."""
    at: Mapped[dt.datetime] = mapped_column(default=now)
