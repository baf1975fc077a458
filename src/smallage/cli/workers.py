"""`smallage workers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smallage.cli.output import instant, json_option, print_rows
from smallage.cli.target import exit_codes, open_store
from smallage.core.errors import ImproperlyConfigured
from smallage.stores.base import Order

if TYPE_CHECKING:
    from smallage.stores.base import SessionView

COLUMNS = ("node", "pool", "concurrency", "queues", "running", "host", "pid", "session")


def row(view: SessionView) -> dict[str, Any]:
    """A session as it is shown."""
    info = view.info
    return {
        "node": info.node,
        "pool": info.pool,
        "concurrency": info.concurrency,
        "queues": list(info.queues),
        "running": view.held,
        "host": info.host.name,
        "pid": info.host.pid,
        "session": view.session,
        "lease_end": instant(view.lease_end_us),
    }


@click.group()
def workers() -> None:
    """The live workers: each child of each worker is a session of its own."""


@workers.command("list")
@json_option
def list_workers(as_json: bool) -> None:
    """Show them, with their pools and what they hold."""
    with exit_codes():
        views = open_store().workers()
    print_rows([row(view) for view in sorted(views, key=lambda v: (v.info.node, v.session))], COLUMNS, as_json,
               "No worker is alive. Start one: smallage worker module:app")  # fmt: skip


@workers.command("stop")
@click.argument("node")
def stop_workers(node: str) -> None:
    """Have the worker NODE finish what it runs and end."""
    with exit_codes():
        store = open_store()
        meant = [view for view in store.workers() if view.info.node == node]
        if any(not view.info.listens for view in meant):
            told = f"The worker '{node}' hears no orders (worker_enable_remote_control is off); send its process TERM."
            raise ImproperlyConfigured(told)
        inboxes = {view.info.inbox: view.session for view in meant}
        for session in inboxes.values():
            store.control(Order(session, "shutdown"))
    if not inboxes:
        click.echo(f"smallage: no worker is named '{node}'", err=True)
        raise click.exceptions.Exit(1)
    click.echo(f"{len(inboxes)} worker(s) told to stop", err=True)
