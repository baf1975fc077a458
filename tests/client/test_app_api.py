"""What Celery's app offers: when tasks are built, where settings come from, and what is refused."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import textwrap
import types
import warnings
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from smallage import Celery, Smallage, Task, current_app, current_task, group, shared_task, signals
from smallage.app.annotating import unheeded
from smallage.core.canvas import Signature
from smallage.core.errors import (
    AlwaysEagerIgnored,
    ImproperlyConfigured,
    NotRegistered,
    QueueNotFound,
    SmallageWarning,
    StoreUnavailable,
)
from tests.client.bench import Bench


def an_app(*args, **options) -> Smallage:
    return Smallage(*args, **{"broker": "memory://", "set_as_current": False, **options})


# -- when tasks are built -------------------------------------------------------------------------------------------
def test_nothing_is_built_or_read_before_it_is_used():
    app = an_app("shop")
    events: list[str] = []
    app.on_configure.connect(lambda **_: events.append("configure"), weak=False)
    app.on_after_configure.connect(lambda source, **_: events.append(f"configured {source is app.conf}"), weak=False)
    app.on_after_finalize.connect(lambda sender, **_: events.append(f"finalized {sender is app}"), weak=False)

    @app.task
    def one(): ...

    @app.task(lazy=True)
    def two(): ...

    app.conf.task_default_queue = "q"
    app.config_from_object({"result_expires": 5})
    assert (events, app.finalized, app.configured) == ([], False, False)
    assert one.name == "tests.client.test_app_api.one"
    assert events == ["configure", "configured True"]
    assert app.configured
    assert not app.finalized
    assert list(app.tasks) == [one.name, two.name]
    assert app.finalized
    app.finalize()
    assert events == ["configure", "configured True", "finalized True"]


def test_a_task_keeps_its_identity():
    app = an_app()
    task = app.task(name="t")(lambda: 1)
    assert isinstance(task, Task)
    before = id(task)
    assert task() == 1
    assert app.tasks["t"] is task
    assert id(task) == before
    assert repr(task) == "<@task: t>"
    assert hash(task)


@pytest.mark.parametrize(
    "use",
    [
        lambda task: task.name,
        lambda task: task(),
        lambda task: setattr(task, "rate_limit", "1/s"),
        lambda task: delattr(task, "nothing"),
        repr,
        lambda task: isinstance(task, Special),
        vars,
    ],
)
def test_every_use_builds_it(use):
    app = an_app(task_cls=Special)
    task = app.task(name="t")(lambda: 1)
    try:
        use(task)
    except AttributeError:
        pass
    assert isinstance(task, Special)
    assert task.name == "t"
    assert type(task).__mro__[1] is app.Task


class Special(Task):
    max_retries = 11


def test_without_autofinalize_it_is_done_by_hand():
    app = an_app(autofinalize=False)
    task = app.task(name="t")(lambda: 1)
    for use in (lambda: task.name, lambda: app.tasks["t"], lambda: list(app.tasks)):
        with pytest.raises(RuntimeError, match="app not finalized"):
            use()
    app.finalize()
    assert task.name == "t"
    assert app.task(name="later")(lambda: 2)() == 2


def test_a_task_that_is_wanted_at_once():
    app = an_app()
    made: list[int] = []

    class Noted(Task):
        def __init__(self):
            made.append(1)

    app.task(base=Noted, name="lazy")(lambda: 1)
    assert made == []
    app.task(base=Noted, name="now", lazy=False)(lambda: 1)
    assert made == [1]


def test_the_class_of_tasks_may_come_after_them():
    """As Flask's older examples do it: `celery.Task = ContextTask`."""
    app = an_app()
    plain: Any = app.task(name="plain")(lambda: 1)

    class ContextTask(app.Task):  # type: ignore[name-defined, misc]
        def __call__(self, *args, **kwargs):
            return ["entered", self.run(*args, **kwargs)]

    app.Task = ContextTask
    assert plain() == ["entered", 1]
    other: Any = app.task(name="other")(lambda: 2)
    assert other() == ["entered", 2]


