"""`smallage worker` for click: help texts and errors. A plain command line never comes here (see `main`)."""

from __future__ import annotations

import sys
from typing import Any

import click

from smallage.cli.worker import run_worker
from smallage.cli.worker_options import OPTIONS, Option


def _converted(option: Option) -> Any:
    def convert(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
        if value is None or not callable(option.kind):
            return value
        if option.choices and value.lower() not in option.choices:
            raise click.BadParameter(f"choose one of {', '.join(option.choices)}")
        try:
            return option.kind(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return convert


def _parameters() -> list[click.Parameter]:
    made: list[click.Parameter] = [click.Argument(["where"], required=False, metavar="APP")]
    for option in OPTIONS:
        names = [*option.flags, option.name]
        hidden = option.kind in ("ignored", "ignored-flag")
        if option.kind in ("flag", "ignored-flag"):
            made.append(click.Option(names, is_flag=True, default=None, help=option.help, hidden=hidden))
        else:
            made.append(click.Option(names, callback=_converted(option), help=option.help, hidden=hidden))
    return made


@click.pass_context
def _run(ctx: click.Context, /, where: str | None, **found: Any) -> None:
    """Run tasks of APP: module:object, module:factory(), a module or a file; without it tasks.py or app.py is found.

    TERM or INT: finish what runs, within --shutdown-timeout; again: hand it back now. QUIT: end at once. USR1: print
    all stacks. HUP: replace the children.
    """
    outer: dict[str, Any] = ctx.obj or {}
    found["app"] = where or found.get("app") or outer.get("app")
    found["store"] = found.get("store") or outer.get("store")
    given = {name: value for name, value in found.items() if value not in (None, False)}
    sys.exit(run_worker(given, log_values=bool(outer.get("celery"))))


worker = click.Command(
    "worker", params=_parameters(), callback=_run, help=_run.__doc__, context_settings={"show_default": True}
)
