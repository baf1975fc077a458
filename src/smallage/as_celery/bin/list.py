"""`celery list bindings`."""

from __future__ import annotations

from typing import Any

import click

from smallage.cli.target import exit_codes, open_app


@click.group()
def list() -> None:
    """What the store knows of queues."""


@list.command()
def bindings() -> None:
    """The queues of the settings and those with tasks. A task goes straight to the queue of its routing key."""
    with exit_codes():
        app: Any = open_app()
        names = {*(app.conf.task_queues or (app.conf.task_default_queue,)), *app.store.counts()} - {""}
    for row in (("Queue", "Exchange", "Routing Key"), ("-" * 16,) * 3, *((name, "", name) for name in sorted(names))):
        click.echo("{:<28} {:<28} {}".format(*row))


list_ = list

__all__ = ["list"]
