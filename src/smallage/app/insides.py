"""The few things that programs do with the insides of Celery's app: its loader and its log."""

from __future__ import annotations

import datetime as dt
import logging
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smallage.app.base import Smallage
    from smallage.core.settings import Settings


class Loader:
    """`app.loader`."""

    def __init__(self, app: Smallage) -> None:
        self.app = app

    def import_default_modules(self) -> list[ModuleType]:
        """The modules with the app's tasks."""
        return self.app.import_default_modules()

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """A module by its name."""
        return import_module(name, package)

    import_task_module = import_from_cwd = import_module

    @property
    def conf(self) -> Settings:
        """The app's settings."""
        return self.app.conf

    def now(self, utc: bool = True) -> dt.datetime:
        """The time."""
        return dt.datetime.now(dt.UTC) if utc else dt.datetime.now().astimezone()


class Log:
    """`app.log`: a worker's way of logging, for other programs of the app."""

    def __init__(self, app: Smallage) -> None:
        self.app = app

    def setup(self, loglevel: int | str | None = None, *_: Any, colorize: bool | None = None, **__: Any) -> None:
        """Log to stderr as a worker does, with the formats of the settings, from `loglevel` on."""
        logs: Any = import_module("smallage.worker.logs")  # a floor above, for programs that ask for it
        level = logging.getLevelName(loglevel) if isinstance(loglevel, int) else loglevel or "WARNING"
        if colorize is not None:
            self.app.conf.worker_log_color = colorize
        logs.configure(level, "text", "MainProcess")
        logs.settle(self.app.conf, level, "text", "MainProcess")

    setup_logging_subsystem = setup

    def get_default_logger(self, name: str = "celery") -> logging.Logger:
        """The logger of this name."""
        return logging.getLogger(name)
