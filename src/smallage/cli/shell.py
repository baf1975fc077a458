"""`smallage shell`."""

from __future__ import annotations

import importlib
from typing import Any

import click

from smallage.cli.target import exit_codes, open_app

_CANVAS = ("Task", "chain", "chord", "chunks", "group", "signature", "subtask", "xmap", "xstarmap")


@click.command()
@click.option("-I", "--ipython", is_flag=True, help="Use IPython.")
@click.option("-B", "--bpython", is_flag=True, help="Use bpython.")
@click.option("--python", is_flag=True, help="Use Python's own.")
@click.option("-T", "--without-tasks", is_flag=True, help="Leave the tasks out.")
def shell(ipython: bool, bpython: bool, python: bool, without_tasks: bool) -> None:
    """A Python prompt with the app (`app`, `celery`), its tasks, and chain, group, chord."""
    with exit_codes():
        app = open_app()
        app.import_default_modules()
        app.finalize()
    names = {"app": app, "celery": app}
    smallage = importlib.import_module("smallage")
    names |= {name: getattr(smallage, name) for name in _CANVAS}
    if not without_tasks:
        internal = ("celery.", "smallage.")
        names |= {name.rpartition(".")[2]: task for name, task in app.tasks.items() if not name.startswith(internal)}
    wanted = ["IPython"] * ipython + ["bpython"] * bpython + ["code"] * python
    _start(wanted[0] if wanted else None, names)


def _start(wanted: str | None, names: dict[str, Any]) -> None:
    """The prompt that was asked for, else the best one there is."""
    for module in (wanted,) if wanted else ("IPython", "bpython", "code"):
        try:
            found = importlib.import_module(module)
        except ImportError:
            if wanted:
                raise click.UsageError(f"{module} is not installed: pip install {module.lower()}") from None
            continue
        match module:
            case "IPython":
                found.start_ipython(argv=[], user_ns=names)
            case "bpython":
                found.embed(names)
            case _:
                found.interact(local=names, banner="Smallage: app, chain, group, chord and the tasks are here.")
        return
