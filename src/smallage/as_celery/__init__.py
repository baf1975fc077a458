"""Celery's module tree over Smallage: `celery.x` is `smallage.as_celery.x`.

It answers to `celery` once `smallage.install_as_celery()` has been called, which the distribution `smallage-as-celery`
does when it is imported. Importing this package loads nothing else; each name is loaded at its first use. What Celery
has and Smallage has not raises an ImportError that says what to use (`absent.py`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from smallage.__about__ import __version__ as _own_version

if TYPE_CHECKING:
    from smallage.app import Celery, current_app, current_task
    from smallage.as_celery.app import bugreport
    from smallage.as_celery.utils import uuid
    from smallage.core.canvas import (
        Signature,
        chain,
        chord,
        chunks,
        group,
        maybe_signature,
        signature,
        subtask,
        xmap,
        xstarmap,
    )
    from smallage.shared import shared_task
    from smallage.task import Task

SERIES = "recovery"
VERSION = (5, 7, 0)
__version__ = "5.7.0"
"""The version of Celery whose API this is; Smallage's own is `smallage.__version__`."""
VERSION_BANNER = f"{__version__} (smallage {_own_version})"

_HOMES = {
    "Celery": "smallage.app",
    "current_app": "smallage.app",
    "current_task": "smallage.app",
    "bugreport": "smallage.as_celery.app",
    "uuid": "smallage.as_celery.utils",
    "Signature": "smallage.core.canvas",
    "chain": "smallage.core.canvas",
    "chord": "smallage.core.canvas",
    "chunks": "smallage.core.canvas",
    "group": "smallage.core.canvas",
    "maybe_signature": "smallage.core.canvas",
    "signature": "smallage.core.canvas",
    "subtask": "smallage.core.canvas",
    "xmap": "smallage.core.canvas",
    "xstarmap": "smallage.core.canvas",
    "shared_task": "smallage.shared",
    "Task": "smallage.task",
}
"""Public name → the module that has it."""

_MODULES = (
    "app",
    "beat",
    "canvas",
    "exceptions",
    "local",
    "platforms",
    "registry",
    "result",
    "schedules",
    "signals",
    "states",
    "utils",
)
"""Modules that are there as attributes without an import of their own."""

__all__ = [
    "SERIES",
    "VERSION",
    "VERSION_BANNER",
    "Celery",
    "Signature",
    "Task",
    "__version__",
    "bugreport",
    "chain",
    "chord",
    "chunks",
    "current_app",
    "current_task",
    "group",
    "maybe_signature",
    "shared_task",
    "signature",
    "subtask",
    "uuid",
    "xmap",
    "xstarmap",
]

if not TYPE_CHECKING:  # else every misspelt name would have a type

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            found = getattr(import_module(_HOMES[name]), name)
            globals()[name] = found
            return found
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        from smallage.as_celery.absent import missing

        raise missing("", name)


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
