"""`flask smallage …`: the commands of `smallage` for the application that `flask --app` names."""

from __future__ import annotations

import os
from typing import Any

import click

WHERE = "smallage.contrib.flask:loaded_app()"
"""How every process of a worker finds the app."""


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run tasks, fire schedules, look at queues.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def smallage(info: Any, arguments: tuple[str, ...]) -> None:
    """Commands of smallage for this application: `flask smallage worker`, `flask smallage --help`."""
    from smallage.cli import run

    path = getattr(info, "app_import_path", None)
    if path:
        os.environ["FLASK_APP"] = path  # for the processes of a worker, which begin anew
    run(["-A", WHERE, *arguments], "flask smallage")
