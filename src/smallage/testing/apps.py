"""Apps for tests: with a store of their own, as the current app for a while, or running tasks on the spot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from smallage.app import Smallage
from smallage.app import current as which
from smallage.stores import base

DEFAULT_TEST_CONFIG: Mapping[str, Any] = {
    "broker_url": "memory://",
    "result_backend": "cache+memory://",
    "enable_utc": True,
    "timezone": "UTC",
}
"""Settings of a test's app unless others are given."""


class Trap:
    """Stands where the current app would, for tests that are not to depend on one."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(
            "Test depends on current_app. Take the fixture depends_on_current_app, or use the app that you have."
        )


def make_app(settings: Mapping[str, Any] | None = None, /, **parameters: Any) -> Smallage:
    """An app for one test, which is not made the current one; close it afterwards.

    Its store is a new one in memory, unless `settings` or `parameters` name another; what the environment says about
    stores is not asked, so that no test meets real tasks. `parameters` are those of `Smallage`.
    """
    given = {**DEFAULT_TEST_CONFIG, **(settings or {})}
    if parameters.get("broker"):
        given["broker_url"] = parameters.pop("broker")
    parameters.setdefault("main", "tests")
    app = Smallage(**{"set_as_current": False, **parameters})
    app.conf.update(given)
    app.conf.pin("broker_url", given["broker_url"])
    if str(given["broker_url"]).startswith("memory:"):
        store = base.open("memory://", shared=False)
        store.setup()
        app.use_store(store)
    return app


@contextmanager
def current(app: Any, trap: bool = False) -> Iterator[None]:
    """Make `app` the current app within the block; with `trap` there is none, and asking for it raises RuntimeError."""
    before = which._current
    which.set_current(Trap() if trap else app)  # type: ignore[arg-type]  # it is there to fail
    try:
        yield
    finally:
        which._current = before


@contextmanager
def eager(app: Smallage, *, propagate: bool = True, store_results: bool = False) -> Iterator[None]:
    """Within the block `delay` and `apply_async` of the app's tasks run the task here and now, without a store.

    `propagate`: errors of tasks are raised by the call, and not only by `result.get()`. `store_results`: results are
    kept in the store as well.
    """
    conf = app.conf
    before = dict(conf._pinned)
    wanted = {
        "task_always_eager": True,
        "task_eager_propagates": propagate,
        "task_store_eager_result": store_results,
    }
    try:
        for name, value in wanted.items():
            conf.pin(name, value)
        yield
    finally:
        conf._pinned.clear()
        conf._pinned.update(before)
        conf._changed()
