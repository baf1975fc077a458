"""The pytest plugin: Celery's fixtures and its marker. It is there in every run of pytest, so it imports nothing of
ours until a test asks for one of them.

| fixture | scope | what it gives |
|---|---|---|
| `celery_app` | test | an app with an empty store in memory, unless the settings name another; the current app |
| `celery_worker` | test | a worker of that app, in threads of the test's process |
| `celery_session_app`, `celery_session_worker` | session | the same for all tests |
| `depends_on_current_app` | test | lets a test use `current_app` where `use_celery_app_trap` forbids it |

To be overridden: `celery_config` (settings), `celery_parameters` (arguments of the app), `celery_includes` (modules
with tasks), `celery_worker_pool`, `celery_worker_parameters` (arguments of `start_worker`), `celery_class_tasks`,
`celery_enable_logging`, `use_celery_app_trap`. The marker `@pytest.mark.celery(**settings)` sets settings of one test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.testing.threaded import ThreadWorker


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "celery(**settings): settings of the app that the fixture celery_app gives.")


@pytest.fixture(scope="session")
def celery_config() -> Mapping[str, Any]:
    """Settings of the apps. Redefine it to have others."""
    return {}


@pytest.fixture(scope="session")
def celery_parameters() -> Mapping[str, Any]:
    """Further arguments of the apps, such as `task_cls` or `strict_typing`. Redefine it to have some."""
    return {}


@pytest.fixture(scope="session")
def celery_includes() -> Sequence[str]:
    """Modules to import before a worker starts. Redefine it to have some."""
    return ()


@pytest.fixture(scope="session")
def celery_class_tasks() -> Sequence[Any]:
    """Task classes that `celery_session_worker` registers. Redefine it to have some."""
    return ()


@pytest.fixture(scope="session")
def celery_enable_logging() -> bool:
    """Whether workers may set logging up. Celery's; workers in a thread leave logging as it is."""
    return False


@pytest.fixture(scope="session")
def celery_worker_pool() -> str:
    """Pool of the workers: "solo" (one task at a time), "threads" or "asyncio". Redefine it to have another."""
    return "solo"


@pytest.fixture(scope="session")
def celery_worker_parameters() -> Mapping[str, Any]:
    """Further arguments of `start_worker`, such as `queues` or `concurrency`. Redefine it to have some."""
    return {}


@pytest.fixture(scope="session")
def use_celery_app_trap() -> bool:
    """Redefine it to return True, and whatever uses `current_app` without saying so fails."""
    return False


@pytest.fixture(scope="session")
def celery_session_app(
    request: pytest.FixtureRequest,
    celery_config: Mapping[str, Any],
    celery_parameters: Mapping[str, Any],
    celery_enable_logging: bool,
    use_celery_app_trap: bool,
) -> Iterator[Smallage]:
    """An app for all tests of the session."""
    yield from _app(request, celery_config, celery_parameters, use_celery_app_trap)


@pytest.fixture(scope="session")
def celery_session_worker(
    celery_session_app: Smallage,
    celery_includes: Sequence[str],
    celery_class_tasks: Sequence[Any],
    celery_worker_pool: str,
    celery_worker_parameters: Mapping[str, Any],
) -> Iterator[ThreadWorker]:
    """A worker of `celery_session_app` for all tests of the session."""
    for task in celery_class_tasks:
        celery_session_app.register_task(task)
    yield from _worker(celery_session_app, celery_includes, celery_worker_pool, celery_worker_parameters)


@pytest.fixture
def celery_app(
    request: pytest.FixtureRequest,
    celery_config: Mapping[str, Any],
    celery_parameters: Mapping[str, Any],
    celery_enable_logging: bool,
    use_celery_app_trap: bool,
) -> Iterator[Smallage]:
    """An app for one test, with an empty store in memory."""
    yield from _app(request, celery_config, celery_parameters, use_celery_app_trap)


@pytest.fixture
def celery_worker(
    celery_app: Smallage,
    celery_includes: Sequence[str],
    celery_worker_pool: str,
    celery_worker_parameters: Mapping[str, Any],
) -> Iterator[ThreadWorker]:
    """A worker of `celery_app`, until the test's end."""
    yield from _worker(celery_app, celery_includes, celery_worker_pool, celery_worker_parameters)


@pytest.fixture
def depends_on_current_app(celery_app: Smallage) -> None:
    """Make `celery_app` the current app, whatever `use_celery_app_trap` says."""
    celery_app.set_current()


def _app(
    request: pytest.FixtureRequest, config: Mapping[str, Any], parameters: Mapping[str, Any], trap: bool
) -> Iterator[Smallage]:
    from smallage.testing.apps import current, make_app

    mark = request.node.get_closest_marker("celery")
    settings = {**config, **(mark.kwargs if mark else {})}
    app = make_app(settings, **parameters)
    try:
        with current(app, trap=trap):
            yield app
    finally:
        app.close()


def _worker(app: Smallage, includes: Sequence[str], pool: str, parameters: Mapping[str, Any]) -> Iterator[ThreadWorker]:
    from importlib import import_module

    from smallage.testing.threaded import thread_worker

    for module in includes:
        import_module(module)
    with thread_worker(app, pool=pool, **parameters) as worker:
        yield worker
