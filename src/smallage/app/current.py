"""Which app is meant when none is named, and all that there are."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smallage.request import running

if TYPE_CHECKING:
    from smallage.app.base import Smallage

apps: weakref.WeakSet[Smallage] = weakref.WeakSet()
"""Every app of this process."""
_current: Smallage | None = None
_shared: list[Callable[[Smallage], None]] = []


def current_app() -> Smallage:
    """The app that was made (or `set_current`) last; a nameless one if there is none."""
    if _current is not None:
        return _current
    from smallage.app.base import Smallage

    return Smallage()


def set_current(app: Smallage) -> None:
    """Make this the app of tasks and results that name none."""
    global _current
    _current = app


def current_task() -> Any:
    """The task that a worker runs here, if any."""
    request = running.get()
    return None if request is None else request.task_object


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
