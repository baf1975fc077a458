"""An app's settings: what was set, where from, and what has no effect.

Celery's names are ours, old spellings included; `setting_table` says what becomes of each. What is set on the settings
themselves beats `add_defaults`, which beats `config_from_object`, which beats the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Final

from smallage.core.errors import ImproperlyConfigured
from smallage.core.options import nearest
from smallage.core.setting_names import OLD_NAMES, find, settings_of
from smallage.core.setting_table import TABLE, Setting

_FROM_ENVIRONMENT: Final = {
    "broker_url": ("SMALLAGE_URL", "CELERY_BROKER_URL"),
    "result_backend": ("CELERY_RESULT_BACKEND",),
}
"""Settings that the environment decides if it says anything → its names for them, the first wins."""
_SLIP: Final = 0.85
"""How near to a known name an unknown one must be to be taken for a slip of the pen."""


class Settings(MutableMapping[str, Any]):
    """Settings as attributes or items. `version` rises with every change.

    `load`, called at the first reading, is to hand what configuration objects say to `settle`; until then settings can
    be made and are kept. `environ` stands for the process's environment.
    """

    version: int
    ignored: dict[str, str]
    """Settings that were given and have no effect → why."""
    unknown: dict[str, str]
    """Names that no table knows and that look like slips → the nearest known ones."""

    def __init__(self, load: Callable[[], None] | None = None, environ: Mapping[str, str] | None = None) -> None:
        own = self.__dict__
        own.update(_load=load, _environ={} if environ is None else environ, ignored={}, unknown={})
        own.update(_source={}, _defaults={}, _changes={}, _pinned={}, _values={}, _lent={})
        if load is None:
            own["version"] = 0

    # -- setting --------------------------------------------------------------------------------------------------
    def settle(self, source: Mapping[str, Any], namespace: str | None = None) -> None:
        """Take what a configuration object says, in place of what the last one said; from now on settings are read.

        Raises ImproperlyConfigured, and then nothing has changed.
        """
        made: dict[str, Any] = {}
        ignored: dict[str, str] = {}
        for name, value in settings_of(source, namespace).items():
            today, checked = self._checked(name, value, ignored)
            made[today] = checked
        self.__dict__["_source"] = made
        self.ignored.update(ignored)
        self.unknown.update(_slips(made))
        self.__dict__.setdefault("version", 0)
        self._changed()

    @property
    def settled(self) -> bool:
        """True once configuration objects have been read."""
        return "version" in self.__dict__

    def add_defaults(self, values: Mapping[str, Any]) -> None:
        """Values that count unless they are set on the settings themselves."""
        made = dict(self._checked(name, value, self.ignored) for name, value in values.items())
        self._defaults.update(made)
        self._changed()

    def pin(self, name: str, value: Any) -> None:
        """A value that beats all others, the environment's too: that of a command line, or of a test."""
        self._pinned.update([self._checked(name, value, self.ignored)])
        self._changed()

    def _put(self, name: str, value: Any, lenient: bool) -> None:
        if not lenient and find(name) is None:
            near = nearest(name, TABLE, _SLIP)
            if near:
                raise ImproperlyConfigured(f"There is no setting '{name}'{near}")
        today, checked = self._checked(name, value, self.ignored)
        self._changes[today] = checked
        if lenient:
            self.unknown.update(_slips([today]))
        self._changed()

    def _checked(self, name: str, value: Any, ignored: dict[str, str]) -> tuple[str, Any]:
        """(today's name, the value as the code reads it); says in `ignored` if it has no effect."""
        found = find(name)
        if found is None:
            return name, value
        today, setting = found
        if setting.convert is not None:
            value = setting.convert(today, value)
        if setting.fate != "works" and not _harmless(setting, value):
            if setting.fate == "refused":
                raise ImproperlyConfigured(f"{name} is not offered: {setting.why}.")
            ignored[name] = setting.why
        return today, value

    def _changed(self) -> None:
        own = self.__dict__
        own["_values"] = {**own["_source"], **own["_defaults"], **own["_changes"], **own["_pinned"]}
        if "version" in own:
            own["version"] += 1

    # -- reading --------------------------------------------------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if name.startswith("__"):
            raise AttributeError(name)
        if "version" not in own:
            own["_load"]()
            if name == "version":
                return own.get("version", 0)
        found = self._find(name)
        if found is None:
            raise AttributeError(f"There is no setting '{name}'{nearest(name, TABLE)}")
        return found[0]

    def _find(self, name: str) -> tuple[Any] | None:
        own = self.__dict__
        known = find(name)
        today = name if known is None else known[0]
        if today in _FROM_ENVIRONMENT and today not in own["_pinned"]:
            for variable in _FROM_ENVIRONMENT[today]:
                if own["_environ"].get(variable):
                    return (own["_environ"][variable],)
        values = own["_values"]
        value = values.get(today, self)
        if today == "timezone" and (value is self or value is None) and values.get("TIME_ZONE"):
            return (values["TIME_ZONE"],)  # Django's
        if value is not self:
            return (value,)
        if known is None:
            return None
        default = known[1].default
        if type(default) is dict:  # may be changed in place: beat_schedule
            default = own["_lent"].setdefault(today, dict(default))
        return (default,)

    def __setattr__(self, name: str, value: Any) -> None:
        self._put(name, value, lenient=False)

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        self._put(name, value, lenient=True)

    def __delitem__(self, name: str) -> None:
        known = find(name)
        del self._changes[name if known is None else known[0]]
        self._changed()

    def __contains__(self, name: object) -> bool:
        _ = self.version
        return isinstance(name, str) and (name in self._values or find(name) is not None)

    def __iter__(self) -> Iterator[str]:
        _ = self.version
        return iter({**dict.fromkeys(TABLE), **self._values})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def get(self, name: str, default: Any = None) -> Any:
        """A setting's value, or `default` if there is no such setting."""
        return getattr(self, name, default)

    def update(self, *sources: Any, **values: Any) -> None:
        """Set many; unknown names are kept as they are. Raises ImproperlyConfigured for values that cannot work."""
        for source in (*sources, values):
            for name, value in dict(source).items():
                self._put(name, value, lenient=True)

    def given(self, name: str) -> bool:
        """True if the setting was set anywhere, whatever its value."""
        _ = self.version
        return name in self._values

    # -- telling --------------------------------------------------------------------------------------------------
    @property
    def notes(self) -> list[str]:
        """Sentences about settings that were given and have no effect."""
        told = [f"The setting {name} has no effect: {why}." for name, why in self.ignored.items()]
        return told + [f"There is no setting '{name}'{near}" for name, near in self.unknown.items()]

    def without_defaults(self) -> dict[str, Any]:
        """What was set anywhere."""
        _ = self.version
        return dict(self._values)

    def table(self, with_defaults: bool = False, censored: bool = True) -> dict[str, Any]:
        """Settings to be shown; what may be a secret as stars."""
        from smallage.core.censoring import censored as hide  # few programs show their settings

        shown = dict(self) if with_defaults else self.without_defaults()
        return {name: hide(name, value) if censored else value for name, value in shown.items()}

    def humanize(self, with_defaults: bool = False, censored: bool = True) -> str:
        """The same as text, a setting a line."""
        return "\n".join(f"{name}: {value!r}" for name, value in self.table(with_defaults, censored).items())

    def __repr__(self) -> str:
        return f"<Settings: {len(self._changes)} set>"


def _harmless(setting: Setting, value: Any) -> bool:
    """True if a setting without effect was given a value that asks for what happens anyway."""
    return value is None or value == setting.default or value in setting.harmless


def _slips(names: Any) -> dict[str, str]:
    """Unknown names that are nearly those of settings."""
    lower = [name for name in names if name.islower() and "_" in name and find(name) is None]
    return {name: near for name in lower if (near := nearest(name, TABLE, _SLIP))}


__all__ = ["OLD_NAMES", "TABLE", "Setting", "Settings", "find", "settings_of"]
