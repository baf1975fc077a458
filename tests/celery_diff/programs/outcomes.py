# mypy: ignore-errors
"""How tasks end: values, errors, Reject, Ignore, states of one's own."""

from celery import chain, chord, states
from celery.exceptions import Ignore, Reject

from tests.celery_diff.lab import (
    kind,
    make_app,
    note,
    notes,
    program,
    settled,
    shown,
    stays,
    tried,
    wait_notes,
    wait_until,
)

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("outcomes")


class OwnError(Exception):
    pass


class TwoWordError(Exception):
    def __init__(self, what, code):
        super().__init__(what, code)
        self.what = what
        self.code = code


@app.task
def echo(value=None):
    return value


@app.task
def own_error():
    raise OwnError("mine", 3)


@app.task
def two_words():
    raise TwoWordError("a", 2)


@app.task
def local_error():
    class Hidden(Exception):
        pass

    raise Hidden("x")


@app.task
def say(*words):
    note("say", *words)
    return list(words)


@program
def values_of_all_kinds():
    """JSON values come back as they were, tuples as lists, keys as strings."""
    values = [1, 1.5, "ä☂", True, None, [1, [2]], {"a": {"b": 1}}, (1, 2), {1: "one"}]
    return [echo.delay(value).get(timeout=8) for value in values]


@program
def own_exception_class():
    """An exception class of the program comes back as that class."""
    error = tried(own_error.delay().get, timeout=8)
    caught = None
    try:
        own_error.delay().get(timeout=8)
    except OwnError as problem:
        caught = type(problem) is OwnError
    return [error, caught]


@program
def exception_with_two_arguments():
    """An exception with arguments of its own."""
    result = two_words.delay()
    wait_until(result.ready)
    return [type(result.result).__name__, list(result.result.args)]


@program
def exception_of_a_local_class():
    """A class that the reader cannot find: name and message are kept."""
    result = local_error.delay()
    wait_until(result.ready)
    return [result.state, type(result.result).__name__, isinstance(result.result, Exception)]


@program
def builtin_exceptions():
    """Builtin exceptions keep class and arguments."""
    return [settled(raises.delay(name)) for name in ("KeyError", "ZeroDivisionError", "OSError", "RuntimeError")]


@app.task
def raises(name):
    import builtins

    raise getattr(builtins, name)("text", 5)


@program
def traceback_is_text():
    """A failure's traceback is a text that names the error."""
    result = own_error.delay()
    wait_until(result.ready)
    return [isinstance(result.traceback, str), "OwnError" in result.traceback, "own_error" in result.traceback]


@program
def states_of_a_success():
    """Flags of a success."""
    result = echo.delay(5)
    value = result.get(timeout=8)
    return [value, result.state, result.status, result.ready(), result.successful(), result.failed(), result.traceback]


@program
def states_of_a_failure():
    """Flags of a failure."""
    result = own_error.delay()
    wait_until(result.ready)
    return [result.state, result.ready(), result.successful(), result.failed(), shown(result.info)]


@program
def unknown_id():
    """An id nobody has sent is PENDING."""
    result = app.AsyncResult("no-such-id")
    return [result.state, result.result, result.ready(), result.info, result.children, result.date_done]


@program
def custom_state():
    """update_state sets a state and a meta that others read while the task runs."""
    result = progress.delay()
    wait_until(lambda: result.state == "PROGRESS")
    seen = [result.state, result.info, result.result, result.ready()]
    app.backend.store_result("go-on", 1, "SUCCESS")
    return [seen, settled(result)]


@app.task(bind=True)
def progress(self):
    self.update_state(state="PROGRESS", meta={"current": 3, "total": 10})
    wait_until(lambda: app.AsyncResult("go-on").ready(), 6)
    app.AsyncResult("go-on").forget()
    return "done"


@program
def update_state_of_another():
    """update_state(task_id=..) writes another id's state."""
    other_state.delay("some-other-id").get(timeout=8)
    result = app.AsyncResult("some-other-id")
    return [result.state, result.info]


@app.task(bind=True)
def other_state(self, other):
    self.update_state(task_id=other, state="BUSY", meta=[1, 2])


@program
def custom_state_then_failure():
    """A failure replaces the custom state."""
    return settled(progress_then_failure.delay())


@app.task(bind=True)
def progress_then_failure(self):
    self.update_state(state="PROGRESS", meta={"n": 1})
    raise ValueError("x")


@program
def ignore_keeps_the_state():
    """Ignore after update_state keeps that state."""
    result = ignores_with_state.delay()
    wait_notes(1)
    wait_until(lambda: result.state != "PENDING")
    return [result.state, result.info]


@app.task(bind=True)
def ignores_with_state(self):
    self.update_state(state="SKIPPED", meta={"why": "full"})
    note("ran")
    raise Ignore


@program
def ignore_alone():
    """Ignore without a state."""
    result = ignores.delay()
    wait_notes(1)
    stays(lambda: False, 0.5)
    return [result.state, kind(result.get, timeout=1)]


@app.task
def ignores():
    note("ran")
    raise Ignore


