"""`celery result`."""

from __future__ import annotations

import click

from smallage.cli.target import FAILED, exit_codes, open_app


@click.command()
@click.argument("task_id")
@click.option("-t", "--task", help="Name of the task; changes nothing.")
@click.option("--traceback", is_flag=True, help="Print the traceback instead.")
def result(task_id: str, task: str | None, traceback: bool) -> None:
    """Wait for the task's end and print its value. Exits with 1 if it failed."""
    with exit_codes():
        found = open_app().AsyncResult(task_id)
        value = found.traceback if traceback else found.get(propagate=False)
        failed = not traceback and not found.successful()
    if failed and isinstance(value, BaseException):
        click.echo(f"{type(value).__name__}: {value}", err=True)
        raise click.exceptions.Exit(FAILED)
    click.echo(value)


__all__ = ["result"]
