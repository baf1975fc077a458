"""The database's history: `upgrade` brings it to the newest version."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from video_analysis import db

if TYPE_CHECKING:
    from alembic.config import Config

LOCK = 7_361_921
"""Number of PostgreSQL's advisory lock under which processes that start together upgrade one after the other."""


# Set before Alembic is loaded, which is when it tells of its plugins: else each start of a worker logs a dozen lines.
logging.getLogger("alembic").setLevel(logging.WARNING)


def upgrade(revision: str = "head") -> None:
    """Bring the database of this process (`db.connect_to`) to `revision`, in one transaction."""
    _run("upgrade", revision)


def downgrade(revision: str) -> None:
    """Take the database back to `revision`, "base" for none."""
    _run("downgrade", revision)


def configuration() -> Config:
    """Alembic's configuration, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _run(direction: str, revision: str) -> None:
    from alembic import command

    config = configuration()
    with db.engine().execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})
        config.attributes["connection"] = connection
        getattr(command, direction)(config, revision)
