"""Which app is meant when none is named, and all that there are."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smallage.app.proxy import Proxy
from smallage.request import running

if TYPE_CHECKING:
    from smallage.app.base import Smallage

apps: weakref.WeakSet[Smallage] = weakref.WeakSet()
"""Every app of this process."""
_current: Smallage | None = None
_shared: list[Callable[[Smallage], None]] = []


def the_app() -> Smallage:
    """The app that was made (or `set_current`) last; a nameless one if there is none."""
    if _current is not None:
        return _current
    return default_app()


def set_current(app: Smallage) -> None:
    """Make this the app of tasks and results that name none."""
    global _current
    _current = app


_default: Smallage | None = None


def default_app() -> Smallage:
    """The nameless app that is there when a program makes none; its settings are those of CELERY_CONFIG_MODULE, else
    of a module `celeryconfig` if there is one."""
    global _default
    if _default is None:
        from smallage.app.base import Smallage

        _default = Smallage(set_as_current=False)
        _default.config_from_object(os.environ.get("CELERY_CONFIG_MODULE") or "celeryconfig", silent=True)
    return _default


def the_task() -> Any:
    """The task that a worker runs here, if any."""
    request = running.get()
    return None if request is None else request.task_object


current_app = Proxy(the_app, "current app")
"""The app that tasks and results use which name none; called, it gives the app itself."""
current_task = Proxy(the_task, "current task")
"""The task that a worker runs here; false if there is none. Called, it gives the task itself, or None."""


def share(register: Callable[[Smallage], None]) -> None:
    """Call `register` with every app there is and with each that is made later."""
    _shared.append(register)
    for app in list(apps):
        register(app)


def welcome(app: Smallage) -> None:
    """A new app: it gets the shared tasks."""
    apps.add(app)
    for register in _shared:
        register(app)


def _after_fork() -> None:
    for app in list(apps):
        app._after_fork()


os.register_at_fork(after_in_child=_after_fork)