def test_a_class_made_from_the_apps_knows_it():
    app = an_app()

    class Mine(app.Task):  # type: ignore[name-defined, misc]
        name = "mine"

    assert Mine.app is app
    with pytest.raises(TypeError, match="task_cls must be a class"):
        _ = an_app(task_cls="os.path:join").Task


def test_what_the_decorator_takes_besides_options():
    app = an_app()
    task: Any = app.task(name="t", filter=lambda task: ["chosen", task], shared=False)(lambda: 1)
    assert task == ["chosen", app.tasks["t"]]
    task = app.tasks["t"]
    assert not hasattr(type(task), "filter")


def test_the_registry():
    app = an_app()
    task = app.task(name="t")(lambda: 1)
    assert "t" in app.tasks
    assert len(app.tasks) == 1
    assert app.tasks.get("x") is None
    assert dict(app.tasks.items()) == app.tasks.regular() == {"t": task}
    app.tasks.unregister(task)
    with pytest.raises(NotRegistered, match="import the module") as caught:
        app.tasks.unregister("t")
    assert caught.value.args == ("t",)
    app.tasks.register(task)
    assert list(app.tasks.values()) == [task]
    assert list(app.tasks.keys()) == ["t"]


# -- constructor ----------------------------------------------------------------------------------------------------
def test_positions_as_in_celery():
    app = Celery("shop", None, "redis://results", set_as_current=False)
    assert (app.main, app.conf.result_backend) == ("shop", "redis://results")


def test_settings_as_keywords_and_changes():
    app = an_app(include=["os"], changes={"task_default_queue": "c"}, result_expires=5, task_always_eager=True)
    conf = app.conf
    assert (conf.include, conf.task_default_queue, conf.result_expires) == (("os",), "c", 5)
    assert conf.task_always_eager


def test_a_config_source_with_a_namespace():
    app = an_app(config_source={"CELERY_TASK_DEFAULT_QUEUE": "q"}, namespace="CELERY")
    assert app.conf.task_default_queue == "q"
    app = an_app(namespace="CELERY")
    app.config_from_object({"CELERY_TASK_DEFAULT_QUEUE": "q", "CELERY_FOO": 3})
    assert (app.conf.task_default_queue, app.conf.foo) == ("q", 3)
    assert an_app(namespace="mine").conf.namespace == "mine"


def test_parts_that_cannot_be_exchanged_are_told():
    with pytest.warns(SmallageWarning, match="loader, amqp of Smallage"):
        an_app(loader="default", amqp="x")


def test_tasks_that_are_brought_along():
    one = an_app()
    task = one.task(name="t", lazy=False)(lambda: 1)
    assert an_app(tasks={"t": type(task)()}).tasks["t"].name == "t"


# -- settings -------------------------------------------------------------------------------------------------------
@pytest.fixture
def module(monkeypatch):
    made = types.ModuleType("some_settings")
    vars(made).update(task_default_queue="m", OWN=1)
    monkeypatch.setitem(sys.modules, "some_settings", made)
    return made


def test_a_module_is_imported_at_the_first_look(module):
    app = an_app()
    app.config_from_object("not_there_yet")
    with pytest.raises(ModuleNotFoundError):
        _ = app.conf.task_default_queue
    app.config_from_object("some_settings")
    assert (app.conf.task_default_queue, app.conf.OWN, app.conf["OWN"]) == ("m", 1, 1)


def test_silent_and_forced(module):
    app = an_app()
    app.config_from_object("not_there_yet", silent=True, force=True)
    assert app.configured
    assert app.conf.task_default_queue == "celery"
    with pytest.raises(ModuleNotFoundError):
        an_app().config_from_object("not_there_yet", force=True)


