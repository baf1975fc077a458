"""`inspect` and `control`: questions and orders to the workers, printed as Celery prints them."""

from __future__ import annotations

import json
import pprint
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

import click

from smallage.cli.output import wants_json
from smallage.cli.target import FAILED, exit_codes, open_app
from smallage.control.commands import COMMANDS
from smallage.core.censoring import STARS

Kind = Literal["inspect", "control"]
_TELL_OF_TASKS: Final = ("active", "query_task", "reserved", "scheduled")
NOBODY = "No nodes replied within time constraint"


class Remote(NamedTuple):
    """A command to workers. `takes` are its arguments with their types; `rest` the one that takes all that remain."""

    help: str
    usage: str = ""
    takes: tuple[tuple[str, Callable[[str], Any]], ...] = ()
    rest: str | None = None
    needs: int = 0
    """Arguments at least."""


def _yes(text: str) -> bool:
    return text.lower() in ("1", "true", "yes", "on")


_IDS = "[id1 [id2 [... [idN]]]]"

INSPECT = {
    "active": Remote("Tasks that run."),
    "active_queues": Remote("Queues that are served."),
    "clock": Remote("The clock's count."),
    "conf": Remote("Settings, without secrets.", "[include_defaults=False]", (("with_defaults", _yes),)),
    "ping": Remote("Who is there."),
    "query_task": Remote("What is known of tasks, by id.", _IDS, (), "ids"),
    "registered": Remote("Names of tasks.", "[attr1 [attr2 [... [attrN]]]]", (), "taskinfoitems"),
    "memdump": Remote("Memory, as of now.", "[n_samples=10]", (("samples", int),)),
    "memsample": Remote("Memory, as of now."),
    "report": Remote("Versions and settings."),
    "reserved": Remote("Tasks in hand that do not run yet."),
    "revoked": Remote("Ids of revoked tasks."),
    "scheduled": Remote("Tasks that wait for their time."),
    "stats": Remote("Pool, processes and totals."),
}
CONTROL = {
    "add_consumer": Remote("Serve a queue.", "<queue>", (("queue", str),), needs=1),
    "autoscale": Remote("Change the size of the pool.", "[max [min]]", (("max", int), ("min", int))),
    "cancel_consumer": Remote("Serve a queue no longer.", "<queue>", (("queue", str),), needs=1),
    "disable_events": Remote("Stop sending events of tasks."),
    "enable_events": Remote("Send events of tasks."),
    "heartbeat": Remote("Send a sign of life."),
    "pool_grow": Remote("Add processes or threads.", "[N=1]", (("n", int),)),
    "pool_restart": Remote("Replace the processes of the pool."),
    "pool_shrink": Remote("Take processes or threads away.", "[N=1]", (("n", int),)),
    "rate_limit": Remote(
        "Change the rate of a task, such as 10/m; 0 for none.",
        "<task_name> <rate_limit>",
        (("task_name", str), ("rate_limit", str)),
        needs=2,
    ),
    "revoke": Remote("Cancel tasks that have not started.", _IDS, (), "task_id"),
    "shutdown": Remote("Finish what runs and end."),
    "terminate": Remote("Cancel tasks, also those that run.", f"<signal> {_IDS}", (("signal", str),), "task_id", 1),
    "time_limit": Remote(
        "Change the time limits of a task.",
        "<task_name> <soft_secs> [hard_secs]",
        (("task_name", str), ("soft", float), ("hard", float)),
        needs=2,
    ),
}


def table(kind: Kind) -> dict[str, Remote]:
    """The commands of this kind, with those that the app's modules have made themselves."""
    own = {
        name: Remote(
            (one.function.__doc__ or "").strip().partition("\n")[0],
            one.signature or "",
            one.args,
            one.variadic,
        )
        for name, one in COMMANDS.items()
        if one.kind == kind
    }
    return dict(sorted({**(INSPECT if kind == "inspect" else CONTROL), **own}.items()))


def command(kind: Kind) -> click.Command:
    """The click command of this kind."""
    options: list[click.Parameter] = [
        click.Argument(["name"], metavar="COMMAND"),
        click.Argument(["words"], nargs=-1, metavar="[ARGS]..."),
        click.Option(
            ["--list"], is_flag=True, is_eager=True, expose_value=False, callback=_lister(kind), help="List them."
        ),
        *asking_options(),
    ]
    if kind == "inspect":
        options.append(click.Option(["--arguments"], is_flag=True, help="Show tasks with their arguments."))
    about = {"inspect": "Ask the workers about themselves.", "control": "Give the workers an order."}[kind]
    return click.Command(kind, params=options, callback=_runner(kind), help=f"{about} `--list` names the commands.")


def asking_options() -> list[click.Parameter]:
    """Whom to ask, how long to wait, and how to print."""
    return [
        click.Option(["-t", "--timeout"], type=float, default=1.0, show_default=True, help="Seconds for answers."),
        click.Option(["-d", "--destination"], help="Names of the workers meant, comma separated; else all."),
        click.Option(["-j", "--json", "as_json"], is_flag=True, help="Print JSON."),
    ]


