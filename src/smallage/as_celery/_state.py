"""The app and the task that are meant when none is named: `celery._state`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.app.current import current_app, current_task, default_app, set_current, share, the_app, the_task
from smallage.as_celery.absent import attribute
from smallage.request import running

if TYPE_CHECKING:
    from smallage.app import Smallage

get_current_app = the_app
get_current_task = get_current_worker_task = the_task
connect_on_app_finalize = share


def set_default_app(app: Smallage) -> None:
    """Make `app` the one that is meant."""
    set_current(app)


def app_or_default(app: Smallage | None = None) -> Smallage:
    """`app`, or the one that is meant."""
    return the_app() if app is None else app


def task_join_will_block() -> bool:
    """True inside a running task, where waiting for another task's result would hold a worker's place."""
    return running.get() is not None


__all__ = [
    "app_or_default",
    "connect_on_app_finalize",
    "current_app",
    "current_task",
    "default_app",
    "get_current_app",
    "get_current_task",
    "get_current_worker_task",
    "set_default_app",
    "task_join_will_block",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