def test_the_environment_names_the_module(module, monkeypatch):
    monkeypatch.setenv("CELERY_CONFIG_MODULE", "some_settings")
    assert an_app().conf.task_default_queue == "m"
    monkeypatch.delenv("CELERY_CONFIG_MODULE")
    app = an_app()
    with pytest.raises(ImproperlyConfigured, match="SHOP_SETTINGS is not set"):
        app.config_from_envvar("SHOP_SETTINGS")
    assert not app.config_from_envvar("SHOP_SETTINGS", silent=True)
    monkeypatch.setenv("SHOP_SETTINGS", "some_settings")
    assert app.config_from_envvar("SHOP_SETTINGS", force=True)
    assert app.conf.task_default_queue == "m"


def test_defaults_are_asked_when_they_are_needed():
    app = an_app()
    asked: list[int] = []

    def defaults():
        asked.append(1)
        return {"task_default_queue": "d", "own": 1}

    app.add_defaults(defaults)
    app.config_from_object({"task_default_queue": "object"})
    assert asked == []
    assert (app.conf.task_default_queue, app.conf.own) == ("d", 1)
    app.add_defaults({"own": 2})
    assert app.conf.own == 2


def test_settings_of_other_frameworks_are_not_touched():
    class Django:
        CELERY_TASK_DEFAULT_QUEUE = "q"
        TIME_ZONE = "Europe/Berlin"

        @property
        def SECRET(self):
            raise AssertionError("read")

    app = an_app()
    app.config_from_object(Django(), namespace="CELERY")
    assert app.conf.task_default_queue == "q"
    assert app.timezone == ZoneInfo("Europe/Berlin")
    assert app.now().utcoffset() in (dt.timedelta(hours=1), dt.timedelta(hours=2))


def test_a_receiver_may_read_and_change_settings_while_they_are_read():
    app = an_app()

    @app.on_configure.connect
    def before(sender, **_):
        sender.conf.task_default_queue = f"{sender.conf.task_default_queue}-changed"

    assert app.conf.task_default_queue == "celery-changed"


def test_an_unknown_zone():
    app = an_app(timezone="Europe/Berlim")
    with pytest.raises(ImproperlyConfigured, match="no time zone 'Europe/Berlim'"):
        app.now()


def test_results_elsewhere_are_told(caplog):
    caplog.set_level("INFO")
    app = an_app(backend="redis://:secret@elsewhere/1")
    _ = app.store
    assert "result_backend names redis://elsewhere/1; results live with the tasks in memory://" in caplog.text
    assert "secret" not in caplog.text
    caplog.clear()
    _ = an_app(backend="rpc://").store
    assert caplog.text == ""


# -- annotations ----------------------------------------------------------------------------------------------------
class Annotation:
    def annotate(self, task):
        return {"rate_limit": "9/s", "priority": 4} if task.name == "by_object" else None

    def annotate_any(self):
        return {"default_retry_delay": 7}


def test_annotations():
    def wrapped(run):
        return lambda self, *args: [self.name, run(*args)]

    def told(hook):
        return lambda self, *args: heard.append(self.name)

    heard: list[str] = []
    app = an_app(
        task_annotations=(
            {"*": {"rate_limit": "1/s"}, "named": {"max_retries": 9, "@run": wrapped, "@on_success": told}},
            Annotation(),
            f"{__name__}:Annotation",
        )
    )
    named = app.task(name="named", rate_limit="5/s")(lambda x: x)
    bound = app.task(name="bound", bind=True)(lambda self, x: x)
    by_object = app.task(name="by_object")(lambda: 1)
    assert (named.rate_limit, named.max_retries, named(1)) == ("1/s", 9, ["named", 1])
    assert (bound.rate_limit, bound.default_retry_delay, bound(2)) == ("1/s", 180, 2)
    assert (by_object.rate_limit, by_object.priority) == ("1/s", 4)
    assert named.apply((3,)).get() == ["named", 3]
    assert heard == ["named"]


