"""`smallage call`."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click
import msgspec

from smallage.cli.target import exit_codes, open_app


def _json(ctx: click.Context, parameter: click.Parameter, text: str) -> Any:
    wanted: Any = list if parameter.name == "args" else dict
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"not JSON: {error}") from None
    if not isinstance(value, wanted):
        raise click.BadParameter(f"a JSON {'array' if wanted is list else 'object'} is wanted")
    return value


def _eta(ctx: click.Context, parameter: click.Parameter, text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("an instant such as 2027-01-31T12:00:00+01:00 is wanted") from None


def _expires(ctx: click.Context, parameter: click.Parameter, text: str | None) -> float | dt.datetime | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return _eta(ctx, parameter, text)
    if seconds < 0:
        raise click.BadParameter("seconds from now are wanted, or an instant")
    return seconds


@click.command()
@click.argument("name")
@click.option("-a", "--args", default="[]", callback=_json, help="Positional arguments, a JSON array.")
@click.option("-k", "--kwargs", default="{}", callback=_json, help="Keyword arguments, a JSON object.")
@click.option("--queue", help="Queue to send it to.")
@click.option("--priority", type=click.IntRange(0, 9), help="0 is served first.")
@click.option("--countdown", type=click.FloatRange(0), help="Seconds before it may run.")
@click.option("--eta", callback=_eta, help="Instant before which it does not run.")
@click.option("--expires", callback=_expires, help="Seconds, or the instant, after which it is not started any more.")
@click.option("--serializer", help="json or msgpack.")
@click.option("--exchange", help="Celery's; the direct one alone.")
@click.option("--routing-key", help="Celery's name for the queue.")
@click.option("--task-id", help="Its id; a repeat with the same id does nothing.")
def call(name: str, args: list[Any], kwargs: dict[str, Any], **options: Any) -> None:
    """Push the task NAME and print its id."""
    with exit_codes():
        given = {option: value for option, value in options.items() if value is not None}
        result = open_app().send_task(name, args, kwargs, **given)
        click.echo(result.id)
