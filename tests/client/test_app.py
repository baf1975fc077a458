"""The app: names, settings, where its store is, and what loading it costs."""

from __future__ import annotations

import datetime as dt
import gc
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import smallage
from smallage import Celery, Smallage, Task, current_app
from smallage.core.errors import (
    DuplicateTaskNameWarning,
    ImproperlyConfigured,
    NotRegistered,
    StoreUnavailable,
)


@pytest.fixture
def app():
    return Smallage("shop", broker="memory://", set_as_current=False)


# -- tasks --------------------------------------------------------------------------------------------------------
def test_names(app):
    @app.task
    def one(): ...

    @app.task(name="own.name")
    def two(): ...

    def three(): ...

    three.__module__ = "__main__"
    assert one.name == "tests.client.test_app.one"
    assert two.name == "own.name"
    assert app.task(three).name == "shop.three"
    assert sorted(app.tasks) == ["own.name", "shop.three", "tests.client.test_app.one"]
    assert repr(one) == "<@task: tests.client.test_app.one>"
    assert one.__doc__ is None
    with pytest.raises(NotRegistered, match=r"did you mean 'own\.name'"):
        app.tasks["own.nam"]
    for wrong in ("../../x", "a b", "1x"):
        with pytest.raises(ImproperlyConfigured, match="task's name"):
            app.task(name=wrong)(lambda: None)


def test_a_plain_call_is_a_function_call(app):
    @app.task
    def add(a, b):
        """Adds."""
        return a + b

    assert add(1, b=2) == 3
    assert add.run(1, 2) == 3
    assert add.__doc__ == "Adds."
    assert add.__wrapped__(1, 2) == 3


def test_the_first_function_of_a_name_stays(app):
    @app.task(name="same")
    def first(): ...

    with pytest.warns(DuplicateTaskNameWarning, match="'same'"):

        @app.task(name="same")
        def second(): ...

    assert second is first


def test_a_module_that_is_read_again_is_no_duplicate(app):
    def make():
        def again(): ...

        return again

    assert app.task(make()) is app.task(make())


@pytest.mark.parametrize(
    "options",
    [
        {"priority": 10},
        {"max_retries": -1},
        {"max_retries": 2**40},
        {"ack": "sometimes"},
        {"soft_time_limit": 9, "time_limit": 5},
        {"serializer": "pickle"},
    ],
)
def test_options_that_can_only_fail_are_refused_at_once(app, options):
    with pytest.raises((ImproperlyConfigured, ValueError)):
        app.task(**options)(lambda: None)


def test_unknown_options_become_attributes(app):
    @app.task(colour="red", rate_limit="10/m")
    def work(): ...

    assert (work.colour, work.rate_limit) == ("red", "10/m")


def test_classes_of_tasks(app):
    class Add(Task):
        name = "add"
        queue = "sums"

        def run(self, a, b):
            return a + b

    made = app.register_task(Add)
    assert made is app.tasks["add"]
    assert made.apply((1, 2)).get() == 3
    assert made.current().envelope.queue == "sums"
    with pytest.raises(TypeError):
        made.delay(1)
    again = app.register_task(Add(), queue="other")
    assert again is app.tasks["add"]
    assert again.queue == "other"

    class Other(Task):
        name = "add"

        def run(self): ...

    with pytest.warns(DuplicateTaskNameWarning, match="the second replaces the first"):
        assert app.register_task(Other) is app.tasks["add"]
    with pytest.raises(NotImplementedError):
        Task().run()


def test_a_task_class_for_the_whole_app():
    app = Smallage("x", task_cls=f"{__name__}:Special", broker="memory://", set_as_current=False)
    made = app.task(name="made")(lambda: None)
    assert isinstance(made, Special)
    assert issubclass(app.Task, Special)


class Special(Task):
    max_retries = 11


# -- settings -----------------------------------------------------------------------------------------------------
def test_celery_is_the_same_class():
    assert Celery is Smallage
    app = Celery("proj", backend="redis://elsewhere", broker="memory://", include=["a"], set_as_current=False)
    assert (app.main, app.conf.broker_url, app.conf.include) == ("proj", "memory://", ("a",))


def test_unknown_keywords_name_the_nearest():
    with pytest.raises(ImproperlyConfigured, match="did you mean 'task_always_eager'"):
        Smallage("x", task_allways_eager=True)


