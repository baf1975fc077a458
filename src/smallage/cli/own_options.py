"""Commands with the options that the app itself adds to them."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

import click

from smallage.cli.target import find_named
from smallage.core.errors import SmallageError
from smallage.worker.own_options import declared

OWN = "own options"
"""Where the root context keeps their values."""


def with_own_options(ctx: click.Context, name: str, command: click.Command, words: list[str]) -> click.Command:
    """`command` with the options of the app that the group was told of. The app is loaded only if `words` hold an
    option that the command does not know, or ask for help."""
    if isinstance(command, click.Group) or not (_unknown(command, words) or _asks_for_help(words)):
        return command
    try:
        options = declared(find_named(ctx.params.get("app")), name)
    except (SmallageError, ImportError):
        return command  # the command will say so, in its own way
    return _extended(command, options) if options else command


def flags_for_a_worker(where: str | None) -> set[str]:
    """The flags that the app at `where` adds to a worker's. They are read by a process of their own, for the parent of
    a worker's children must not load the app."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            found = declared(find_named(where), "worker")
            flags = [flag for one in found for flag in (*one.opts, *one.secondary_opts)]
            os.write(writing, json.dumps(flags).encode())
        finally:  # an app that cannot be loaded has no flags; the worker says why
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return set(json.loads(told)) if told else set()


def _unknown(command: click.Command, words: list[str]) -> bool:
    known = {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)}
    for word in words:
        if word == "--":
            return False
        if word.startswith("-") and word != "-":
            short = not word.startswith("--") and word[:2] in known
            if not short and word.partition("=")[0] not in known:
                return True
    return False


def _asks_for_help(words: list[str]) -> bool:
    return "--help" in words or "-h" in words


def _extended(command: click.Command, options: list[Any]) -> click.Command:
    made = copy.copy(command)
    made.params = [*command.params, *options]
    names = {one.name for one in options}
    run: Any = command.callback

    def without_them(*args: Any, **values: Any) -> Any:
        root = click.get_current_context().find_root()
        root.meta[OWN] = {name: values.pop(name) for name in names & values.keys()}
        return run(*args, **values)

    made.callback = without_them
    return made
