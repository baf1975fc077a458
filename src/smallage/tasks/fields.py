"""Attributes of tasks that read as the app's settings while a task says nothing of its own."""

from __future__ import annotations

from typing import Any

_NOTHING = object()


class FromSetting:
    """An option: what a task (or its class) says, else the setting. `chosen` tells the two apart."""

    def __init__(self, setting: str, default: Any = None) -> None:
        """`default` is read where the setting is None."""
        self.setting = setting
        self.default = default

    def __get__(self, task: Any, kind: type | None = None) -> Any:
        if task is None:
            return None
        found = getattr(task.app.conf, self.setting)
        return self.default if found is None else found


class FromApp:
    """Reads as the current app until a task is given one."""

    def __get__(self, task: Any, kind: type | None = None) -> Any:
        from smallage.app.current import the_app

        return the_app()


def chosen(task: Any, name: str) -> Any:
    """What a task or its class says of an option; None if that is left to the settings."""
    found = task.__dict__.get(name, _NOTHING)
    if found is not _NOTHING:
        return found
    for kind in type(task).__mro__:
        if name in vars(kind):
            found = vars(kind)[name]
            return None if isinstance(found, FromSetting) else found
    return None
