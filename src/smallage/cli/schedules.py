"""`smallage schedules`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from smallage.cli.output import json_option, print_fields, print_rows
from smallage.cli.target import exit_codes, open_app
from smallage.core.due import CATCH_UP

if TYPE_CHECKING:
    from smallage.schedules.keeper import ScheduleInfo, Schedules

COLUMNS = ("name", "task", "schedule", "next", "last", "fired", "paused", "source")


def _open() -> Schedules:
    from smallage.schedules.keeper import Schedules

    return Schedules(open_app())


def row(info: ScheduleInfo) -> dict[str, Any]:
    """A schedule as it is shown."""
    shown = info._asdict()
    for name in ("next", "last"):
        if shown[name] is not None:
            shown[name] = shown[name].isoformat(timespec="seconds")
    return shown


@click.group(invoke_without_command=True)
@click.pass_context
def schedules(ctx: click.Context) -> None:
    """What is sent when: list, pause, resume, change, remove, or run now. Changes take effect at once, everywhere."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_schedules, as_json=False)


@schedules.command("list")
@json_option
def list_schedules(as_json: bool) -> None:
    """Show the schedules that the store has. Those of the code come there with its first worker."""
    with exit_codes():
        infos = _open().list()
    print_rows([row(info) for info in infos], COLUMNS, as_json,
               "There are none. Start a worker with a beat_schedule, or: smallage schedules set")  # fmt: skip


@schedules.command()
@click.argument("name")
def pause(name: str) -> None:
    """Send nothing of NAME until it is resumed."""
    with exit_codes():
        _open().pause(name)


@schedules.command()
@click.argument("name")
def resume(name: str) -> None:
    """Send NAME again from now on; what was due during the pause is left out."""
    with exit_codes():
        _open().resume(name)


@schedules.command()
@click.argument("name")
def run(name: str) -> None:
    """Push the task of NAME now, apart from its schedule; prints the task's id."""
    with exit_codes():
        click.echo(_open().run_now(name).id)


@schedules.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove NAME. One of the code comes back with the next start of a worker that has it: pause it instead."""
    with exit_codes():
        _open().remove(name)


if TYPE_CHECKING:
    _Type = click.ParamType[Any]
else:
    _Type = click.ParamType  # older versions of click take no type here


class _Json(_Type):
    name = "JSON"

    def __init__(self, kind: type, wanted: str) -> None:
        self.kind, self.wanted = kind, wanted

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            read = json.loads(value)
        except ValueError as error:
            self.fail(f"no JSON: {error}", param, ctx)
        if not isinstance(read, self.kind):
            self.fail(f"write {self.wanted}", param, ctx)
        return read


@schedules.command("set")
@click.argument("name")
@click.option("--cron", help='When: "minute hour day-of-month month day-of-week"; Sunday is 0, both days must match.')
@click.option("--every", type=float, help="When: every so many seconds.")
@click.option("--relative", is_flag=True, default=None, help="With --every: on whole days, hours, minutes or seconds.")
@click.option("--zone", help="Time zone of --cron, such as Europe/Berlin.")
@click.option("--task", help="Name of the task.")
@click.option("--args", type=_Json(list, "a list: '[1, 2]'"), help="Positional arguments, a JSON list.")
@click.option("--kwargs", type=_Json(dict, "an object: '{\"a\": 1}'"), help="Keyword arguments, a JSON object.")
@click.option("--queue", help="Queue to send to.")
@click.option("--catch-up", type=click.Choice(CATCH_UP), help="What becomes of ticks that nobody served.")
@json_option
def set_schedule(
    name: str, cron: str | None, every: float | None, queue: str | None, as_json: bool, **found: Any
) -> None:
    """Make the schedule NAME, or change what is given of one that there is."""
    if cron is not None and every is not None:
        raise click.UsageError("Give --cron or --every, not both.")
    given = {key: value for key, value in found.items() if value is not None}
    if cron is not None or every is not None:
        given["schedule"] = cron if cron is not None else every
    if queue is not None:
        given["options"] = {"queue": queue}
    with exit_codes():
        info = _open().set(name, **given)
    print_fields(row(info), as_json)
