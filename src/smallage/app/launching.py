"""Starting commands from a program: `app.start([...])` and `app.worker_main([...])`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smallage.app.base import Smallage


child: int | None = None
"""In the processes of a worker their number, from 0. They import the script that started the worker, which shall not
start it again."""


def start(app: Smallage, argv: Sequence[str] | None) -> int:
    """Run a command with this app; returns its exit code. `argv` is without the program's name: `["worker"]`. Does
    nothing in a process of a worker."""
    if child is not None:
        return 0
    arguments = list(sys.argv[1:] if argv is None else argv)
    cli: Any = import_module("smallage.cli")  # a floor above this one, needed by programs that are a command themselves
    try:
        cli.main(["-A", location(app), *arguments])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def location(app: Smallage) -> str:
    """Where a worker's processes find this app: "module:name", or the file of the script that runs."""
    for name, module in list(sys.modules.items()):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if value is app and not attribute.startswith("_"):
                if name != "__main__":
                    return f"{name}:{attribute}"
                script = getattr(module, "__file__", None)
                if script:
                    return f"{os.path.abspath(script)}:{attribute}"
    raise RuntimeError(
        "The processes of a worker import the app by its name, and no module has this one as a variable. Keep it in a "
        "variable of a module."
    )


def bugreport(app: Smallage) -> str:
    """What a report of a fault should say: versions, the store, and the settings without secrets."""
    import platform

    from smallage.__about__ import __version__
    from smallage.core.store_url import place

    return (
        f"software -> smallage:{__version__} py:{platform.python_version()}\n"
        f"platform -> system:{platform.system()} arch:{platform.machine()} imp:{platform.python_implementation()}\n"
        f"store    -> {place(app.url)}\n\n{app.conf.humanize()}\n"
    )
