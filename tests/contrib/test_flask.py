"""Flask: settings, context, app factories, the patterns of Flask's documentation, the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app, has_app_context

from smallage import Celery, Smallage, Task, shared_task
from smallage.app import current as which
from smallage.contrib.flask import app_of, flask_settings
from smallage.core.errors import ImproperlyConfigured
from smallage.testing import start_worker

PATIENCE = 30.0


@shared_task(name="flask.whose")
def whose() -> str:
    return current_app.name


@pytest.fixture(autouse=True)
def _no_app_stays() -> Iterator[None]:
    before = which._current
    yield
    which._current = before


def flask_app(tmp_path: Path, name: str = "shop", **config: Any) -> Flask:
    app = Flask(name)
    app.config.from_mapping(CELERY={"broker_url": f"sqlite:///{tmp_path}/{name}.db"}, **config)
    return app


@pytest.fixture
def smallage() -> Iterator[Smallage]:
    made = Smallage()
    yield made
    made.close()


class TestSettings:
    @pytest.mark.parametrize(
        ("config", "expected"),
        [
            ({"CELERY": {"broker_url": "redis://a", "task_ignore_result": True}},
             {"broker_url": "redis://a", "task_ignore_result": True}),
            ({"CELERY_BROKER_URL": "redis://a", "CELERY_RESULT_BACKEND": "redis://b"},
             {"broker_url": "redis://a", "result_backend": "redis://b"}),
            ({"CELERY_IGNORE_RESULT": True, "CELERYD_CONCURRENCY": 3},
             {"task_ignore_result": True, "worker_concurrency": 3}),
            ({"CELERY_TASK_IGNORE_RESULT": True}, {"task_ignore_result": True}),
            ({"SMALLAGE_URL": "redis://s", "CELERY": {"broker_url": "redis://a"}}, {"broker_url": "redis://s"}),
            ({"SMALLAGE_TASK_MAX_CRASHES": 7}, {"task_max_crashes": 7}),
            ({"CELERY": None, "SECRET_KEY": "x", "DEBUG": True}, {}),
        ],
    )  # fmt: skip
    def test_they_come_from_the_configuration(self, config: dict[str, Any], expected: dict[str, Any]) -> None:
        assert flask_settings(config) == expected

    def test_what_is_no_dict_is_refused(self) -> None:
        with pytest.raises(ImproperlyConfigured, match=r"dict of settings.* not a str\.$"):
            flask_settings({"CELERY": "redis://:pw@h"})  # not repeated: it may have a password

    def test_what_the_code_sets_wins(self, smallage: Smallage, tmp_path: Path) -> None:
        smallage.conf.task_default_queue = "of-the-code"
        app = flask_app(tmp_path, CELERY_DEFAULT_QUEUE="of-flask", CELERY_TIMEZONE="Europe/Berlin")
        smallage.init_app(app, task_ignore_result=True)
        assert smallage.conf.task_default_queue == "of-the-code"
        assert smallage.conf.timezone == "Europe/Berlin"
        assert smallage.conf.task_ignore_result is True

    def test_beside_another_source(self, tmp_path: Path) -> None:
        smallage = Smallage(config_source={"task_default_queue": "elsewhere"})
        smallage.init_app(flask_app(tmp_path))
        assert smallage.conf.task_default_queue == "elsewhere"
        assert smallage.conf.broker_url.endswith("shop.db")

    def test_a_second_application_takes_the_place_of_the_first(self, smallage: Smallage, tmp_path: Path) -> None:
        smallage.init_app(flask_app(tmp_path, "first", CELERY_ALWAYS_EAGER=True))
        assert smallage.conf.task_always_eager
        assert str(smallage.store.url).endswith("first.db")
        smallage.init_app(flask_app(tmp_path, "second"))
        assert not smallage.conf.task_always_eager
        smallage.send_task("flask.whose")
        assert (tmp_path / "second.db").exists()
        with start_worker(smallage):
            assert whose.delay().get(timeout=PATIENCE) == "second"


class TestContext:
    def test_a_shared_task_runs_in_the_application_context(self, smallage: Smallage, tmp_path: Path) -> None:
        app = flask_app(tmp_path)
        smallage.init_app(app)
        assert app.extensions["smallage"] is app.extensions["celery"] is app_of(app) is smallage
        with start_worker(smallage):
            assert whose.delay().get(timeout=PATIENCE) == "shop"
        assert not has_app_context()

    def test_so_do_async_tasks_and_those_with_a_base_of_their_own(self, smallage: Smallage, tmp_path: Path) -> None:
        class Own(Task[Any, Any]):
            abstract = True

            def __call__(self, *args: Any, **kwargs: Any) -> Any:
                return [self.run(*args, **kwargs)]

        @smallage.task(name="based", base=Own)
        def based() -> str:
            return current_app.name

        @smallage.task(name="waits")
        async def waits() -> str:
            return current_app.name

        smallage.init_app(flask_app(tmp_path))
        with start_worker(smallage):
            told: Any = based.delay().get(timeout=PATIENCE)
            assert told == ["shop"]
            assert waits.delay().get(timeout=PATIENCE) == "shop"

    def test_eager_tasks_too(self, smallage: Smallage, tmp_path: Path) -> None:
        smallage.init_app(flask_app(tmp_path, CELERY_ALWAYS_EAGER=True))
        assert whose.delay().get() == "shop"

    def test_an_error_leaves_no_context(self, smallage: Smallage, tmp_path: Path) -> None:
        left: list[Any] = []
        app = flask_app(tmp_path)
        app.teardown_appcontext(left.append)

        @smallage.task(name="broken")
        def broken() -> None:
            raise ValueError(current_app.name)

        smallage.init_app(app)
        with start_worker(smallage), pytest.raises(ValueError, match="shop"):
            broken.delay().get(timeout=PATIENCE)
        assert [str(error) for error in left] == ["shop"]


def test_the_task_class_of_flasks_documentation(tmp_path: Path) -> None:
    def celery_init_app(app: Flask) -> Celery:
        class FlaskTask(Task[Any, Any]):
            def __call__(self, *args: object, **kwargs: object) -> object:
                with app.app_context():
                    return self.run(*args, **kwargs)

        celery_app = Celery(app.name, task_cls=FlaskTask)
        celery_app.config_from_object(app.config["CELERY"])
        celery_app.set_default()
        app.extensions["celery"] = celery_app
        return celery_app

    app = flask_app(tmp_path)
    celery = celery_init_app(app)
    with start_worker(celery):
        assert whose.delay().get(timeout=PATIENCE) == "shop"
    celery.close()


def test_the_task_class_of_old(tmp_path: Path) -> None:
    app = Flask("old")
    app.config.update(CELERY_BROKER_URL=f"sqlite:///{tmp_path}/old.db", CELERY_RESULT_BACKEND="redis://elsewhere")
    celery = Celery(
        app.import_name, backend=app.config["CELERY_RESULT_BACKEND"], broker=app.config["CELERY_BROKER_URL"]
    )
    celery.conf.update(app.config)

    class ContextTask(celery.Task):  # type: ignore[misc,name-defined]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery.Task = ContextTask

    @celery.task(name="old.whose")
    def old_whose() -> str:
        return current_app.name

    with start_worker(celery):
        assert old_whose.delay().get(timeout=PATIENCE) == "old"
    celery.close()


def test_an_application_without_tasks_is_told_what_to_do() -> None:
    with pytest.raises(ImproperlyConfigured, match="init_app"):
        app_of(Flask("none"))


FACTORY = """
from flask import Flask, current_app
from smallage import Smallage, shared_task

