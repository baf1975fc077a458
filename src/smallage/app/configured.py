"""The part of an app that holds its settings."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from smallage.app.importing import named
from smallage.core.errors import ImproperlyConfigured
from smallage.core.settings import TABLE, Settings
from smallage.signals import Signal

CONFIG_MODULE = "CELERY_CONFIG_MODULE"
"""Environment variable with the module that holds the settings, when the code names none."""


class Configured:
    """Settings, where they come from, and the zone that they name.

    Configuration objects are read at the first look at `conf`, so that they may be named before they can be imported.
    """

    namespace: str | None = None
    """Prefix of the settings' names in configuration objects."""

    def __init__(self) -> None:
        self.conf = Settings(self._configure, os.environ)
        self.on_configure = Signal("on_configure")
        """Sent before configuration objects are read."""
        self.on_after_configure = Signal("on_after_configure", ("source",))
        """Sent when they have been; `source` is `conf`."""
        self._config_lock = threading.RLock()
        self._configuring = False
        self._config_source: tuple[Any, bool] = (None, False)
        self._later: list[Callable[[], None]] = []
        """What is to be done to the settings once they have been read."""
        self._zone: tuple[int, dt.tzinfo] | None = None

    @property
    def configured(self) -> bool:
        """True once the settings have been read."""
        return self.conf.settled

    def config_from_object(
        self, obj: Any, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> None:
        """Take settings from a module or object, its dotted name ("package.module" or "module:name"), or a dict.

        What an earlier object said is forgotten; what was set on `conf` itself stays and goes before. `silent`: a
        name that cannot be imported is no error. `force`: read it now. `namespace`: "CELERY" reads `CELERY_TASK_ROUTES`
        and so on.
        """
        self._config_source = (obj, silent)
        self.namespace = namespace or self.namespace
        if self.configured:
            self._read_config()
        elif force:
            self._configure()

    def config_from_envvar(self, variable_name: str, silent: bool = False, force: bool = False) -> bool:
        """The same for the module or object that an environment variable names. Raises ImproperlyConfigured if the
        variable is not set and `silent` is off."""
        name = os.environ.get(variable_name)
        if not name:
            if silent:
                return False
            raise ImproperlyConfigured(
                f"The environment variable {variable_name} is not set. It is to name the module with the settings."
            )
        self.config_from_object(name, silent=silent, force=force)
        return True

    def add_defaults(self, fun: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> None:
        """Settings that count unless they are set on `conf` itself; a function is called when they are needed."""
        self._when_configured(lambda: self.conf.add_defaults(fun() if callable(fun) else fun))

    def _when_configured(self, act: Callable[[], None]) -> None:
        if self.configured:
            act()
        else:
            self._later.append(act)

    def _configure(self) -> None:
        """Read the settings, once."""
        with self._config_lock:
            if self.configured or self._configuring:
                return
            self._configuring = True
            try:
                self.on_configure.send(sender=self)
                self._read_config()
                while self._later:
                    self._later.pop(0)()
            finally:
                self._configuring = False
        self.on_after_configure.send(sender=self, source=self.conf)

    def _read_config(self) -> None:
        obj, silent = self._config_source
        if obj is None:
            obj = os.environ.get(CONFIG_MODULE)
        if isinstance(obj, str) and obj:
            try:
                obj = named(obj)
            except (ImportError, AttributeError):
                if not silent:
                    raise
                obj = None
        self.conf.settle(_contents(obj, self.namespace), self.namespace)

    def zone(self) -> dt.tzinfo:
        """The zone that naive datetimes are in."""
        if self._zone is None or self._zone[0] != self.conf.version:
            self._zone = (self.conf.version, _zone(self.conf.timezone, self.conf.enable_utc))
        return self._zone[1]

    @property
    def timezone(self) -> dt.tzinfo:
        """The same, as Celery calls it."""
        return self.zone()

    def now(self) -> dt.datetime:
        """The time in the app's zone."""
        return dt.datetime.now(self.zone())


def _contents(obj: Any, namespace: str | None) -> Mapping[str, Any]:
    """A configuration object as a mapping. Under a namespace nothing else of it is touched: settings of frameworks
    may warn or fail when they are read."""
    if not obj:
        return {}
    if isinstance(obj, Mapping):
        return obj
    names = dir(obj)
    if namespace:
        prefix = namespace.upper()
        names = [name for name in names if name.upper().startswith(prefix) or name in TABLE or name == "TIME_ZONE"]
    return {name: getattr(obj, name) for name in names if not name.startswith("_")}


def _zone(zone: Any, utc: bool) -> dt.tzinfo:
    if isinstance(zone, dt.tzinfo):
        return zone
    if zone:
        from zoneinfo import ZoneInfo

        try:
            return ZoneInfo(zone)
        except (KeyError, ValueError):
            raise ImproperlyConfigured(f"There is no time zone '{zone}'; a name is like 'Europe/Berlin'.") from None
    if utc:
        return dt.UTC
    from smallage.core.localzone import LOCAL

    return LOCAL