def test_annotations_that_come_after_a_task_was_used_are_told():
    app = an_app()
    used = app.task(name="used", rate_limit="5/s")(lambda x: x)
    later = app.task(name="later")(lambda x: x)
    rules = {used.name: {"rate_limit": "1/s"}, "later": {"rate_limit": "1/s"}, "*": {"priority": 3}}
    app.conf.task_annotations = rules
    assert (used.rate_limit, later.rate_limit) == ("5/s", "1/s")
    (told,) = unheeded([used, later], app.conf.task_annotations)
    assert "rate_limit, priority of the task 'used', which was used before" in told


# -- routes and priorities ------------------------------------------------------------------------------------------
def pick(name, args, kwargs, options, task=None, **_):
    return {"queue": f"for-{args[0]}", "priority": 3} if name == "work" else None


class Router:
    def route_for_task(self, name, args=None, kwargs=None):
        return "by-class" if name == "other" else None


def test_routes_by_name():
    bench = Bench(task_routes=[f"{__name__}:pick", f"{__name__}:Router", [("stranger*", "glob")]])
    work = bench.app.task(name="work")(lambda n: None)
    other = bench.app.task(name="other")(lambda: None)
    work.delay("x")
    other.delay()
    bench.app.send_task("stranger.task")
    claims = {claim.name: (claim.queue, claim.priority) for claim in bench.claim(9, "for-x", "by-class", "glob")}
    assert claims == {"work": ("for-x", 3), "other": ("by-class", 0), "stranger.task": ("glob", 0)}


def test_routing_keys_name_queues():
    class Video:
        name, routing_key, exchange, max_priority = "video", "media.video", None, None

    bench = Bench(task_queues=[Video(), "celery"], task_create_missing_queues=False)
    work = bench.app.task(name="work")(lambda: None)
    work.apply_async(routing_key="media.video")
    work.apply_async(queue="video")
    work.delay()
    assert [claim.queue for claim in bench.claim(9, "video", "celery")] == ["video", "video", "celery"]
    with pytest.raises(QueueNotFound, match="'nowhere' is not in task_queues"):
        work.apply_async(queue="nowhere")


def test_the_priority_of_who_calls():
    bench = Bench(task_inherit_parent_priority=True)
    child = bench.app.task(name="child")(lambda: None)
    own = bench.app.task(name="own", priority=2)(lambda: None)

    @bench.app.task(name="boss")
    def boss():
        child.delay()
        own.delay()
        child.apply_async(priority=5)
        bench.app.send_task("stranger")

    boss.apply_async(priority=7)
    (claim,) = bench.claim()
    bench.execute(claim)
    assert sorted((one.name, one.priority) for one in bench.claim(9)) == [
        ("child", 5),
        ("child", 7),
        ("own", 2),
        ("stranger", 7),
    ]


def test_send_task_sends_whatever_is_eager():
    bench = Bench(task_always_eager=True)
    with pytest.warns(AlwaysEagerIgnored):
        bench.app.send_task("t")
    assert bench.app.store.counts()["celery"]["ready"] == 1


