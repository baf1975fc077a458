"""The migrations make what the models say, on both databases, and undo it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from tests.examples.video_analysis.databases import connected
from video_analysis import db, migrations
from video_analysis.models import Base


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'app.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


def test_the_migrations_make_what_the_models_say(url: str) -> None:
    with connected(url), db.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_they_can_be_undone_and_done_again(url: str) -> None:
    with connected(url):
        migrations.downgrade("base")
        assert inspect(db.engine()).get_table_names() == ["alembic_version"]
        migrations.upgrade()
        migrations.upgrade()  # nothing to do
        assert {"users", "analyses", "charges"} <= set(inspect(db.engine()).get_table_names())


def test_they_are_one_line() -> None:
    assert len(ScriptDirectory.from_config(migrations.configuration()).get_heads()) == 1


def test_processes_that_start_together_do_not_meet(tmp_path: Path) -> None:
    code = (
        "import logging, sys\nlogging.basicConfig(level=logging.INFO)\n"
        "from video_analysis import db, migrations\ndb.connect_to(sys.argv[1])\nmigrations.upgrade()"
    )
    arguments = [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'app.db'}"]
    package = str(Path(migrations.__file__).parents[2])
    started = [
        subprocess.Popen(arguments, env={"PYTHONPATH": package}, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in started:
        _, said = process.communicate(timeout=50)
        assert (process.returncode, said) == (0, ""), "nor do Alembic's plugins fill a worker's log"


def test_a_migration_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = command.upgrade

    def fail_at_the_end(config: Config, revision: str) -> None:
        upgrade(config, revision)
        raise RuntimeError("power cut")

    monkeypatch.setattr(command, "upgrade", fail_at_the_end)
    with pytest.raises(RuntimeError, match="power cut"), connected(url):
        pass
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
