"""`smallage tasks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

import click

from smallage.cli.output import instant, json_option, print_fields, print_rows
from smallage.cli.target import FAILED, exit_codes, open_app, open_store
from smallage.core.states import State

if TYPE_CHECKING:
    from smallage.stores.base import TaskView

COLUMNS = ("id", "name", "state", "reason", "queue", "failures", "crashes", "pushed")


def row(view: TaskView) -> dict[str, Any]:
    """A task as it is shown: never its arguments."""
    return {
        "id": view.id,
        "name": view.name,
        "state": view.state,
        "reason": view.reason,
        "queue": view.queue,
        "priority": view.priority,
        "generation": view.gen,
        "failures": view.failures,
        "crashes": view.crashes,
        "lost": view.lost,
        "releases": view.releases,
        "group": view.group,
        "session": view.session,
        "pushed": instant(view.pushed_us),
        "due": instant(view.due_us),
        "started": instant(view.started_us),
        "ended": instant(view.ended_us),
    }


@click.group()
def tasks() -> None:
    """Single tasks."""


@tasks.command("list")
@click.option("-s", "--state", default="dead", show_default=True, type=click.Choice(get_args(State)))
@click.option("-n", "--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
def list_tasks(state: str, limit: int, as_json: bool) -> None:
    """Show tasks in a state; the dead letters unless another is named."""
    with exit_codes():
        views = open_store().find(cast("State", state), limit)
    print_rows([row(view) for view in views], COLUMNS, as_json, f"No task is {state}.")


@tasks.command()
@click.argument("task_id")
@json_option
def show(task_id: str, as_json: bool) -> None:
    """Show one task, with its error if it failed."""
    with exit_codes():
        app = open_app()
        view = app.store.state([task_id])[0]
        result = app.AsyncResult(task_id)
        error = result.result if view is not None and view.state in ("dead", "cancelled") else None
        trace = result.traceback if error is not None else None
    if view is None:
        _unknown([task_id])
    assert view is not None
    shown = row(view)
    if error is not None:
        shown |= {"error": f"{type(error).__name__}: {error}", "traceback": trace}
    print_fields(shown, as_json)


@tasks.command()
@click.argument("task_ids", nargs=-1, required=True)
def retry(task_ids: tuple[str, ...]) -> None:
    """Run ended tasks again, while their arguments are still kept."""
    with exit_codes():
        went = open_store().requeue(task_ids)
    _unknown([task_id for task_id, ok in zip(task_ids, went, strict=True) if not ok])


@tasks.command()
@click.argument("task_ids", nargs=-1, required=True)
@click.option("--terminate", is_flag=True, help="Also stop them if they run.")
def cancel(task_ids: tuple[str, ...], terminate: bool) -> None:
    """Cancel tasks that have not started."""
    with exit_codes():
        verdicts = open_store().revoke(task_ids, terminate)
    for task_id, verdict in zip(task_ids, verdicts, strict=True):
        click.echo(f"{task_id}  {verdict}")
    if any(verdict != "cancelled" for verdict in verdicts):
        raise click.exceptions.Exit(FAILED)


def _unknown(ids: list[str]) -> None:
    """Complain about ids that nothing could be done with."""
    for task_id in ids:
        click.echo(f"smallage: {task_id}: no such task, or nothing is kept of it", err=True)
    if ids:
        raise click.exceptions.Exit(FAILED)
