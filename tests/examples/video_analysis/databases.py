"""Databases of the application for tests: a fresh one on SQLite, a fresh one on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from video_analysis import db, migrations
from video_analysis.models import User


@contextlib.contextmanager
def connected(url: str) -> Iterator[None]:
    """The process's database is the one at `url`, brought up to date; closed at the end."""
    db.connect_to(url)
    try:
        migrations.upgrade()
        yield
    finally:
        db.disconnect()


def new_user(email: str = "ann@example.com", quota: int = 10) -> int:
    """A user's id."""
    made = User(email=email, password_hash="!", minutes_quota=quota)
    with db.writing() as session:
        session.add(made)
    return made.id
