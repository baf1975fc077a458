"""The part of an app that finds the modules in which tasks are declared."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from smallage import signals
from smallage.app.calling import Calling

Packages = Iterable[str] | Callable[[], Iterable[str]] | None


class Discovering(Calling):
    """Modules with tasks: those that the settings name, and those that lie in packages under a known name."""

    def autodiscover_tasks(
        self, packages: Packages = None, related_name: str | None = "tasks", force: bool = False
    ) -> list[ModuleType] | None:
        """Import the module `related_name` of each package; with None the package itself. `packages` may be a function;
        without it Django's apps are meant.

        It happens when a worker or a command loads the tasks; with `force` now, and then the modules are returned.
        """
        if force:
            return related(_called(packages), related_name)

        def import_them(**_: Any) -> None:
            related(_called(packages), related_name)

        signals.import_modules.connect(import_them, sender=self, weak=False)
        return None

    def import_default_modules(self) -> list[ModuleType]:
        """Import what `imports` and `include` name and what `autodiscover_tasks` is to find. Errors of those modules
        pass through."""
        made = [importlib.import_module(name) for name in dict.fromkeys((*self.conf.imports, *self.conf.include))]
        for _, answer in signals.import_modules.send(sender=self):
            if isinstance(answer, BaseException):
                raise answer
        return made


def _called(packages: Packages) -> Iterable[str]:
    if callable(packages):
        packages = packages()
    return packages if packages is not None else _apps_of_django()


def _apps_of_django() -> list[str]:
    """Names of the apps of the Django project that this process is set up for."""
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        import logging

        logging.getLogger("smallage.app").warning(
            "autodiscover_tasks() without packages looks into Django's apps, but DJANGO_SETTINGS_MODULE is not set. "
            "Name the packages."
        )
        return []
    apps = importlib.import_module("django.apps").apps
    return [config.name for config in apps.get_app_configs()]


def related(packages: Iterable[str], name: str | None) -> list[ModuleType]:
    """The modules of this name in these packages; packages without one are passed over, broken modules are not."""
    found = [_related(package, name) for package in packages]
    return [one for one in found if one is not None]


def _related(package: str, name: str | None) -> ModuleType | None:
    places = [package]
    try:
        module = importlib.import_module(package)
        if not name:
            return module
    except ModuleNotFoundError as error:
        if error.name != package or "." not in package or not name:
            raise
        places = _above(package)  # it is a class, as Django has them: shop.apps.ShopConfig
    for place in places:
        wanted = f"{place}.{name}"
        try:
            return importlib.import_module(wanted)
        except ModuleNotFoundError as error:
            if error.name != wanted:
                raise
    return None


def _above(name: str) -> list[str]:
    """The packages that a dotted name lies in, the nearest first."""
    parts = name.split(".")
    return [".".join(parts[:size]) for size in range(len(parts) - 1, 0, -1)]
