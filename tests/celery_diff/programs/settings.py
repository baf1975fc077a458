# mypy: ignore-errors
"""Settings, names of tasks, the app."""

import os

import celery
from celery import Celery
from celery.exceptions import ImproperlyConfigured

from tests.celery_diff.lab import kind, make_app, program

app = make_app("settings")


def fresh(**settings):
    return Celery("fresh", set_as_current=False, changes=settings)


class Old:
    CELERY_TASK_ALWAYS_EAGER = True
    CELERY_ALWAYS_EAGER = True
    CELERY_DEFAULT_QUEUE = "old"
    CELERYD_CONCURRENCY = 3
    CELERY_TIMEZONE = "Europe/Berlin"


class PlainOld:
    CELERY_ALWAYS_EAGER = True
    CELERY_DEFAULT_QUEUE = "old"
    CELERYD_CONCURRENCY = 3
    CELERY_IGNORE_RESULT = True


class New:
    task_always_eager = True
    task_default_queue = "new"
    worker_concurrency = 3


class Mixed:
    task_always_eager = True
    task_default_queue = "new"
    CELERYD_CONCURRENCY = 3


class Spaced:
    CELERY_TASK_ALWAYS_EAGER = True
    CELERY_TASK_DEFAULT_QUEUE = "spaced"
    CELERY_WORKER_CONCURRENCY = 3
    OTHER = 5


@program
def defaults():
    """Values nobody has set."""
    conf = fresh().conf
    names = [
        "task_always_eager",
        "task_default_queue",
        "task_ignore_result",
        "task_acks_late",
        "task_serializer",
        "result_serializer",
        "accept_content",
        "timezone",
        "enable_utc",
        "result_expires",
        "worker_concurrency",
        "worker_prefetch_multiplier",
        "task_time_limit",
        "task_track_started",
        "result_extended",
        "task_eager_propagates",
        "task_default_rate_limit",
        "beat_schedule",
        "imports",
        "include",
        "task_routes",
        "worker_max_tasks_per_child",
        "task_default_priority",
        "task_publish_retry",
    ]
    return {name: conf[name] for name in names}


@program
def unknown_keys_are_kept():
    """conf.update keeps what it does not know."""
    conf = fresh().conf
    conf.update({"MY_OWN": 1, "DEBUG": True, "task_default_queue": "q"})
    return [conf["MY_OWN"], conf.get("DEBUG"), conf.task_default_queue, "MY_OWN" in conf, "NOTHING" in conf]


@program
def attributes_and_items():
    """The same through attributes and items."""
    conf = fresh().conf
    conf.task_default_queue = "a"
    first = conf["task_default_queue"]
    conf["task_default_queue"] = "b"
    return [first, conf.task_default_queue, conf.get("nothing"), conf.get("nothing", 3), kind(lambda: conf.nothing)]


@program
def new_names_from_an_object():
    """config_from_object with new names."""
    one = Celery("one", set_as_current=False)
    one.config_from_object(New)
    return [one.conf.task_always_eager, one.conf.task_default_queue, one.conf.worker_concurrency]


@program
def old_names_from_an_object():
    """config_from_object with old names."""
    one = Celery("one", set_as_current=False)
    one.config_from_object(PlainOld)
    conf = one.conf
    return [conf.task_always_eager, conf.task_default_queue, conf.worker_concurrency, conf.task_ignore_result]


@program
def old_names_read():
    """New settings are read under their old names."""
    conf = fresh(task_default_queue="q").conf
    return [conf.CELERY_DEFAULT_QUEUE, conf["CELERY_DEFAULT_QUEUE"], conf.CELERY_ALWAYS_EAGER]


@program
def mixed_names():
    """New and old names in one source."""
    one = Celery("one", set_as_current=False)
    one.config_from_object(Mixed)
    try:
        return one.conf.task_always_eager
    except ImproperlyConfigured as error:
        return ["ImproperlyConfigured", "mix new and old" in str(error), "worker_concurrency" in str(error)]


@program
def namespace():
    """namespace='CELERY' takes keys with the prefix."""
    one = Celery("one", set_as_current=False)
    one.config_from_object(Spaced, namespace="CELERY")
    return [one.conf.task_always_eager, one.conf.task_default_queue, one.conf.worker_concurrency]


@program
def from_a_dictionary():
    """config_from_object takes a dict."""
    one = Celery("one", set_as_current=False)
    one.config_from_object({"task_default_queue": "d", "task_ignore_result": True})
    return [one.conf.task_default_queue, one.conf.task_ignore_result]


@program
def from_a_module():
    """config_from_object takes the name of a module or of an object in it."""
    one = Celery("one", set_as_current=False)
    one.config_from_object("tests.celery_diff.programs.settings:New")
    return [one.conf.task_default_queue, one.conf.worker_concurrency]


@program
def module_that_is_missing():
    """A module that does not exist is an ImportError at first access."""
    one = Celery("one", set_as_current=False)
    one.config_from_object("no_such_module_anywhere")
    return kind(lambda: one.conf.task_default_queue)


