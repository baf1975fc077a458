"""`smallage result`."""

from __future__ import annotations

from typing import Any

import click

from smallage.cli.output import json_option, print_fields, print_json, wants_json
from smallage.cli.target import FAILED, exit_codes, open_app
from smallage.core.errors import TimeoutError as StillRunning


@click.command()
@click.argument("task_id")
@click.option("--wait", type=click.FloatRange(0), help="Wait for its end, at most so many seconds.")
@click.option("--traceback", is_flag=True, help="Print the remote traceback of a failed task.")
@json_option
def result(task_id: str, wait: float | None, traceback: bool, as_json: bool) -> None:
    """Show the result of the task TASK_ID. Exits with 1 unless the task has ended well."""
    with exit_codes():
        found = open_app().AsyncResult(task_id)
        if wait is not None:
            try:
                found.get(timeout=wait, propagate=False)
            except StillRunning:
                pass
        state, value = found.state, found.result
        trace = found.traceback
    if traceback and trace:
        click.echo(trace, err=True)
    if state == "SUCCESS":
        print_json({"id": task_id, "state": state, "result": value}) if wants_json(as_json) else click.echo(repr(value))
        return
    print_fields({"id": task_id, "state": state, "result": _shown(value)}, as_json)
    raise click.exceptions.Exit(FAILED)


def _shown(value: Any) -> Any:
    return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else value
