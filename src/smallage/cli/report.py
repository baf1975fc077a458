"""`smallage report`."""

from __future__ import annotations

import click

from smallage.cli.target import exit_codes, open_app


@click.command()
def report() -> None:
    """What a report of a fault should say: versions, the store, the settings without secrets."""
    with exit_codes():
        app = open_app()
        app.import_default_modules()
        click.echo(app.bugreport())