def test_config_from_object(app, monkeypatch):
    module = types.ModuleType("shop_config")
    vars(module).update(task_default_queue="m", result_expires=60)
    monkeypatch.setitem(sys.modules, "shop_config", module)
    app.config_from_object("shop_config")
    assert (app.conf.task_default_queue, app.conf.result_expires) == ("m", 60)

    class Config:
        task_default_queue = "c"

    module.Config = Config
    app.config_from_object("shop_config:Config")
    assert app.conf.task_default_queue == "c"
    app.config_from_object({"CELERY_TASK_DEFAULT_QUEUE": "d"}, namespace="CELERY")
    assert app.conf.task_default_queue == "d"
    with pytest.raises(ModuleNotFoundError):
        app.config_from_object("not_there")
    app.config_from_object("not_there", silent=True)


def test_zones(app):
    assert app.zone() is dt.UTC
    app.conf.timezone = "Europe/Berlin"
    assert app.zone() == ZoneInfo("Europe/Berlin")
    assert app.now().tzinfo == ZoneInfo("Europe/Berlin")
    app.conf.update(timezone=None, enable_utc=False)
    assert app.zone() is not None


def test_the_current_app(monkeypatch):
    monkeypatch.setattr("smallage.app.current._current", None)
    assert current_app().main is None
    app = Smallage("current", broker="memory://")
    assert current_app() is app
    assert repr(app) == "<Smallage current>"


# -- the store ----------------------------------------------------------------------------------------------------
@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a pyproject.toml and a package below, and a clean environment."""
    for name in ("SMALLAGE_URL", "CELERY_BROKER_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    package = tmp_path / "project" / "shop"
    package.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    monkeypatch.chdir(tmp_path)
    return package


def app_in(package: Path, text: str = "Smallage('shop', set_as_current=False)") -> Smallage:
    """The app that a module in this folder makes."""
    path = package / "app.py"
    path.write_text(f"from smallage import Smallage\napp = {text}\n")
    space: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    made: Smallage = space["app"]
    return made


def test_the_default_store_is_beside_the_pyproject(project):
    assert app_in(project).url == f"sqlite:///{project.parent}/.smallage/queue.db"


def test_without_a_pyproject_it_is_in_the_working_directory(project, tmp_path):
    (project.parent / "pyproject.toml").unlink()
    assert app_in(project).url == f"sqlite:///{tmp_path}/.smallage/queue.db"


def test_the_order_of_places(project, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://platform")
    assert app_in(project).url == "redis://platform"
    (project.parent / "pyproject.toml").write_text("[tool.smallage]\nurl = 'redis://project'\n")
    assert app_in(project).url == "redis://project"
    code = "Smallage('shop', broker='redis://code', set_as_current=False)"
    assert app_in(project, code).url == "redis://code"
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://celery")
    assert app_in(project, code).url == "redis://celery"
    monkeypatch.setenv("SMALLAGE_URL", "redis://env")
    app = app_in(project, code)
    assert app.url == "redis://env"
    app.conf.pin("broker_url", "redis://command-line")
    assert app.url == "redis://command-line"


def test_a_broken_pyproject_is_no_obstacle(project):
    (project.parent / "pyproject.toml").write_text("[tool.smallage\n")
    assert app_in(project).url.startswith("sqlite:///")


def test_the_store_is_opened_at_first_use_and_again_after_close(project):
    app = app_in(project)
    folder = project.parent / ".smallage"
    assert not folder.exists()
    work = app.task(name="work")(lambda: None)
    work.delay()
    assert (folder / "queue.db").exists()
    first = app.store
    assert app.store is first
    app.close()
    app.close()
    assert app.store is not first
    assert app.store.counts()["celery"]["ready"] == 1
    app.close()


def test_namespaces_keep_apps_apart(tmp_path):
    url = f"sqlite:///{tmp_path}/q/queue.db"
    one = Smallage("a", broker=url, namespace="one", set_as_current=False)
    two = Smallage("b", broker=url, namespace="two", set_as_current=False)
    one.send_task("work")
    assert one.store.counts()["celery"]["ready"] == 1
    assert "celery" not in two.store.counts()
    one.close()
    two.close()


@pytest.mark.parametrize(
    "url", ["amqp://u:secret@h//", "sqs://", "sentinel://:secret@h:26379/0", "db+postgresql://h/x", "redis", ""]
)
def test_urls_that_are_no_store(url, project):
    app = Smallage("x", set_as_current=False)
    app.conf.broker_url = url
    if not url:
        assert app.url.startswith("sqlite:///")
        return
    with pytest.raises(ImproperlyConfigured) as refusal:
        _ = app.store
    assert "secret" not in str(refusal.value)


def test_a_redis_that_is_not_there(monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("smallage.app.patience.time.sleep", slept.append)
    app = Smallage("x", broker="redis://:secret@127.0.0.1:1/0", set_as_current=False)
    with pytest.raises(StoreUnavailable, match="Check that it runs") as refusal:
        app.task(name="work")(lambda: None).delay()
    assert "secret" not in str(refusal.value)


# -- forks --------------------------------------------------------------------------------------------------------
def test_a_forks_child_pushes_with_ids_and_connections_of_its_own(tmp_path):
    program = f"""
        import os
        from smallage import Smallage
        app = Smallage("forks", broker="sqlite:///{tmp_path}/queue/q.db")

        @app.task(name="work")
        def work(n): ...

        ids = [work.delay(0).id]
        assert app.AsyncResult(ids[0]).state == "PENDING"
        app.hub.add("x", print)
        read, write = os.pipe()
        for child in range(3):
            if os.fork() == 0:
                os.write(write, (work.delay(child).id + "\\n").encode())
                try:
                    app.AsyncResult(ids[0]).get(timeout=0)
                except TimeoutError:
                    os._exit(0)
                os._exit(3)
        codes = [os.wait()[1] for _ in range(3)]
        assert codes == [0, 0, 0], codes
        os.close(write)
        ids += [work.delay(9).id] + os.read(read, 1000).decode().split()
        assert len(set(ids)) == 5, ids
        assert app.store.counts()["celery"]["ready"] == 5
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


