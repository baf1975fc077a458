"""The group of commands; each command's module is imported when it is called."""

from __future__ import annotations

import importlib
from typing import ClassVar

import click

from smallage.__about__ import __version__
from smallage.cli import plugins
from smallage.cli.told import Told

COMMANDS = {
    "worker": ("smallage.cli.worker_command", "Run tasks."),
    "beat": ("smallage.cli.beat", "Send scheduled tasks, apart from the workers."),
    "demo": ("smallage.demo.command", "See it work: a thousand tasks on an embedded store."),
    "doctor": ("smallage.cli.doctor", "Check this installation, its store and its workers."),
    "status": ("smallage.cli.status", "Workers, queues and totals at a glance."),
    "call": ("smallage.cli.call", "Push a task by name and print its id."),
    "result": ("smallage.cli.result", "Show a task's result."),
    "inspect": ("smallage.cli.remote", "Ask the workers about themselves."),
    "control": ("smallage.cli.remote", "Give the workers an order."),
    "purge": ("smallage.cli.purge", "Remove all tasks that wait, for good."),
    "shell": ("smallage.cli.shell", "A Python prompt with the app and its tasks."),
    "report": ("smallage.cli.report", "Versions and settings, for a report of a fault."),
    "workers": ("smallage.cli.workers", "List the live workers."),
    "queues": ("smallage.cli.queues", "List, pause, resume or purge queues."),
    "schedules": ("smallage.cli.schedules", "List, pause, change or run schedules."),
    "tasks": ("smallage.cli.tasks", "List, show, retry or cancel tasks."),
}


_WITHOUT_OWN_OPTIONS = frozenset({"worker", "demo"})
"""A worker's children read the app's options, for its parent does not load the app; the demo has its own app."""


class LazyGroup(click.Group):
    """Knows its commands by name and loads only the one that runs."""

    table: ClassVar[dict[str, tuple[str, str]]] = COMMANDS
    """Name → (module, what it does)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table, *(name for name in plugins.names() if name not in self.table)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None and name not in _WITHOUT_OWN_OPTIONS:
            from smallage.cli.own_options import with_own_options

            command = with_own_options(ctx, name, command, rest)
        return name, command, rest

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return plugins.command(cmd_name)
        module, _ = self.table[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for --help, without loading the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])
        more = [name for name in plugins.names() if name not in self.table]
        if more:
            with formatter.section("Commands of other packages"):
                formatter.write_dl([(name, plugins.told(name)) for name in more])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-A", "--app", help="Where the app is: module:object, a module or a file.")
@click.option("-b", "--broker", "--store", help="URL of the store; wins over the app's own.")
@click.version_option(__version__, message="smallage %(version)s")
@click.pass_context
def cli(ctx: click.Context, app: str | None, broker: str | None) -> None:
    """Background tasks: Celery's API, with one store that loses nothing.

    Exit codes: 0 success, 1 a task or check failed, 2 wrong usage, 3 the store cannot be reached, 4 a forced stop that
    handed work back.
    """
    ctx.ensure_object(Told).update(app=app, store=broker)
