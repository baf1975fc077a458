"""Background tasks for Python: Celery's way of writing them, kept safe by one store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.__about__ import __version__

if TYPE_CHECKING:
    from smallage.app import Celery, Smallage, current_app, current_task
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
    from smallage.core.errors import (
        Ignore,
        Reject,
        RemoteError,
        Retry,
        SmallageError,
        SoftTimeLimitExceeded,
        StoreFull,
        StoreUnavailable,
    )
    from smallage.groups import GroupResult, Outcomes
    from smallage.install import install_as_celery
    from smallage.result import AsyncResult
    from smallage.shared import shared_task
    from smallage.task import Task

_HOMES = {
    "Celery": "app",
    "Smallage": "app",
    "current_app": "app",
    "current_task": "app",
    "Signature": "core.canvas",
    "chain": "core.canvas",
    "chord": "core.canvas",
    "chunks": "core.canvas",
    "group": "core.canvas",
    "maybe_signature": "core.canvas",
    "signature": "core.canvas",
    "subtask": "core.canvas",
    "xmap": "core.canvas",
    "xstarmap": "core.canvas",
    "Ignore": "core.errors",
    "Reject": "core.errors",
    "RemoteError": "core.errors",
    "Retry": "core.errors",
    "SmallageError": "core.errors",
    "SoftTimeLimitExceeded": "core.errors",
    "StoreFull": "core.errors",
    "StoreUnavailable": "core.errors",
    "GroupResult": "groups",
    "Outcomes": "groups",
    "AsyncResult": "result",
    "install_as_celery": "install",
    "shared_task": "shared",
    "Task": "task",
}
"""Public name → the module that has it, loaded at first use."""

_NOT_YET = {
    "starmap": "task.starmap(rows)",
}
"""Celery's names that are no part of this version → what does the same."""

__all__ = [
    "AsyncResult",
    "Celery",
    "GroupResult",
    "Ignore",
    "Outcomes",
    "Reject",
    "RemoteError",
    "Retry",
    "Signature",
    "Smallage",
    "SmallageError",
    "SoftTimeLimitExceeded",
    "StoreFull",
    "StoreUnavailable",
    "Task",
    "__version__",
    "chain",
    "chord",
    "chunks",
    "current_app",
    "current_task",
    "group",
    "install_as_celery",
    "maybe_signature",
    "shared_task",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]

if not TYPE_CHECKING:  # else every misspelt name would have a type

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if name in _NOT_YET:
            raise ImportError(f"smallage.{name} is not offered by this version; use {_NOT_YET[name]} instead.")
        if home is None:
            raise AttributeError(f"module 'smallage' has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(f"smallage.{home}"), name)
        globals()[name] = found
        return found
