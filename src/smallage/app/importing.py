"""Objects by their dotted names, as code and settings give them; never by a name found in a message."""

from __future__ import annotations

import importlib
from typing import Any

from smallage.core.options import Deferred


def named(path: str) -> Any:
    """The object at "package.module:name" or "package.module.name", or a module."""
    module, colon, name = path.partition(":")
    if colon:
        return getattr(importlib.import_module(module), name)
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        if not module:
            raise
        return getattr(importlib.import_module(module), name)


Deferred.resolve = staticmethod(named)
