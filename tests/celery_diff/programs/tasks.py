# mypy: ignore-errors
"""Tasks as objects: classes, bind, shared_task, options."""

from celery import Celery, Task, current_app, shared_task

from tests.celery_diff.lab import kind, make_app, note, notes, plain, program, tried

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("tasks")


@app.task
def add(x, y=1):
    """Adds."""
    return x + y


@app.task(bind=True, name="own.name", max_retries=7, default_retry_delay=5, custom="kept")
def bound(self, x):
    return [self.name, x, self.custom]


class Base(Task):
    opened = None

    def connection(self):
        if self.opened is None:
            note("open")
            self.opened = object()
        return self.opened


@app.task(base=Base, bind=True)
def with_base(self):
    self.connection()
    self.connection()
    return isinstance(self, Base)


class Calling(Task):
    def __call__(self, *args, **kwargs):
        note("call", list(args))
        return self.run(*args, **kwargs)


@app.task(base=Calling)
def called(x):
    return x * 2


class ByClass(app.Task):
    name = "by.class"
    max_retries = 9

    def run(self, x):
        return [self.name, self.request.id is not None, x]


by_class = app.register_task(ByClass())


@shared_task
def shared(x):
    return x + 1


@shared_task(bind=True, name="shared.bound")
def shared_bound(self, x):
    return [self.name, self.app.main, x]


@program
def a_task_is_callable():
    """A plain call, run, docstring, names."""
    return [add(1, 2), add.run(1), add.__doc__, add.__name__, add.name, add.app is app]


@program
def options_become_attributes():
    """Options of the decorator, known or not."""
    return [bound.name, bound.max_retries, bound.default_retry_delay, bound.custom, bound.delay(3).get(timeout=8)]


@program
def default_attributes():
    """Attributes nobody has set."""
    names = [
        "max_retries",
        "default_retry_delay",
        "rate_limit",
        "ignore_result",
        "acks_late",
        "time_limit",
        "soft_time_limit",
        "serializer",
        "track_started",
        "priority",
        "expires",
        "throws",
        "typing",
        "trail",
        "send_events",
        "store_errors_even_if_ignored",
        "reject_on_worker_lost",
        "acks_on_failure_or_timeout",
        "resultrepr_maxsize",
    ]
    return {name: plain(getattr(add, name)) for name in names}


@program
def base_class_state_persists():
    """One instance a process: what it opens stays open."""
    with_base.delay().get(timeout=8)
    with_base.delay().get(timeout=8)
    return [with_base.delay().get(timeout=8), len(notes("open")) <= 1]


@program
def custom_call():
    """A custom __call__ is used by the worker."""
    return [called.delay(4).get(timeout=8), notes("call")]


@program
def class_based_task():
    """A class that is registered."""
    return [by_class.delay(5).get(timeout=8), by_class.max_retries, "by.class" in app.tasks]


@program
def shared_tasks():
    """shared_task resolves to the app in use."""
    return [shared.delay(1).get(timeout=8), shared_bound.delay(2).get(timeout=8), shared(5), shared.name in app.tasks]


@program
def shared_task_in_two_apps():
    """A shared task is in every app."""
    other = Celery("other", set_as_current=False)
    other.finalize()
    return ["shared.bound" in other.tasks, other.tasks["shared.bound"].app is other, current_app.main]


@program
def task_class_of_the_app():
    """task_cls of the app, app.Task."""
    one = Celery("one", task_cls=Calling, set_as_current=False)

    @one.task
    def made():
        return 1

    return [isinstance(made, Calling), issubclass(app.Task, Task), isinstance(add, Task), isinstance(add, app.Task)]


@program
def assigned_task_class():
    """app.Task = a class of one's own, before tasks are made."""
    one = Celery("one", set_as_current=False)
    base = one.Task

    class Context(base):
        def __call__(self, *args, **kwargs):
            return ["context", self.run(*args, **kwargs)]

    one.Task = Context

    @one.task
    def made():
        return 1

    return made()


@program
def lazy_tasks():
    """A task is made at first use or by finalize."""
    one = Celery("one", set_as_current=False)

    @one.task(name="late")
    def late():
        return 1

    one.finalize()
    return ["late" in one.tasks, late.name, one.finalized]


@program
def decorator_twice():
    """The decorator with empty parentheses."""

    @app.task()
    def empty(x):
        return x

    return [empty(3), empty.name]


@program
def throws():
    """throws=(..) is still a failure."""
    result = expected.delay()
    return [tried(result.get, timeout=8), result.state]


@app.task(throws=(KeyError,))
def expected():
    raise KeyError("x")


@program
def bound_method_arguments():
    """self is not counted among the arguments."""
    return [kind(bound.delay), bound.s(1)(), tried(bound, 2)]


@program
def subclassing_with_options():
    """Options as class attributes of the base."""
    return [slow.rate_limit, slow.max_retries, slow.time_limit]


class Slow(app.Task):
    rate_limit = "5/m"
    max_retries = 1
    time_limit = 77


@app.task(base=Slow, max_retries=2)
def slow():
    pass


@program
def async_result_of_a_task():
    """task.AsyncResult, task.s, task.si, task.signature."""
    return [add.AsyncResult("x").id, dict(add.si(1))["immutable"], add.s(1).type is add or add.s(1).task == add.name]


@program
def logger():
    """get_task_logger gives a logger under celery.task."""
    from celery.utils.log import get_task_logger

    found = get_task_logger("mine")
    return [found.name, found.parent.name]


@program
def send_event_is_harmless():
    """self.send_event and self.update_state inside."""
    return sends_event.delay().get(timeout=8)


@app.task(bind=True)
def sends_event(self):
    self.send_event("task-own", note="x")
    return "sent"


@program
def replaced_run_in_tests():
    """A task's delay can be patched."""
    from unittest import mock

    with mock.patch.object(add, "delay", return_value="patched") as patched:
        value = add.delay(1)
    return [value, patched.call_count, add.delay(1).get(timeout=8)]


@program
def pydantic_free_types():
    """Annotations alone change nothing."""
    return annotated.delay("3").get(timeout=8)


@app.task
def annotated(x: int) -> int:
    return x
