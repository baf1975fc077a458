"""Letting `celery` mean this package in one process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from smallage.as_celery.absent import refused_module, unknown_module
from smallage.core.errors import ImproperlyConfigured

OURS = "smallage.as_celery"
STAND_INS = ("kombu", "billiard")
"""Libraries of Celery's that programs import a few names of, answered only where they are not installed."""


class _Alias:
    """Loads a module by importing another one, which then has two names."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._own: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self._origin)
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own  # importlib has just put the alias's there


class CeleryFinder:
    """`celery.x` is `smallage.as_celery.x`; first on `sys.meta_path`."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith("celery."):
            return None
        inner = name.removeprefix("celery.")
        refused_module(inner)
        if inner == "__main__":  # run, not imported: it needs a module of its own
            return PathFinder.find_spec(name, path)
        found = _alias(name, f"{OURS}.{inner}")
        if found is None:
            unknown_module(inner)
        return found


class StandInFinder:
    """The few names of kombu and billiard that programs use; last on `sys.meta_path`, so that real ones win."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        library, _, inner = name.partition(".")
        if library not in STAND_INS or (inner and not _is_ours(sys.modules.get(library))):
            return None
        origin = f"stand_ins.{name}"
        refused_module(origin)
        found = _alias(name, f"{OURS}.{origin}")
        if found is None:
            unknown_module(origin)
        return found


def _alias(name: str, origin: str) -> ModuleSpec | None:
    try:
        found = PathFinder.find_spec(origin, import_module(origin.rpartition(".")[0]).__path__)
    except (ModuleNotFoundError, AttributeError):  # below what is not there, or no package
        return None
    if found is None:
        return None
    inside = found.submodule_search_locations
    loader: Any = _Alias(origin)
    made = ModuleSpec(name, loader, origin=found.origin, is_package=inside is not None)
    if inside is not None:
        made.submodule_search_locations = inside
    return made


def _is_ours(module: ModuleType | None) -> bool:
    return module is not None and module.__name__.startswith(OURS)


def answer_to_celery() -> None:
    """See `smallage.install_as_celery`."""
    there = sys.modules.get("celery")
    if there is not None and not _is_ours(there):
        raise ImproperlyConfigured(
            "The real Celery has been imported before, so it cannot be replaced in this process. Call "
            "smallage.install_as_celery() ahead of every import of celery, best in the first lines of the program."
        )
    sys.modules["celery"] = import_module(OURS)
    if CeleryFinder not in sys.meta_path:
        sys.meta_path.insert(0, CeleryFinder)
        sys.meta_path.append(StandInFinder)


def check_alone() -> None:
    """Raise ImportError if the real Celery is installed as well: both own the folder `celery`, so that one has
    overwritten the other."""
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        for name in names:
            if name.startswith("celery-") and name.endswith((".dist-info", ".egg-info")):
                raise ImportError(
                    f"Celery itself ({name.rpartition('.')[0]}) is installed beside smallage-as-celery, and both "
                    "have a package named celery. Keep one: pip uninstall -y celery smallage-as-celery, then install "
                    "the one that you want. With Celery installed, programs can still use Smallage by `from smallage "
                    "import Celery`, or by calling smallage.install_as_celery() first.",
                    name="celery",
                )
