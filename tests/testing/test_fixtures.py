"""The plugin's fixtures, used as a program's tests use them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smallage import AsyncResult, current_app, shared_task
from smallage.core.errors import ImproperlyConfigured
from smallage.testing import FakeClock, current, eager, make_app, thread_worker
from smallage.testing.apps import Trap

PATIENCE = 30.0


@shared_task(name="tests.double")
def double(x: int) -> int:
    return 2 * x


@pytest.fixture(scope="session")
def celery_config() -> dict[str, Any]:
    return {"task_default_queue": "of-tests"}


@pytest.fixture(scope="session")
def celery_parameters() -> dict[str, Any]:
    return {"strict_typing": False}


@pytest.fixture(scope="session")
def celery_includes() -> list[str]:
    return ["smallage.as_celery.contrib.testing.tasks"]


class TestApp:
    def test_settings_come_from_the_fixtures(self, celery_app) -> None:
        assert celery_app.conf.task_default_queue == "of-tests"
        assert celery_app.conf.broker_url == "memory://"
        assert celery_app.strict_typing is False

    @pytest.mark.celery(task_default_queue="marked", result_extended=True)
    def test_the_marker_wins_for_one_test(self, celery_app) -> None:
        assert celery_app.conf.task_default_queue == "marked"
        assert celery_app.conf.result_extended is True

    def test_it_is_the_current_app(self, celery_app) -> None:
        assert current_app == celery_app

    @pytest.mark.parametrize("turn", [1, 2])
    def test_each_test_has_an_empty_store(self, celery_app, turn: int) -> None:
        double.delay(turn)
        assert celery_app.store.counts()["of-tests"]["ready"] == 1

    def test_the_environment_does_not_choose_the_store(self, monkeypatch, tmp_path: Path) -> None:
        monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/real.db")
        app = make_app()
        app.send_task("anything")
        app.close()
        assert list(tmp_path.iterdir()) == []

    def test_settings_may_name_a_store(self, tmp_path: Path) -> None:
        app = make_app({"broker_url": f"sqlite:///{tmp_path}/own.db"})
        app.send_task("anything")
        app.close()
        assert (tmp_path / "own.db").exists()


class TestWorker:
    def test_it_runs_tasks(self, celery_app, celery_worker) -> None:
        assert double.delay(4).get(timeout=PATIENCE) == 8

    def test_tasks_declared_later_are_taken_up(self, celery_app, celery_worker) -> None:
        @celery_app.task(name="tests.later")
        def later() -> str:
            return "later"

        result = later.delay()
        celery_worker.reload()
        assert result.get(timeout=PATIENCE) == "later"

    def test_it_has_a_name(self, celery_worker) -> None:
        assert celery_worker.hostname.startswith("celery@")

    def test_the_session_has_one_for_all(self, celery_session_app, celery_session_worker) -> None:
        assert celery_session_app.send_task("tests.double", (3,)).get(timeout=PATIENCE) == 6

    def test_the_test_tasks_of_celery_answer(self, celery_app, celery_worker) -> None:
        assert celery_app.tasks["celery.ping"].delay().get(timeout=PATIENCE) == "pong"

    def test_options_of_celery_are_taken_and_unknown_ones_refused(self, celery_app) -> None:
        with thread_worker(celery_app, queues="a,b", hostname="w1@here", without_gossip=True) as worker:
            assert (worker.queues, worker.hostname) == (("a", "b"), "w1@here")
        with pytest.raises(TypeError, match="quues"), thread_worker(celery_app, quues="a"):
            pass
        with pytest.raises(ImproperlyConfigured, match="threads or asyncio"), thread_worker(celery_app, pool="gevent"):
            pass


class TestTrap:
    @pytest.fixture
    def use_celery_app_trap(self) -> bool:
        return True

    def test_the_current_app_may_not_be_used(self, celery_app) -> None:
        with pytest.raises(RuntimeError, match="depends on current_app"):
            current_app.conf  # noqa: B018 - the look is the test
        assert celery_app.conf.timezone == "UTC"

    def test_unless_a_test_says_so(self, celery_app, depends_on_current_app) -> None:
        assert current_app == celery_app


def test_the_current_app_comes_back() -> None:
    app = make_app()
    before = current_app()
    with current(app):
        assert current_app() is app
        with current(None, trap=True):
            assert isinstance(current_app(), Trap)
        assert current_app() is app
    assert current_app() is before


class TestEager:
    def test_calls_run_on_the_spot_within_the_block(self) -> None:
        app = make_app()
        task = app.task(name="t")(lambda: "ran")
        with eager(app):
            assert task.delay().result == "ran"
        assert not app.conf.task_always_eager
        assert task.delay().state == "PENDING"

    def test_errors_are_raised_by_the_call_or_kept(self) -> None:
        app = make_app()

        @app.task(name="broken")
        def broken() -> None:
            raise ValueError("no")

        with eager(app), pytest.raises(ValueError, match="no"):
            broken.delay()
        with eager(app, propagate=False):
            assert broken.delay().state == "FAILURE"

    def test_results_may_be_stored(self) -> None:
        app = make_app()
        task = app.task(name="t")(lambda: "kept")
        with eager(app, store_results=True):
            task_id = task.delay().id
        assert AsyncResult(task_id, app).result == "kept"


def test_the_plugin_loads_nothing_for_runs_that_do_not_use_it(tmp_path: Path) -> None:
    code = "import sys, smallage.testing.plugin; print(*sorted(n for n in sys.modules if n.startswith('smallage')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["smallage", "smallage.__about__", "smallage.testing", "smallage.testing.plugin"]


def test_names_of_the_package() -> None:
    import smallage.testing

    assert all(getattr(smallage.testing, name) for name in smallage.testing.__all__)
    assert smallage.testing.FakeClock is FakeClock
    with pytest.raises(AttributeError, match="no_such"):
        getattr(smallage.testing, "no_such")  # noqa: B009 - type checkers know that it is not there