# -- discovery ------------------------------------------------------------------------------------------------------
@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Packages: one with tasks, one without, one whose tasks are broken."""
    for name, files in {
        "pk_full": {"__init__": "", "tasks": "here = 1", "jobs": "here = 2"},
        "pk_empty": {"__init__": ""},
        "pk_broken": {"__init__": "", "tasks": "import pk_missing"},
    }.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / f"{file}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("pk_")]:
        del sys.modules[name]


def test_tasks_are_found_when_a_worker_loads_them(packages):
    app = an_app()
    asked: list[int] = []

    def ask():
        asked.append(1)
        return ["pk_full", "pk_empty"]

    assert app.autodiscover_tasks(ask) is None
    assert asked == []
    assert "pk_full.tasks" not in sys.modules
    app.import_default_modules()
    assert asked == [1]
    assert "pk_full.tasks" in sys.modules
    signals.import_modules.disconnect(sender=app)


def test_found_at_once(packages):
    app = an_app()
    (found,) = app.autodiscover_tasks(["pk_full", "pk_empty"], related_name="jobs", force=True) or []
    assert found.here == 2
    modules = app.autodiscover_tasks(["pk_full", "pk_empty"], related_name=None, force=True) or []
    assert [module.__name__ for module in modules] == ["pk_full", "pk_empty"]
    (again,) = app.autodiscover_tasks(["pk_full.Config", "pk_empty.Config"], force=True) or []
    assert again.here == 1


def test_what_is_broken_is_not_passed_over(packages):
    app = an_app()
    with pytest.raises(ModuleNotFoundError, match="pk_missing"):
        app.autodiscover_tasks(["pk_broken"], force=True)
    with pytest.raises(ModuleNotFoundError, match="pk_nowhere"):
        app.autodiscover_tasks(["pk_nowhere"], force=True)
    app.autodiscover_tasks(["pk_broken"])
    with pytest.raises(ModuleNotFoundError, match="pk_missing"):
        app.import_default_modules()


def test_django_s_apps(packages, monkeypatch, caplog):
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    assert an_app().autodiscover_tasks(force=True) == []
    assert "DJANGO_SETTINGS_MODULE is not set" in caplog.text
    django, apps = types.ModuleType("django"), types.ModuleType("django.apps")
    config = types.SimpleNamespace(name="pk_full")
    apps.apps = types.SimpleNamespace(get_app_configs=lambda: [config])
    monkeypatch.setitem(sys.modules, "django", django)
    monkeypatch.setitem(sys.modules, "django.apps", apps)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings")
    (found,) = an_app().autodiscover_tasks(force=True) or []
    assert found.__name__ == "pk_full.tasks"


def test_a_worker_finds_them(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "tasks.py").write_text(
        "from smallage import shared_task\n@shared_task(name='found')\ndef found(): return 5\n"
    )
    (tmp_path / "shop.py").write_text(
        "from smallage import Smallage\napp = Smallage('shop', broker='sqlite:///q.db')\n"
        "app.autodiscover_tasks(['parts'])\n"
    )
    push = "import shop; r = shop.app.send_task('found'); open('id', 'w').write(r.id)"
    ask = "import shop; print(shop.app.AsyncResult(open('id').read()).get(timeout=0))"
    for command in (["-c", push], ["-m", "smallage", "worker", "shop", "--burst", "-P", "solo"], ["-c", ask]):
        said = subprocess.run([sys.executable, *command], cwd=tmp_path, check=True, timeout=60, capture_output=True)
    assert said.stdout == b"5\n"


# -- the current app ------------------------------------------------------------------------------------------------
@pytest.fixture
def nobody(monkeypatch):
    monkeypatch.setattr("smallage.app.current._current", None)
    monkeypatch.setattr("smallage.app.current._default", None)


def test_the_current_app_is_looked_up_at_each_use(nobody):
    default = current_app()
    assert current_app() is default
    assert default.main is None
    app = Smallage("one", broker="memory://")
    assert current_app == app
    assert current_app.main == "one"
    assert current_app._get_current_object() is app
    current_app.conf.task_default_queue = "q"
    assert app.conf.task_default_queue == "q"
    other = Smallage("two", broker="memory://", set_as_current=False)
    assert current_app.main == "one"
    other.set_default()
    assert current_app.main == "two"
    assert repr(current_app) == "<Smallage two>"
    assert "send_task" in dir(current_app)
    assert hash(current_app) == hash(other)
    current_app.mark = 1
    del current_app.mark
    assert not hasattr(other, "mark")


def test_the_current_task():
    bench = Bench()
    assert not current_task
    assert current_task() is None
    assert bench.app.current_task is None
    with pytest.raises(AttributeError, match="no current task here"):
        _ = current_task.name

    @bench.app.task(name="t")
    def t():
        assert bench.app.current_task == current_task() == bench.app.current_worker_task
        return [current_task.name, bool(current_task), current_task.request.id]

    result = t.delay()
    bench.run()
    assert result.get() == ["t", True, result.id]


def test_shared_tasks_take_the_class_of_the_app_they_are_used_in(nobody, monkeypatch):
    monkeypatch.setattr("smallage.app.current._shared", [])

    @shared_task(name="shared")
    def shared():
        return 1

    class FlaskTask(Task):
        def __call__(self, *args, **kwargs):
            return ["in context", self.run(*args, **kwargs)]

    app = Smallage("shop", broker="memory://", task_cls=FlaskTask, set_as_current=False)
    app.set_default()
    assert shared() == ["in context", 1]
    assert shared == app.tasks["shared"]


# -- the rest of it -------------------------------------------------------------------------------------------------
def test_periodic_tasks_wait_for_the_settings():
    app = an_app()
    work = app.task(name="work")(lambda n: None)

    @app.on_after_configure.connect
    def more(sender, **_):
        sender.add_periodic_task(5, work.s(2), name="more")

    app.config_from_object({"beat_schedule": {"mine": {"task": "work", "schedule": 1}}})
    sig = Signature("work", (1,), app=app)
    assert app.add_periodic_task(3, sig, expires=3) == repr(sig)
    assert not app.configured
    entries = app.conf.beat_schedule
    assert sorted(entries) == sorted(["mine", "more", repr(sig)])
    assert entries[repr(sig)]["options"] == {"expires": 3}
    with pytest.raises(ImproperlyConfigured):
        app.add_periodic_task("soon", work.s())


def test_the_store_as_a_connection():
    app = an_app()
    with app.connection() as connection:
        assert connection.ensure_connection(max_retries=1) is connection
        assert connection.connect().connected
        assert connection.as_uri() == "memory://"
    assert app.connection_for_read().clone().as_uri(include_password=True) == "memory://"
    connection.close()
    away = an_app(broker="redis://:secret@127.0.0.1:1/0").connection_for_write()
    assert not away.connected
    with pytest.raises(StoreUnavailable):
        away.ensure_connection(max_retries=0)
    assert "secret" not in repr(away)


def test_results_by_id():
    bench = Bench()
    work = bench.app.task(name="work")(lambda n: 1 / n)
    good, bad, backend = work.delay(1), work.delay(0), bench.app.backend
    bench.run()
    meta = backend.get_task_meta(good.id)
    assert (meta["task_id"], meta["status"], meta["result"], meta["traceback"]) == (good.id, "SUCCESS", 1.0, None)
    assert dt.datetime.fromisoformat(meta["date_done"]).tzinfo is not None
    assert backend.get_state(bad.id) == backend.get_status(bad.id) == "FAILURE"
    assert isinstance(backend.get_result(bad.id), ZeroDivisionError)
    assert "ZeroDivisionError" in (backend.get_traceback(bad.id) or "")
    backend.forget(good.id)
    assert backend.get_state(good.id) == "PENDING"
    backend.ensure_chords_allowed()
    backend.cleanup()
    assert "://" in backend.as_uri()
    assert backend.store_result(good.id, 9, "SUCCESS") == 9
    backend.store_result(good.id, 10, "SUCCESS")
    assert backend.get_result(good.id) == 9  # a good end stays


def test_classes_of_results_know_their_app():
    bench = Bench()
    app = bench.app
    work = app.task(name="work")(lambda n: n)
    members = group(work.s(1), work.s(2)).apply_async()
    bench.run()
    again = app.GroupResult.restore(members.id)
    assert again is not None
    assert (again.get(), again.app) == ([1, 2], app)
    single = app.AsyncResult(work.delay(1).id)
    assert single.app is app
    assert isinstance(single, app.AsyncResult)  # type: ignore[arg-type]
    assert not isinstance(members, app.AsyncResult)
    assert isinstance(members, app.GroupResult)
    both = app.ResultSet([work.delay(3), work.delay(4)])
    bench.run()
    assert both.join() == [3, 4]
    assert repr(app.GroupResult).startswith("<GroupResult of <Smallage")


def test_the_log_and_the_loader_for_other_programs():
    program = """
        import logging
        from smallage import Smallage
        from smallage.log import get_task_logger
        with Smallage("x", broker="memory://", worker_log_format="OWN %(message)s", include=["calendar"]) as app:
            app.log.setup("INFO", colorize=False)
            app.log.get_default_logger().info("hello")
            get_task_logger("mine").warning("there")
            print([module.__name__ for module in app.loader.import_default_modules()])
            print(app.loader.now().tzinfo, app.loader.import_module("json").__name__)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stderr.startswith("OWN hello\n")
    assert done.stderr.endswith("WARNING/MainProcess] ???[???]: there\n")
    assert done.stdout == "['calendar']\nUTC json\n"


