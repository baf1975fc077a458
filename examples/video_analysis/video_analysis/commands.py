"""`flask --app video_analysis db …`: the database's commands."""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import AppGroup

from video_analysis import migrations

group = AppGroup("db", help="The application's database.")


def init_app(app: Flask) -> None:
    app.cli.add_command(group)


@group.command("upgrade")
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Bring the database to REVISION, the newest if none is named."""
    migrations.upgrade(revision)
    click.echo(f"The database is at {revision}.")


@group.command("downgrade")
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the database back to REVISION, "base" for an empty one."""
    migrations.downgrade(revision)
    click.echo(f"The database is at {revision}.")
