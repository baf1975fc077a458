"""`app.backend`: results by id, as Celery's programs ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.app.refused import Refused
from smallage.core.store_url import place
from smallage.results.reading import meta_of
from smallage.results.saving import store_result

if TYPE_CHECKING:
    from smallage.app.base import Smallage


_KEYS = (
    "results have no keys of their own. AsyncResult(id) and app.backend.get_task_meta(id) read one; "
    "`smallage tasks list` and app.store.find(state) find tasks"
)


class Backend:
    """The results in the app's store."""

    client = Refused(_KEYS, "app.backend")
    get = Refused(_KEYS, "app.backend")
    mget = Refused(_KEYS, "app.backend")
    set = Refused(_KEYS, "app.backend")
    delete = Refused(_KEYS, "app.backend")
    get_key_for_task = Refused(_KEYS, "app.backend")
    database = Refused(_KEYS, "app.backend")
    ResultSession = Refused(_KEYS, "app.backend")
    wait_for = Refused("AsyncResult(id).get() waits", "app.backend")

    def __init__(self, app: Smallage) -> None:
        self.app = app

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:
        """What is known of a task: `task_id status result traceback children date_done`, with `result_extended` also
        `name args kwargs worker retries queue`."""
        return meta_of(self.app.store.state([task_id])[0], task_id)

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

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: str | None = None, request: Any = None, **_: Any
    ) -> Any:
        """Have a task read as being in `state` with `result`: one that runs until it ends, one that was never sent from
        now on. Raises BackendStoreError for one that waits to be run; a good end is not written over. Returns
        `result`."""
        store_result(self.app, task_id, result, state, traceback)
        return result

    def mark_as_started(self, task_id: str, **meta: Any) -> Any:
        """Show a running task as STARTED, with `meta` as its info."""
        return self.store_result(task_id, meta, "STARTED")

    def mark_as_done(self, task_id: str, result: Any, request: Any = None, **_: Any) -> None:
        """`store_result` of a good end."""
        self.store_result(task_id, result, "SUCCESS")

    def mark_as_failure(self, task_id: str, exc: BaseException, traceback: str | None = None, **_: Any) -> None:
        """`store_result` of a bad end."""
        self.store_result(task_id, exc, "FAILURE", traceback)

    def ensure_chords_allowed(self) -> None:
        """They always are."""

    def cleanup(self) -> None:
        """Nothing to do: the store drops results when their time is over."""

    def as_uri(self, include_password: bool = False) -> str:
        """The store's URL, without secrets unless asked for."""
        return self.app.url if include_password else place(self.app.url)

    def __repr__(self) -> str:
        return f"<Backend: {self.as_uri()}>"