smallage = Smallage()

@shared_task
def whose():
    return current_app.name

def create_app(name="made"):
    app = Flask(name)
    app.config["SMALLAGE_URL"] = "sqlite:///queue.db"
    smallage.init_app(app)
    return app
"""


class TestCommand:
    def flask(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flask", "--app", "factory:create_app('made')", "smallage", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)

    def test_a_worker_of_an_app_factory(self, tmp_path: Path) -> None:
        (tmp_path / "factory.py").write_text(FACTORY)
        task_id = self.flask(tmp_path, "call", "factory.whose").stdout.strip()
        worked = self.flask(tmp_path, "worker", "-c", "1", "--burst", "--loglevel=info")
        assert worked.returncode == 0, worked.stderr
        assert "factory.whose" in worked.stderr
        assert json.loads(self.flask(tmp_path, "result", task_id).stdout)["result"] == "made"

    def test_it_has_the_commands_options_and_exit_codes(self, tmp_path: Path) -> None:
        (tmp_path / "factory.py").write_text(FACTORY)
        help_text = self.flask(tmp_path, "beat", "--help")
        assert help_text.returncode == 0
        assert "Usage: flask smallage beat" in help_text.stdout
        assert "--max-interval" in help_text.stdout
        assert self.flask(tmp_path, "worker", "--no-such-option").returncode == 2


def test_flask_is_not_loaded_by_the_client(tmp_path: Path) -> None:
    code = "import sys, smallage; smallage.Smallage(broker='memory://').conf.timezone; print('flask' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False"
