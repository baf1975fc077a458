"""What sends schedules, started by a program: `celery.apps.beat`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.app import programs
from smallage.as_celery._state import app_or_default
from smallage.as_celery.absent import attribute

if TYPE_CHECKING:
    from smallage.app import Smallage


class Beat(programs.Beat):
    """`app.Beat(...)`; without `app` that of the current app."""

    def __init__(self, app: Smallage | None = None, **options: Any) -> None:
        super().__init__(app_or_default(app), **options)


__all__ = ["Beat"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
