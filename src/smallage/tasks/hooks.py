"""What subclasses of `Task` may override."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smallage.app import Smallage


class Hooks:
    """Called around a run, and around the making of a task; empty."""

    app: Smallage

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Called before the body; what it raises fails the task."""

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Called after the body ended well."""

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called after the task failed for good."""

    def on_retry(self, exc: BaseException | None, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called when the task is to be tried again; `exc` is what `retry` was given or what was being handled."""

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called after success and failure; `einfo` is None after success."""

    @classmethod
    def on_bound(cls, app: Smallage) -> None:
        """Called when a task of this class was made for an app."""

    def shadow_name(self, args: Any, kwargs: Any, options: Mapping[str, Any]) -> str | None:
        """A name for logs, of a call that is given none; None for the task's own."""
        return None

    def _get_app(self) -> Smallage:
        """The app, as libraries for Celery ask its tasks for it."""
        app: Smallage = self.app
        return app

    def annotate(self) -> None:
        """Give the task what `task_annotations` says of it."""
        from smallage.app.annotating import annotate

        annotate(self, self.app.conf.task_annotations)  # type: ignore[arg-type]
