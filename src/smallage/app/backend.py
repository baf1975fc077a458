"""`app.backend`: results by id, as Celery's programs ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from smallage.app.refused import NotOffered
from smallage.core.store_url import place

if TYPE_CHECKING:
    from smallage.app.base import Smallage


class Backend:
    """The results in the app's store."""

    def __init__(self, app: Smallage) -> None:
        self.app = app

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:
        """What is known of a task: `task_id status result traceback children date_done` and more."""
        result = self.app.AsyncResult(task_id)
        done = result.date_done
        return {
            "task_id": task_id,
            "status": result.state,
            "result": result.result,
            "traceback": result.traceback,
            "children": [one.as_tuple() for one in getattr(result, "children", None) or ()],
            "date_done": None if done is None else done.isoformat(),
        }

    def get_state(self, task_id: str) -> str:
        return self.app.AsyncResult(task_id).state

    def get_result(self, task_id: str) -> Any:
        return self.app.AsyncResult(task_id).result

    def get_traceback(self, task_id: str) -> str | None:
        return self.app.AsyncResult(task_id).traceback

    get_status = get_state

    def forget(self, task_id: str) -> None:
        """Remove a result."""
        self.app.AsyncResult(task_id).forget()

    def store_result(self, task_id: str, *_: Any, **__: Any) -> NoReturn:
        """Refused: a result is written by the run that has it, in the act that ends the task."""
        raise NotOffered(
            "backend.store_result is not offered: a result is written in the act that ends the task, by its run alone. "
            "Use self.update_state in the task."
        )

    mark_as_done = mark_as_failure = mark_as_started = store_result

    def ensure_chords_allowed(self) -> None:
        """They always are."""

    def cleanup(self) -> None:
        """Nothing to do: the store drops results when their time is over."""

    def as_uri(self, include_password: bool = False) -> str:
        """The store's URL, without secrets unless asked for."""
        return self.app.url if include_password else place(self.app.url)

    def __repr__(self) -> str:
        return f"<Backend: {self.as_uri()}>"
