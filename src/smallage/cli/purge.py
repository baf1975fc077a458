"""`smallage purge`."""

from __future__ import annotations

from typing import Any

import click

from smallage.cli.target import exit_codes, open_app
from smallage.cli.worker_options import comma_list


def _names(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    return comma_list(text or "")


@click.command()
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("-Q", "--queues", callback=_names, help="Queues to empty, comma separated; else those of the settings.")
@click.option("-X", "--exclude-queues", "exclude", callback=_names, help="Queues not to empty.")
def purge(force: bool, queues: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    """Remove all tasks that wait in the queues, for good."""
    with exit_codes():
        app: Any = open_app()
        known = queues or tuple(map(str, app.conf.task_queues)) or (app.conf.task_default_queue,)
    names = sorted(set(known) - set(exclude))
    if not names:
        return
    what = "queue" if len(names) == 1 else "queues"
    if not force:
        click.confirm(
            f"{click.style('WARNING', fg='red')}: This will remove all tasks from {what}: {', '.join(names)}.\n"
            "         There is no undo for this operation!\n\n(to skip this prompt use the -f option)\n"
            "Are you sure you want to delete all tasks?",
            abort=True,
        )
    with exit_codes():
        removed = sum(app.store.purge(name) for name in names)
    if removed:
        messages = "message" if removed == 1 else "messages"
        click.echo(f"Purged {removed} {messages} from {len(names)} known task {what}.")
    else:
        click.echo(f"No messages purged from {len(names)} {what}.")
