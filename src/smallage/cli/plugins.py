"""Commands that other packages add, by the entry points that Celery looks for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from importlib import metadata

GROUP = "celery.commands"


@cache
def _found() -> dict[str, metadata.EntryPoint]:
    from importlib import metadata

    return {one.name: one for one in metadata.entry_points(group=GROUP)}


def names() -> list[str]:
    """What there is."""
    return sorted(_found())


def command(name: str) -> click.Command | None:
    """The command under this name; None if there is none. One that cannot be loaded says so when it is called."""
    entry = _found().get(name)
    return None if entry is None else _loaded(entry)


def told(name: str) -> str:
    """A line about a command."""
    found = command(name)
    return "" if found is None else found.get_short_help_str(100)


def _loaded(entry: metadata.EntryPoint) -> click.Command:
    try:
        found = entry.load()
    except Exception as error:
        return _broken(entry, f"{type(error).__name__}: {error}")
    return (
        found if isinstance(found, click.Command) else _broken(entry, f"it is no command but a {type(found).__name__}")
    )


def _broken(entry: metadata.EntryPoint, why: str) -> click.Command:
    of = entry.dist.name if entry.dist is not None else "another package"

    def refuse(**_: Any) -> None:
        raise click.ClickException(f"The command '{entry.name}' of {of} cannot be loaded: {why}")

    return click.Command(
        entry.name,
        params=[click.Argument(["rest"], nargs=-1)],
        callback=refuse,
        short_help=f"(of {of}; cannot be loaded)",
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )
