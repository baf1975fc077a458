# mypy: ignore-errors
"""apply() and task_always_eager, without a worker."""

from celery import chain, chord, group
from celery.exceptions import Retry

from tests.celery_diff.lab import kind, make_app, note, notes, plain, program, shown, tried

app = make_app("eager", task_always_eager=True)
strict = make_app("strict", task_always_eager=True, task_eager_propagates=True)
lazy = make_app("lazy")


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail(*args):
    raise ValueError("no")


@app.task
def say(*words):
    note("say", *words)
    return list(words)


@app.task(bind=True)
def look(self, *args):
    request = self.request
    return [request.is_eager, request.called_directly, request.id is not None, request.retries]


@app.task(bind=True, max_retries=2)
def stubborn(self):
    note("try", self.request.retries)
    raise self.retry(exc=ValueError("again"), countdown=100)


@app.task(bind=True, max_retries=5)
def sometimes(self):
    if self.request.retries < 2:
        raise self.retry(countdown=100)
    return self.request.retries


@strict.task
def strict_fail():
    raise ValueError("no")


@strict.task(bind=True, max_retries=1)
def strict_retry(self):
    raise self.retry(countdown=1)


@lazy.task
def lazy_add(x, y):
    return x + y


@lazy.task
def lazy_fail():
    raise ValueError("no")


@program
def delay_runs_here():
    """delay gives an EagerResult with the value."""
    result = add.delay(1, 2)
    return [type(result).__name__, result.get(), result.state, result.ready(), result.successful(), result.traceback]


@program
def failure_is_kept():
    """A failure is in the result, get raises it."""
    result = fail.delay()
    return [result.state, tried(result.get), shown(result.get(propagate=False)), isinstance(result.traceback, str)]


@program
def failure_is_raised():
    """task_eager_propagates raises from the call."""
    return tried(strict_fail.delay)


@program
def retry_with_propagation():
    """What a retry does when errors propagate."""
    return kind(lambda: strict_retry.delay().state)


@program
def apply_needs_no_setting():
    """task.apply runs here in any app."""
    result = lazy_add.apply((1, 2))
    return [type(result).__name__, result.get(), tried(lazy_fail.apply().get)]


@program
def apply_throw():
    """apply(throw=True) raises."""
    return tried(lazy_fail.apply, throw=True)


@program
def request_of_an_eager_task():
    """is_eager is true."""
    return look.delay().get()


@program
def task_id_of_an_eager_task():
    """task_id is kept."""
    return [add.apply_async((1, 2), task_id="mine").id, add.apply((1, 2), task_id="mine").id]


@program
def retries_at_once():
    """Retries run at once, whatever the countdown."""
    return [sometimes.delay().get(), sometimes.delay().state]


@program
def retries_used_up():
    """After the last try the error stands."""
    result = stubborn.delay()
    return [result.state, tried(result.get), notes("try")]


@program
def links_run_inline():
    """Links run before the call returns."""
    add.apply_async((1, 2), link=say.s("linked"))
    return notes("say")


@program
def errbacks_run_inline():
    """Errbacks too."""
    fail.apply_async(link_error=say.si("broken"))
    return notes("say")


@program
def chain_here():
    """A chain's value and parents."""
    result = chain(add.s(1, 2), add.s(3), add.s(4))()
    return [result.get(), result.parent.get(), result.parent.parent.get()]


@program
def chain_with_a_failure():
    """A chain whose first step fails."""
    return tried(lambda: chain(fail.s(), say.s("x"))().get())


@program
def group_here():
    """A group gives a GroupResult."""
    result = group(add.s(n, n) for n in range(3))()
    return [type(result).__name__, result.get(), result.successful()]


@program
def chord_here():
    """A chord's body."""
    return chord([add.s(1, 1), add.s(2, 2)])(total.s()).get()


@program
def chord_with_a_failure():
    """A chord whose header fails."""
    return kind(lambda: chord([add.s(1, 1), fail.s()])(total.s()).get())


@program
def nested_canvas_here():
    """Chain, group, chord."""
    canvas = chain(add.s(1, 1), group(add.s(10), add.s(20)), total.s(), add.s(1))
    return canvas().get()


@program
def signature_apply():
    """apply of signatures and canvases."""
    return [
        lazy_add.s(1, 2).apply().get(),
        chain(lazy_add.s(1, 2), lazy_add.s(3)).apply().get(),
        group(lazy_add.s(1, 2), lazy_add.s(3, 4)).apply().get(),
    ]


@program
def values_pass_the_serializer():
    """Arguments are copies, tuples become lists."""
    argument = {"a": (1, 2)}
    value = echo.delay(argument).get()
    return [plain(value), type(value["a"]).__name__, value is argument]


@app.task
def echo(value):
    return value


@program
def arguments_that_cannot_be_encoded():
    """An argument that JSON cannot carry, eagerly."""
    return kind(lambda: type(echo.delay(object()).get()).__name__)


@program
def hooks_when_eager():
    """Hooks and their order."""
    hooked.delay()
    kind(hooked_fail.delay)
    return notes("hook")


class Hooked(app.Task):
    def before_start(self, task_id, args, kwargs):
        note("hook", "before_start")

    def on_success(self, retval, task_id, args, kwargs):
        note("hook", "on_success", retval)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note("hook", "on_failure", type(exc).__name__, type(einfo).__name__)

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note("hook", "after_return", status)


@app.task(base=Hooked)
def hooked():
    note("hook", "body")
    return 1


@app.task(base=Hooked)
def hooked_fail():
    raise ValueError("x")


@program
def call_and_run():
    """A task is a function; run is its body."""
    return [add(1, 2), add.run(1, 2), sometimes.name.rsplit(".", 1)[-1], issubclass(Retry, Exception)]


@program
def eager_parents_inside():
    """A task sent by an eager task."""
    return eager_parent.delay().get()


@app.task(bind=True)
def eager_parent(self):
    child = look_lineage.delay().get(disable_sync_subtasks=False)
    return [child["parent"] == self.request.id, child["root"] == self.request.root_id]


@app.task(bind=True)
def look_lineage(self):
    return {"parent": self.request.parent_id, "root": self.request.root_id}
