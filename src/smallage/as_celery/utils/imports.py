"""Objects by the names in settings and options: `celery.utils.imports`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib import reload as _reload
from types import ModuleType
from typing import TYPE_CHECKING, Any

from smallage.as_celery.absent import attribute


def qualname(obj: Any) -> str:
    """`module.Class` of a class, or of the class of anything else."""
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    return f"{kind.__module__}.{kind.__qualname__}"


def symbol_by_name(name: Any, aliases: Any = None, imp: Callable[[str], Any] | None = None, **_: Any) -> Any:
    """What `module:attribute` or `module.attribute` names; anything but a text is given back.

    Raises ImportError and AttributeError.
    """
    if not isinstance(name, str):
        return name
    name = (aliases or {}).get(name, name)
    module, colon, attribute = name.partition(":")
    if not colon:
        module, _, attribute = name.rpartition(".")
    found = (imp or import_module)(module or attribute)
    if not module:
        return found
    for part in attribute.split("."):
        found = getattr(found, part) if part else found
    return found


def instantiate(name: Any, *args: Any, **kwargs: Any) -> Any:
    """An object of the class of this name."""
    return symbol_by_name(name)(*args, **kwargs)


@contextmanager
def cwd_in_path() -> Iterator[None]:
    """The working directory on the module path, while inside."""
    here = os.getcwd()
    if here in sys.path:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def import_from_cwd(module: str, imp: Callable[[str], Any] | None = None, package: str | None = None) -> Any:
    """A module, also one that lies in the working directory."""
    with cwd_in_path():
        return imp(module) if imp is not None else import_module(module, package)


def reload_from_cwd(module: ModuleType, reloader: Callable[[ModuleType], Any] | None = None) -> Any:
    """Read a module again."""
    with cwd_in_path():
        return (reloader or _reload)(module)


def gen_task_name(app: Any, name: str, module_name: str) -> str:
    """The name that a function of this name and module gets as a task."""
    made: str = app.gen_task_name(name, module_name)
    return made


__all__ = [
    "cwd_in_path",
    "gen_task_name",
    "import_from_cwd",
    "instantiate",
    "qualname",
    "reload_from_cwd",
    "symbol_by_name",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