@program
def ignore_ends_a_chain():
    """The step after an ignored one does not run."""
    chain(ignores.si(), say.si("after"))()
    wait_notes(1, "ran")
    return stays(lambda: not notes("say"))


@program
def ignore_calls_no_link():
    """An ignored task calls neither link nor errback."""
    ignores.apply_async(link=say.si("link"), link_error=say.si("errback"))
    wait_notes(1, "ran")
    return stays(lambda: not notes("say"))


@program
def ignore_in_a_chord():
    """A chord with an ignored member."""
    result = chord([ignores.si(), echo.s(1)])(echo.s())
    return kind(result.get, timeout=3)


@program
def reject():
    """Reject without requeue."""
    return settled(rejects.delay(), 4)


@app.task
def rejects():
    note("ran")
    raise Reject("no good", requeue=False)


@program
def reject_calls_the_errback():
    """What a rejected task's errback does."""
    rejects.apply_async(link_error=say.si("errback"))
    wait_notes(1, "ran")
    return wait_notes(1, "say", timeout=2)


@program
def reject_and_requeue():
    """Reject(requeue=True) with acks_late runs the task again."""
    result = rejects_once.delay()
    state = settled(result, 6)
    return [state, len(notes("ran"))]


@app.task(bind=True, acks_late=True)
def rejects_once(self):
    return reject_first_time(self)


@program
def reject_and_requeue_by_default():
    """Reject(requeue=True) of a task that says nothing of acks_late."""
    result = rejects_once_early.delay()
    state = settled(result, 4)
    return [state, len(notes("ran"))]


@app.task(bind=True)
def rejects_once_early(self):
    return reject_first_time(self)


def reject_first_time(self):
    note("ran", self.request.id)
    if len(notes_of(self.request.id)) < 2:
        raise Reject("again", requeue=True)
    return "second"


def notes_of(task_id):
    return [line for line in notes("ran") if line == [task_id]]


@program
def value_that_cannot_be_encoded():
    """A value that JSON cannot carry is the task's failure."""
    result = returns_an_object.delay()
    wait_until(result.ready, 5)
    return [result.state, type(result.result).__name__]


@app.task
def returns_an_object():
    return object()


@program
def soft_failures_of_a_chain_value():
    """An exception returned as a value is a value: it cannot be encoded either."""
    result = returns_an_error.delay()
    wait_until(result.ready, 5)
    return result.state


@app.task
def returns_an_error():
    return ValueError("value")


@program
def track_started():
    """track_started=True makes STARTED visible, with pid and hostname."""
    result = tracked.delay()
    wait_until(lambda: result.state == "STARTED")
    seen = [result.state, sorted(result.info)]
    app.backend.store_result("go-on-tracked", 1, "SUCCESS")
    return [seen, settled(result)]


@app.task(track_started=True)
def tracked():
    wait_until(lambda: app.AsyncResult("go-on-tracked").ready(), 6)
    return 1


@program
def untracked_start():
    """Without track_started a running task reads PENDING."""
    result = untracked.delay()
    wait_until(lambda: app.AsyncResult("untracked-runs").ready(), 6)
    seen = [result.state, result.info, result.ready()]
    app.backend.store_result("go-on-untracked", 1, "SUCCESS")
    return [seen, settled(result)]


@app.task
def untracked():
    app.backend.store_result("untracked-runs", 1, "SUCCESS")
    wait_until(lambda: app.AsyncResult("go-on-untracked").ready(), 6)
    return 1


@program
def state_of_a_second_run():
    """While it runs again, a retried task still reads RETRY, with the error of the run before."""
    result = retried_once.delay()
    wait_until(lambda: app.AsyncResult("second-runs").ready(), 6)
    seen = [result.state, type(result.info).__name__, str(result.info), result.ready()]
    app.backend.store_result("go-on-second", 1, "SUCCESS")
    return [seen, settled(result)]


@app.task(bind=True)
def retried_once(self):
    if not self.request.retries:
        raise self.retry(exc=ValueError("first"), countdown=0)
    app.backend.store_result("second-runs", 1, "SUCCESS")
    wait_until(lambda: app.AsyncResult("go-on-second").ready(), 6)
    return 2


@program
def names_of_states():
    """The sets of celery.states."""
    return {
        "ready": states.READY_STATES,
        "unready": states.UNREADY_STATES,
        "exception": states.EXCEPTION_STATES,
        "propagate": states.PROPAGATE_STATES,
        "all": states.ALL_STATES,
    }


@program
def precedence_of_states():
    """Order of states."""
    names = ["PENDING", "RETRY", "STARTED", "PROGRESS", "REVOKED", "FAILURE", "SUCCESS", "RECEIVED", "REJECTED"]
    ordered = sorted(names, key=states.state)
    return [ordered, states.state("PROGRESS") > states.state("STARTED"), states.state("SUCCESS") > "FAILURE"]


@program
def value_of_none():
    """A task without a return value gives None."""
    return settled(say_nothing.delay())


@app.task
def say_nothing():
    pass
