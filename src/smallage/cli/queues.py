"""`smallage queues`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from smallage.cli.output import json_option, print_rows
from smallage.cli.target import exit_codes, open_store

if TYPE_CHECKING:
    from smallage.stores.base import SessionView

STATES = ("ready", "scheduled", "running", "waiting", "parked")


@click.group()
def queues() -> None:
    """What waits where."""


def rows(counts: dict[str, dict[str, int]], workers: dict[str, int]) -> list[dict[str, Any]]:
    """A row for each queue with tasks or workers."""
    names = sorted(({*counts} | {*workers}) - {""})
    return [
        {
            "queue": name,
            **{state: counts.get(name, {}).get(state, 0) for state in STATES},
            "workers": workers.get(name, 0),
        }
        for name in names
    ]


def served(views: Iterable[SessionView]) -> dict[str, int]:
    """{queue: live sessions that serve it}"""
    found: dict[str, int] = {}
    for view in views:
        for queue in view.info.queues:
            found[queue] = found.get(queue, 0) + 1
    return found


@queues.command("list")
@json_option
def list_queues(as_json: bool) -> None:
    """Show the queues with their tasks by state and the sessions that serve them."""
    with exit_codes():
        store = open_store()
        made = rows(store.counts(), served(store.workers()))
    print_rows(made, ("queue", *STATES, "workers"), as_json, "All queues are empty.")


@queues.command()
@click.argument("queue")
def pause(queue: str) -> None:
    """Hand out no more tasks of QUEUE; pushing to it goes on."""
    with exit_codes():
        open_store().pause(queue)


@queues.command()
@click.argument("queue")
def resume(queue: str) -> None:
    """Hand out tasks of QUEUE again."""
    with exit_codes():
        open_store().resume(queue)


@queues.command()
@click.argument("queue")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
def purge(queue: str, force: bool) -> None:
    """Remove the ready and scheduled tasks of QUEUE for good; prints how many."""
    if not force:
        click.confirm(f"Remove all waiting tasks of '{queue}' for good?", abort=True, err=True)
    with exit_codes():
        click.echo(str(open_store().purge(queue)))
