"""Exceptions that come back from the store. No constructor is run and nothing is imported."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from smallage.core import codec
from smallage.core.errors import DecodeError, RemoteError, TaskRevokedError, WorkerLostError

if TYPE_CHECKING:
    from smallage.stores.base import TaskView


def restored(data: bytes | None) -> tuple[BaseException, str | None]:
    """(exception, traceback) from an error's bytes. Never runs a constructor and never imports anything."""
    if data is None:
        return RemoteError("", "The task failed and left no error.", None), None
    try:
        error = codec.decode_error(data)
    except DecodeError as problem:
        return RemoteError("", f"The task's error cannot be read: {problem}", None), None
    made = _loaded(error)
    if made is None:
        return remote_error(error), error.traceback
    if error.traceback:
        made.__notes__ = [f"Remote traceback:\n{error.traceback}"]
    return made, error.traceback


def _loaded(error: codec.ErrorData) -> BaseException | None:
    """The exception itself if its class is in a module that is loaded already; built without any code of the class."""
    kind: Any = sys.modules.get(error.module)
    for part in error.kind.split("."):
        kind = vars(kind).get(part) if isinstance(kind, (type, ModuleType)) else None
    if not isinstance(kind, type) or not issubclass(kind, Exception) or issubclass(kind, RemoteError):
        return None
    made = _built(kind, error.args)
    if made is None:
        return None
    for name in codec.CARRIED.get(kind, ()):
        setattr(made, name, error.extra.get(name))
    return made if _can_be_said(made) else _said_as_it_was(made, kind, error.message)


def _can_be_said(made: BaseException) -> bool:
    """False when its own `__str__` needs what its constructor, which did not run, would have set. Whoever logs the
    error would get that fault in its place."""
    try:
        str(made)
    except Exception:
        return False
    return True


def _said_as_it_was(made: Exception, kind: type[Exception], message: str) -> Exception | None:
    """The same error, of a class below its own, that says what it said where it was raised."""
    body = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__str__": lambda self: message}
    try:
        made.__class__ = type(kind.__name__, (kind,), body)
    except Exception:  # a class that cannot be derived from
        return None
    return made


def _built(kind: type[Exception], args: tuple[Any, ...]) -> Exception | None:
    """An exception of this class made by what Python itself has under it, which sets `errno` and the like."""
    builtin: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    made: Exception
    try:
        made = builtin.__new__(kind, *args)
        builtin.__init__(made, *args)
    except Exception:  # arguments that Python's own class does not take
        try:
            made = builtin.__new__(kind)
        except TypeError:  # nor none at all
            return None
        made.args = args
    return made


def remote_error(error: codec.ErrorData) -> RemoteError:
    """An error whose class is not loaded here, under its own name."""
    whole = f"{error.module}.{error.kind}" if error.module and error.module != "builtins" else error.kind
    return RemoteError(whole, error.message, error.traceback)


def exception_of(view: TaskView) -> tuple[BaseException, str | None]:
    """(exception, traceback) of a task that ended badly."""
    if view.state == "cancelled":
        return TaskRevokedError(view.reason or "revoked"), None
    if view.reason == "expired":
        return TaskRevokedError("expired"), None
    if view.result is not None:
        return restored(view.result)
    if view.reason == "crashed":
        return WorkerLostError(f"The processes that ran {view.name}[{view.id}] died {view.crashes} times."), None
    if view.reason == "lost":
        return WorkerLostError(f"The workers that held {view.name}[{view.id}] were lost {view.lost} times."), None
    return RemoteError("", f"The task ended as {view.reason} and left no error.", None), None
