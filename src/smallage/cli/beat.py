"""`smallage beat`: the scheduler in a process of its own, for those who want it apart from the workers."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from smallage.__about__ import __version__
from smallage.cli.background import LockFailed, as_service
from smallage.cli.target import USAGE, exit_codes, open_app
from smallage.core.errors import ImproperlyConfigured
from smallage.core.schedule import in_words, moment

if TYPE_CHECKING:
    from smallage.worker.beat import Beat

LISTED = 10
"""Schedules named at the start."""


@click.command()
@click.argument("where", required=False, metavar="APP")
@click.option("-A", "--app", "app_option", help="Where the app is, if not given as argument.")
@click.option("-b", "--broker", "--store", "store", help="URL of the store; wins over the app's own.")
@click.option(
    "-l", "--loglevel", "--log-level", "level", default="info", show_default=True, help="debug, info, warning, error.",
    type=click.Choice(["debug", "info", "warning", "error", "critical", "fatal"], case_sensitive=False),
)  # fmt: skip
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Log lines.")
@click.option("-f", "--logfile", type=click.Path(dir_okay=False), help="Log to this file, not to stderr.")
@click.option("--max-interval", type=click.FloatRange(min=0.01), help="Look at least every so many seconds.")
@click.option("--pidfile", type=click.Path(dir_okay=False), help="Keep the process id here while it runs.")
@click.option("--workdir", type=click.Path(file_okay=False, exists=True), help="Change to this folder first.")
@click.option("-S", "--scheduler", hidden=True, help="Celery's; its default alone.")
@click.option("-s", "--schedule", "_schedule", hidden=True, help="Celery's; has no effect.")
@click.option("-n", "--hostname", "_hostname", hidden=True, help="Celery's; has no effect.")
@click.option("--detach", is_flag=True, help="Go on in the background.")
@click.option("--uid", help="Go on as this user.")
@click.option("--gid", help="Go on in this group.")
@click.option("--umask", help="Rights that new files do not get, in octal.")
@click.option("--executable", hidden=True, help="Celery's; has no effect.")
@click.option("--enable-remote-control/--no-enable-remote-control", hidden=True, help="Celery's; has no effect.")
@click.pass_context
def beat(ctx: click.Context, /, where: str | None, **found: Any) -> None:
    """Send the tasks of APP's schedules when they are due. Workers do this too, unless started with --no-beat; any
    number of both may run, each tick is sent once.

    TERM, INT, QUIT or HUP (unless nohup has it ignored): end. USR1: print the stacks of all threads.
    """
    if found["workdir"]:
        os.chdir(found["workdir"])
    root: dict[str, Any] = ctx.find_root().ensure_object(dict)
    root["app"] = where or found["app_option"] or root.get("app")
    root["store"] = found["store"] or root.get("store")
    names = ("logfile", "pidfile", "uid", "gid", "umask", "detach")
    try:
        with as_service(found["_hostname"] or "celerybeat@%h", **{name: found[name] for name in names}):
            _log(found)
            with exit_codes():
                made = _made(found)
                ahead = made.upcoming()
            if found["log_format"] == "text" and not found["logfile"]:
                _greet(made, ahead)
            _run(made)
    except (LockFailed, OSError) as error:
        click.echo(f"{root.get('program', 'smallage')}: {error}", err=True)
        sys.exit(USAGE)


def _log(found: dict[str, Any]) -> None:
    from smallage.worker.logs import configure

    level = "CRITICAL" if found["level"].lower() == "fatal" else found["level"].upper()
    configure(level, found["log_format"], "Beat")


def _made(found: dict[str, Any]) -> Beat:
    """The scheduler, with the app's modules imported."""
    from smallage import signals
    from smallage.worker.beat import Beat, check_scheduler

    check_scheduler(found["scheduler"])
    app = open_app()
    if app.url.startswith("memory:"):
        raise ImproperlyConfigured(
            "memory:// lives in one process, so what this one would send nobody would see. Use sqlite:///queue.db or "
            "redis://localhost."
        )
    for module in (*app.conf.imports, *app.conf.include):
        importlib.import_module(module)
    made = Beat(app, found["max_interval"])
    signals.beat_init.send(sender=made)
    return made


def _greet(made: Beat, ahead: list[tuple[int, str, str]]) -> None:
    """Say what runs here and what comes next."""
    lines = [f"smallage {__version__} beat  {made.app.store.url}"]
    now_us: int = made.app.store.tick(()).now_us
    for instant_us, name, task in ahead[:LISTED]:
        when = moment(instant_us, made.app.zone()).isoformat(sep=" ", timespec="seconds")
        left = in_words(max(instant_us - now_us, 0) / 1e6)
        lines.append(f"    next  {when} ({left if left == 'now' else f'in {left}'})  {name} → {task}")
    if not ahead:
        lines.append("    no schedules yet: beat_schedule is empty, and `smallage schedules set` has made none")
    click.echo("\n".join(lines), err=True)


def _run(made: Beat) -> None:
    """Until a signal says to end."""
    from smallage.worker.settle_in import dump_stacks_on_usr1

    told = threading.Event()
    if threading.current_thread() is threading.main_thread():  # in another one signals are the program's
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: told.set())
        dump_stacks_on_usr1()
    thread = made.start()
    told.wait()
    made.stop()
    thread.join(10.0)
