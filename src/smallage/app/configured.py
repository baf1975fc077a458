"""The part of an app that holds its settings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from smallage.app.importing import named
from smallage.app.warning import warn
from smallage.core.settings import Settings, settings_of


class Configured:
    """Settings, where they come from, and the zone that they name."""

    def __init__(self) -> None:
        self.conf = Settings()
        self._zone: tuple[int, dt.tzinfo] | None = None
        self._noted = 0

    def config_from_object(
        self, obj: Any, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> None:
        """Take settings from a module or object, its dotted name ("package.module" or "module:name"), or a dict."""
        if isinstance(obj, str):
            try:
                obj = named(obj)
            except (ImportError, AttributeError):
                if silent:
                    return
                raise
        source = obj if isinstance(obj, Mapping) else {name: getattr(obj, name) for name in dir(obj)}
        for name, value in settings_of(source, namespace).items():
            setattr(self.conf, name, value)

    def zone(self) -> dt.tzinfo:
        """The zone that naive datetimes are in."""
        if self._zone is None or self._zone[0] != self.conf.version:
            self._zone = (self.conf.version, _zone(self.conf.timezone, self.conf.enable_utc))
        return self._zone[1]

    def now(self) -> dt.datetime:
        """The time in the app's zone."""
        return dt.datetime.now(self.zone())

    def _note_settings(self) -> None:
        for note in self.conf.notes[self._noted :]:
            warn("%s", note)
        self._noted = len(self.conf.notes)


def _zone(zone: Any, utc: bool) -> dt.tzinfo:
    if isinstance(zone, dt.tzinfo):
        return zone
    if zone:
        from zoneinfo import ZoneInfo

        return ZoneInfo(zone)
    local = None if utc else dt.datetime.now().astimezone().tzinfo
    return local or dt.UTC
