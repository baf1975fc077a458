"""`smallage worker` for click: help texts and errors. A plain command line never comes here (see `main`)."""

from __future__ import annotations

import sys
from typing import Any

import click

from smallage.cli.own_options import flags_for_a_worker
from smallage.cli.target import find_named
from smallage.cli.worker import run_worker
from smallage.cli.worker_options import FLAGS, OPTIONS, Option, split, split_off
from smallage.worker.own_options import declared


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


class WorkerCommand(click.Command):
    """Takes what it does not know for options of the app's own, if it has such."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words, where = list(args), (ctx.obj or {}).get("app")
        if "--help" in words or "-h" in words:
            ctx.meta[_OWN] = _declared(where or _app_in(words))
        try:
            return super().parse_args(ctx, list(words))
        except click.NoSuchOption:
            known, own = split_off(words)
            where = where or _app_in(known)
            flags = flags_for_a_worker(where)
            if not all(word.partition("=")[0] in flags for word in own if word.startswith("-")):
                raise
        rest = super().parse_args(ctx, known)
        ctx.params["own"] = tuple(own)
        return rest

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *ctx.meta.get(_OWN, ())]


_OWN = "smallage.own"


def _declared(where: str | None) -> list[Any]:
    """The app's own options, to be shown; none if it cannot be loaded."""
    try:
        return declared(find_named(where), "worker")
    except Exception:  # a fault in the app's module; whoever starts the worker will see it
        return []


def _app_in(words: list[str]) -> str | None:
    """The app that a worker's command line names."""
    rest, found = list(words), None
    while rest:
        word = rest.pop(0)
        option, value = split(word, FLAGS)
        if option is None:
            found = found or (None if word.startswith("-") else word)
        elif option.kind not in ("flag", "ignored-flag"):
            value = value if value is not None else rest.pop(0) if rest else None
            if option.name == "app":
                return value
    return found


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


worker = WorkerCommand(
    "worker", params=_parameters(), callback=_run, help=_run.__doc__, context_settings={"show_default": True}
)
