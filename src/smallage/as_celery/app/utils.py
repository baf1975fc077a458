"""Finding and describing apps: `celery.app.utils`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.as_celery.absent import attribute
from smallage.as_celery.app import bugreport
from smallage.core.settings import Settings
from smallage.core.store_url import place


def find_app(app: str, **_: Any) -> Any:
    """The app at `module:name`, in a module or in its submodule `celery`."""
    from smallage.worker.discover import find_app

    return find_app(app)


def appstr(app: Any) -> str:
    """The app in a few words: its name and where it is."""
    return f"{app.main or '__main__'}:{id(app):#x}"


def sanitize_url(url: str, mask: str = "**") -> str:
    """The URL without its secrets."""
    return place(url)


__all__ = ["Settings", "appstr", "bugreport", "find_app", "sanitize_url"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
