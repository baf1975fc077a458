"""What `@app.task(...)` was given: kept until the task is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from smallage.app.annotating import annotate
from smallage.task import Task, make_task

if TYPE_CHECKING:
    from smallage.app.pending import PendingTask
    from smallage.app.registering import Registering


class Declaration:
    """One declared task of an app."""

    def __init__(
        self, app: Registering, function: Any, name: str, base: Any, bind: bool, values: Mapping[str, Any]
    ) -> None:
        self._app, self._function, self._name = app, function, name
        self._base, self._bind, self._values = base, bind, values
        self._made: Task[Any, Any] | None = None
        self._done = False
        self.task: PendingTask | None = None

    def build(self) -> Task[Any, Any]:
        """The task, as an object of its own. Raises RuntimeError if the app must be finalized by hand and is not."""
        app = self._app
        with app.building:
            if self._made is None:
                app.check_finalized()
                base = self._base or app.Task
                self._made = make_task(app.itself(), self._function, self._name, base, self._bind, self._values)
            return self._made

    def settle(self, become: Callable[[], None]) -> None:
        """Call `become` once, and give the task what the settings say of it."""
        with self._app.building:
            if not self._done:
                self.build()
                self._done = True
                become()
                if self.task is not None:
                    annotate(self.task, self._app.conf.task_annotations)