@pytest.mark.parametrize("name", ["steps", "pool", "producer_pool", "events"])
def test_what_has_nothing_behind_it_says_what_to_use(name):
    app = an_app()
    with pytest.raises(NotImplementedError, match=rf"app\.{name} is not offered: \w"):
        getattr(app, name)
    assert not hasattr(app, name)


def test_what_is_refused():
    with pytest.raises(ImproperlyConfigured, match="messages are not signed"):
        an_app().setup_security()


def test_a_report_without_secrets():
    app = an_app(broker="redis://:secret@h/3", task_default_queue="q", my_password="secret")
    said = app.bugreport()
    assert "smallage:" in said
    assert "store    -> redis://h/3" in said
    assert "task_default_queue: 'q'" in said
    assert "secret" not in said


def test_small_things():
    app, other = an_app(), an_app()
    assert app.oid == app.oid != other.oid
    app.user_options["worker"].add("x")
    assert other.user_options["worker"] == set()
    app.select_queues(["a", "b"])
    assert app.conf.task_queues == ("a", "b")
    app.select_queues(["b", "c"])
    assert app.conf.task_queues == ("b",)


def test_a_worker_from_a_program(tmp_path):
    (tmp_path / "program.py").write_text(
        textwrap.dedent("""
        import sys
        from smallage import Smallage
        app = Smallage(broker="sqlite:///q.db")

        @app.task
        def work(n):
            return n + 1

        if __name__ == "__main__":
            result = work.delay(1)
            assert app.worker_main(["worker", "--burst", "-P", "solo"]) == 0
            assert result.get(timeout=0) == 2
            assert app.start(["no-such-command"]) == 2
            try:
                app.worker_main(["status"])
            except ValueError as error:
                print(error)
        """)
    )
    said = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, check=True, timeout=60, capture_output=True, text=True
    )
    assert "its arguments are to hold 'worker'" in said.stdout


