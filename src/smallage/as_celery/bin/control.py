"""`celery inspect`, `celery control` and `celery status`."""

from __future__ import annotations

import json
from typing import Any

import click

from smallage.cli.remote import asking_options, chat, control, destinations, inspect, nobody, online
from smallage.cli.target import exit_codes, open_app


@click.pass_context
def _status(ctx: click.Context, /, timeout: float, destination: str | None, as_json: bool) -> None:
    """Show the workers that are online."""
    told: dict[str, Any] = ctx.find_root().obj or {}
    with exit_codes():
        replies = open_app().control.inspect(destination=destinations(destination), timeout=timeout).ping()
    if not replies:
        nobody(told)
    if as_json:
        click.echo(json.dumps(replies))
    else:
        for node, reply in replies.items():
            chat(told, node, reply, False)
    if not told.get("quiet"):
        online(len(replies))


status = click.Command("status", params=asking_options(), callback=_status, help=_status.__doc__)

__all__ = ["control", "inspect", "status"]