# -- what it costs ------------------------------------------------------------------------------------------------
def test_a_client_on_sqlite_loads_nothing_of_the_worker_or_of_redis(tmp_path):
    program = f"""
        import sys
        import smallage
        light = set(sys.modules)
        assert "msgspec" not in light and "smallage.app" not in light
        app = smallage.Smallage("x", broker="sqlite:///{tmp_path}/q/queue.db")

        @app.task(name="work")
        def work(n): ...

        work.delay(1)
        loaded = set(sys.modules)
        heavy = ("redis", "hiredis", "multiprocessing", "asyncio", "gevent", "click", "pydantic")
        assert not loaded.intersection(heavy), loaded.intersection(heavy)
        above = ("worker", "cli", "web", "contrib", "testing", "demo")
        assert not [name for name in loaded if name.startswith(tuple("smallage." + one for one in above))]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


def test_the_way_of_a_call_is_short(tmp_path):
    """At most 40 calls through at most 6 files, the store's own not counted; and a run is no longer."""
    from smallage.run import execute
    from tests.client.bench import Bench

    bench = Bench()
    add = bench.app.task(name="add")(lambda a, b: a + b)
    add.delay(1, 2)
    (claim,) = bench.claim()
    execute(bench.app, claim, bench.worker)
    package = str(Path(smallage.__file__).parent)
    stores = os.path.join(package, "stores")

    def way(act):
        seen: list[str] = []

        def profile(frame, event, argument):
            name = frame.f_code.co_filename
            if event == "call" and name.startswith(package) and not name.startswith(stores):
                seen.append(name)

        gc.disable()  # what it calls is on nobody's way
        sys.setprofile(profile)
        try:
            act()
        finally:
            sys.setprofile(None)
            gc.enable()
        return len(seen), len(set(seen))

    calls, files = way(lambda: add.delay(2, 3))
    assert calls <= 40
    assert files <= 6
    calls, files = way(lambda: execute(bench.app, claim, bench.worker))
    assert calls <= 15
    assert files <= 5


def test_public_names_are_there():
    for name in smallage.__all__:
        assert getattr(smallage, name) is not None
    with pytest.raises(AttributeError):
        _ = smallage.nothing


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("/somewhere/shop.py", "shop"),
        ("my-shop.py", "my-shop"),
        ("<stdin>", "__main__"),
        ("01_shop.py", "__main__"),
        (None, "__main__"),
    ],
)
def test_tasks_of_a_script_are_named_after_it(monkeypatch, file, module):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", file, raising=False)
    app = Smallage(set_as_current=False)
    assert app.gen_task_name("add", "__main__") == f"{module}.add"
    named = Smallage("mine", set_as_current=False)
    assert named.gen_task_name("add", "__main__") == "mine.add"
