"""The command `celery`: Smallage's commands under Celery's names, with its options, words and exit codes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import click

from smallage.as_celery import VERSION_BANNER
from smallage.as_celery.absent import MODULES, NAMES, attribute
from smallage.cli.group import LazyGroup
from smallage.cli.told import Told

UNAVAILABLE = 69
"""Exit code for a store that cannot be reached, and for no answer."""

_REFUSED = {
    **{name: MODULES[f"bin.{name}"] for name in ("amqp", "graph", "logtool", "migrate", "multi", "upgrade")},
    "events": NAMES["events"]["EventReceiver"],
    "flower": "Flower shows events of tasks, which are not published. `smallage status`, `smallage queues list` and "
    "`smallage tasks list` show what goes on, also when no worker is up",
}
"""Commands of Celery's that are not here → what to use."""


class CeleryGroup(LazyGroup):
    """Celery's commands."""

    table: ClassVar[dict[str, tuple[str, str]]] = {
        "beat": ("smallage.as_celery.bin.beat", "Start the beat periodic task scheduler."),
        "call": ("smallage.as_celery.bin.call", "Call a task by name."),
        "control": ("smallage.as_celery.bin.control", "Workers remote control."),
        "inspect": ("smallage.as_celery.bin.control", "Inspect the workers."),
        "list": ("smallage.as_celery.bin.list", "List the queues."),
        "purge": ("smallage.as_celery.bin.purge", "Erase all messages from all known task queues."),
        "report": ("smallage.cli.report", "Information useful to include in bug reports."),
        "result": ("smallage.as_celery.bin.result", "Print the return value for a given task id."),
        "shell": ("smallage.as_celery.bin.shell", "A Python prompt with the app and its tasks."),
        "status": ("smallage.as_celery.bin.control", "Show workers that are online."),
        "worker": ("smallage.as_celery.bin.worker", "Start a worker."),
    }

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _REFUSED:
            return _refusal(cmd_name)
        return super().get_command(ctx, cmd_name)


def _refusal(name: str) -> click.Command:
    """A command that only says what to use instead."""

    def refuse(**_: Any) -> None:
        raise click.UsageError(f"`celery {name}` is not offered by Smallage: {_REFUSED[name]}.")

    return click.Command(
        name,
        params=[click.Argument(["rest"], nargs=-1)],
        callback=refuse,
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )


def _change_to(ctx: click.Context, parameter: click.Parameter, folder: str | None) -> str | None:
    if folder:
        os.chdir(folder)
    return folder


@click.group(cls=CeleryGroup, invoke_without_command=True)
@click.option("-A", "--app", envvar="APP", help="Where the app is: module, module.name or module:name.")
@click.option("-b", "--broker", envvar="BROKER_URL", help="URL of the store; wins over the app's own.")
@click.option("--result-backend", envvar="RESULT_BACKEND", help="Celery's; results are in the store.")
@click.option("--loader", envvar="LOADER", hidden=True, help="Celery's; has no effect.")
@click.option("--config", envvar="CONFIG_MODULE", help="Module with the settings of an app that has none.")
@click.option(
    "--workdir",
    type=click.Path(file_okay=False, exists=True),
    is_eager=True,
    callback=_change_to,
    help="Change to this folder first.",
)
@click.option("-C", "--no-color", envvar="NO_COLOR", is_flag=True, help="Plain text.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
@click.option("--version", is_flag=True, help="Print the versions.")
@click.option("--skip-checks", envvar="SKIP_CHECKS", is_flag=True, help="Skip Django's checks at the start.")
@click.pass_context
def celery(ctx: click.Context, /, app: str | None, broker: str | None, workdir: str | None, **given: Any) -> None:
    """Celery's commands, run by Smallage. `smallage --help` lists what it has beside them."""
    if given["version"]:
        click.echo(VERSION_BANNER)
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit()
    for option, variable in (("result_backend", "CELERY_RESULT_BACKEND"), ("config", "CELERY_CONFIG_MODULE")):
        if given[option]:
            os.environ[variable] = given[option]
    if given["skip_checks"]:
        os.environ["CELERY_SKIP_CHECKS"] = "true"
    if given["no_color"]:
        os.environ["NO_COLOR"] = "1"
        ctx.color = False
    ctx.obj = Told(
        app=app,
        store=broker,
        quiet=given["quiet"],
        no_color=given["no_color"],
        workdir=workdir,
        celery=True,
        program="celery",
        unreachable=UNAVAILABLE,
    )


def main() -> None:
    """Run a command and exit with its code."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    celery.main(prog_name="celery")


__all__ = ["celery", "main"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