def destinations(text: str | None) -> list[str] | None:
    """Names of workers from `a@x,b@y`; None: all."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def _lister(kind: Kind) -> Callable[[click.Context, click.Parameter, bool], None]:
    def show(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if not value:
            return
        formatter = click.HelpFormatter()
        with formatter.section(f"{kind.capitalize()} Commands"):
            formatter.write_dl([(f"{name} {one.usage}".strip(), one.help) for name, one in table(kind).items()])
        click.echo(formatter.getvalue(), nl=False)
        ctx.exit()

    return show


def given_by(kind: Kind, name: str, words: tuple[str, ...]) -> dict[str, Any]:
    """The words after a command as its arguments; raises click.UsageError."""
    known = table(kind)
    if name not in known:
        listed = ", ".join(known)
        raise click.UsageError(f"Command {name} not recognized. Available {kind} commands: {listed}")
    one = known[name]
    if len(words) < one.needs or (len(words) > len(one.takes) and one.rest is None):
        raise click.UsageError(f"Command '{name}' takes arguments: {one.usage or 'none'}")
    try:
        found = {argument: convert(word) for (argument, convert), word in zip(one.takes, words, strict=False)}
    except ValueError as error:
        raise click.UsageError(f"Command '{name}' takes arguments: {one.usage}; {error}") from None
    if one.rest is not None:
        found[one.rest] = list(words[len(one.takes) :])
    return found


def ask(app: Any, kind: Kind, name: str, given: Mapping[str, Any], names: list[str] | None, timeout: float) -> Any:
    """{node: answer} of those who answered."""
    if kind == "inspect":
        asked = app.control.inspect(destination=names, timeout=timeout)
        told = getattr(asked, name)
        return (told(*given["ids"]) if name == "query_task" else _told(name, told, given)) or {}
    answers = app.control.broadcast(name, arguments=dict(given), destination=names, reply=True, timeout=timeout)
    return {node: answer for one in answers or () for node, answer in one.items()}


def _told(name: str, question: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    return question(*given["taskinfoitems"]) if name == "registered" else question(**given)


def _runner(kind: Kind) -> Callable[..., None]:
    @click.pass_context
    def run(
        ctx: click.Context,
        /,
        name: str,
        words: tuple[str, ...],
        timeout: float,
        destination: str | None,
        as_json: bool,
        arguments: bool = False,
    ) -> None:
        told: dict[str, Any] = ctx.find_root().obj or {}
        with exit_codes():
            app = open_app()
            given = given_by(kind, name, words)
            replies = ask(app, kind, name, given, destinations(destination), timeout)
        if not replies:
            nobody(told)
        if kind == "inspect" and name in _TELL_OF_TASKS and not (arguments or told.get("celery")):
            replies = _without_arguments(replies)
        if as_json or (wants_json(False) and not told.get("celery")):
            click.echo(json.dumps(replies, default=str))
            return
        for node, reply in replies.items():
            chat(told, node, reply, True)
        if kind == "inspect" and not told.get("quiet"):
            online(len(replies))

    return run


def _without_arguments(said: Any) -> Any:
    """Answers about tasks, with stars for their arguments: they may be secrets, and terminals are looked at."""
    if isinstance(said, Mapping):
        hidden = ("args", "kwargs") if "args" in said and "kwargs" in said else ()
        return {key: STARS if key in hidden else _without_arguments(one) for key, one in said.items()}
    return [_without_arguments(one) for one in said] if isinstance(said, list) else said


def nobody(told: Mapping[str, Any]) -> None:
    """End: no worker has answered."""
    click.echo(f"Error: {NOBODY}", err=True)
    raise click.exceptions.Exit(told.get("unreachable", FAILED))


def online(number: int) -> None:
    """How many have answered."""
    click.echo(f"\n{number} node{'' if number == 1 else 's'} online.")


def chat(told: Mapping[str, Any], node: str, reply: Any, show: bool) -> None:
    """One worker's answer, as Celery prints it."""
    verdict, body = pretty(reply)
    arrow = "" if told.get("quiet") else click.style("->", fg="white", bold=True) + " "
    click.echo(f"{arrow} {click.style(f'{node}: ', fg='cyan', bold=True)}{verdict}")
    if show and body:
        click.echo(_indented(body))


def pretty(value: Any) -> tuple[str, str]:
    """(OK or ERROR, the text)."""
    ok, error = click.style("OK", fg="green", bold=True), click.style("ERROR", fg="red", bold=True)
    if isinstance(value, list):
        star = click.style("*", fg="white")
        return ok, "\n".join(f"{star} {item}" for item in value) or "- empty -"
    if isinstance(value, dict):
        if "ok" in value:
            return ok, _indented(pretty(value["ok"])[1])
        if "error" in value:
            return error, _indented(pretty(value["error"])[1])
        return ok, json.dumps(value, sort_keys=True, indent=4, default=str)
    return ok, value if isinstance(value, str) else pprint.pformat(value)


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


inspect = command("inspect")
control = command("control")