@program
def update_after_the_object():
    """conf.update wins over the object."""
    one = Celery("one", set_as_current=False)
    one.config_from_object(New)
    one.conf.update(task_default_queue="updated")
    return [one.conf.task_default_queue, one.conf.worker_concurrency]


@program
def keywords_of_the_app():
    """Keywords of Celery(..) are settings."""
    one = Celery("one", set_as_current=False, task_default_queue="kw", result_extended=True, include=["os"])
    return [one.conf.task_default_queue, one.conf.result_extended, list(one.conf.include)]


@program
def broker_from_the_environment():
    """CELERY_BROKER_URL and CELERY_RESULT_BACKEND."""
    os.environ["CELERY_BROKER_URL"] = os.environ["BROKER_URL"]
    os.environ["CELERY_RESULT_BACKEND"] = os.environ["BROKER_URL"]
    try:
        one = Celery("one", set_as_current=False)
        return [one.conf.broker_url == os.environ["BROKER_URL"], one.conf.result_backend == os.environ["BROKER_URL"]]
    finally:
        del os.environ["CELERY_BROKER_URL"], os.environ["CELERY_RESULT_BACKEND"]


@program
def names_of_tasks():
    """module.function, a given name, a class."""
    one = Celery("one", set_as_current=False)

    @one.task
    def plain():
        pass

    @one.task(name="given.name")
    def named():
        pass

    return [plain.name, named.name, "given.name" in one.tasks, one.gen_task_name("f", "m")]


@program
def unregistered():
    """tasks[unknown] is NotRegistered, a KeyError."""
    return [kind(lambda: app.tasks["no.such"]), isinstance(app.tasks.get("no.such"), type(None))]


@program
def builtin_tasks():
    """Built-in tasks are registered."""
    return sorted(name for name in app.tasks if name.startswith("celery."))


@program
def same_name_twice():
    """A second function under a taken name is not registered."""
    one = Celery("one", set_as_current=False)

    @one.task(name="twice")
    def first():
        return 1

    @one.task(name="twice")
    def second():
        return 2

    return [first.run(), second.run(), one.tasks["twice"].run()]


@program
def signals_of_the_configuration():
    """on_configure, on_after_configure, on_after_finalize in their order."""
    seen = []
    one = Celery("one", set_as_current=False)
    one.on_configure.connect(lambda **kw: seen.append("on_configure"), weak=False)
    one.on_after_configure.connect(lambda sender, **kw: seen.append(["after", sender is one]), weak=False)
    one.on_after_finalize.connect(lambda **kw: seen.append("finalize"), weak=False)
    assert one.conf.task_default_queue
    one.finalize()
    return seen


@program
def current_app():
    """set_current, set_default, current_app."""
    one = Celery("one", set_as_current=False)
    one.set_current()
    first = celery.current_app.main
    app.set_current()
    return [first, celery.current_app.main]


@program
def main_and_text():
    """app.main, repr."""
    one = Celery("one", set_as_current=False)
    return [one.main, repr(one).split(" at ")[0], one.conf.get("main")]


@program
def timezone_of_the_app():
    """timezone and now."""
    one = Celery("one", set_as_current=False, timezone="Europe/Berlin")
    return [str(one.timezone), str(fresh().timezone), one.now().tzinfo is not None]


@program
def periodic_tasks():
    """add_periodic_task puts entries into beat_schedule."""
    one = Celery("one", set_as_current=False)

    @one.task(name="tick")
    def tick(x):
        pass

    assert one.conf.task_default_queue
    keys = [one.add_periodic_task(10.0, tick.s(1), name="every ten"), one.add_periodic_task(20.0, tick.s(2))]
    entry = one.conf.beat_schedule["every ten"]
    return [keys, entry["task"], list(entry["args"]), str(entry["schedule"]), sorted(one.conf.beat_schedule)]


@program
def annotations():
    """task_annotations change attributes of tasks."""
    one = Celery("one", set_as_current=False)
    one.conf.task_annotations = {"noted": {"rate_limit": "10/s", "extra": 5}, "*": {"priority": 3}}

    @one.task(name="noted")
    def noted():
        pass

    one.finalize()
    return [noted.rate_limit, noted.extra, noted.priority]


@program
def defaults_of_tasks_come_from_settings():
    """Task options that were not given are the settings'."""
    one = Celery("one", set_as_current=False, task_ignore_result=True, task_time_limit=9, task_acks_late=True)

    @one.task
    def plain():
        pass

    @one.task(ignore_result=False, time_limit=3)
    def own():
        pass

    return [
        [plain.ignore_result, plain.time_limit, plain.acks_late, plain.max_retries, plain.default_retry_delay],
        [own.ignore_result, own.time_limit, own.acks_late],
    ]


@program
def soft_limit_beyond_the_hard_one():
    """A soft limit beyond the hard one, as attributes of the task."""
    one = make_app("limits")

    @one.task(name="limited", soft_time_limit=10, time_limit=5)
    def limited():
        pass

    return kind(limited.apply_async)