def test_an_app_that_no_module_holds_cannot_start_a_worker():
    with pytest.raises(RuntimeError, match="Keep it in a variable of a module"):
        an_app().start(["status"])


def test_after_a_fork():
    app = an_app()
    heard: list[object] = []
    app.on_after_fork.connect(lambda sender, **_: heard.append(sender), weak=False)
    app._after_fork()
    assert heard == [app]


def test_imports_stay_quick():
    """A program that only makes an app and declares tasks loads no module of the commands, workers or schedules."""
    program = """
        import sys
        from smallage import Celery
        app = Celery("x", broker="memory://")

        @app.task
        def work(): ...

        work.delay()
        loaded = set(sys.modules)
        above = ("worker", "cli", "contrib", "schedules", "workflows", "app.launching", "app.backend", "log")
        late = [name for name in loaded if name.startswith(tuple("smallage." + one for one in above))]
        assert not late, late
        assert "logging" not in loaded or "logging" in start, "logging"
    """
    text = "import sys\nstart = set(sys.modules)\n" + textwrap.dedent(program)
    subprocess.run([sys.executable, "-c", text], check=True, timeout=60, cwd=Path(__file__).parent)


def test_no_warning_without_a_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        app = an_app()
        app.task(name="t")(lambda: None)
        app.finalize()


def test_a_function_and_options_in_one_call_of_task():
    app = Smallage("shop", set_as_current=False)
    task = app.task(print, name="show", queue="far")
    assert (task.name, task.queue) == ("show", "far")
