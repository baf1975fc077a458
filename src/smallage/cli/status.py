"""`smallage status`."""

from __future__ import annotations

import sys

import click

from smallage.cli import queues as queues_of
from smallage.cli import workers as workers_of
from smallage.cli.output import json_option, print_json, print_rows, wants_json
from smallage.cli.target import exit_codes, open_store


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Workers, queues and totals at a glance. Exits with 1 if no worker is alive."""
    with exit_codes():
        store = open_store()
        counts, views = store.counts(), store.workers()
    workers = [workers_of.row(view) for view in views]
    queues = queues_of.rows(counts, queues_of.served(views))
    totals = counts.get("", {})
    if wants_json(as_json):
        print_json({"store": store.url, "workers": workers, "queues": queues, "totals": totals})
    else:
        click.echo(f"{store.url}\n")
        print_rows(workers, workers_of.COLUMNS, False, "No worker is alive.")
        click.echo()
        print_rows(queues, ("queue", *queues_of.STATES, "workers"), False, "All queues are empty.")
        click.echo("\n" + ", ".join(f"{number} {name}" for name, number in totals.items() if number))
    sys.exit(0 if workers else 1)
