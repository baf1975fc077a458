# mypy: ignore-errors
"""Retries, by hand and automatic."""

from celery.exceptions import MaxRetriesExceededError, Reject, Retry

from tests.celery_diff.lab import kind, make_app, note, notes, program, settled, shown, tried, wait_until

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("retries")


def run(task, *args, **options):
    """Send, wait for the end, and give it with what was noted."""
    result = task.apply_async(args, **options)
    wait_until(result.ready, 8)
    return [settled(result), notes()]


@app.task(bind=True, max_retries=3)
def always(self):
    note(self.request.retries)
    raise self.retry(countdown=0.3)


@app.task(bind=True, max_retries=3)
def always_with_error(self):
    note(self.request.retries)
    try:
        raise ValueError("no")
    except ValueError as error:
        raise self.retry(exc=error, countdown=0.3) from None


@app.task(bind=True)
def until(self, times, **options):
    note(self.request.retries)
    if self.request.retries < times:
        self.retry(countdown=0.3, **options)
    return self.request.retries


@program
def retries_used_up():
    """max_retries=3 are four runs, then MaxRetriesExceededError."""
    state, lines = run(always)
    return [state[0], state[1]["raises"], lines]


@program
def text_of_max_retries_exceeded():
    """The error's words and attributes."""
    result = always.delay()
    wait_until(result.ready)
    error = result.result
    return [str(error), hasattr(error, "task_args"), hasattr(error, "task_kwargs")]


@program
def retries_used_up_with_an_error():
    """With exc the failure is that error."""
    return run(always_with_error)


@program
def retry_then_success():
    """A task that succeeds at the third run."""
    return run(until, 2)


@program
def default_max_retries():
    """Without a limit of its own: three."""
    return run(default_limit)


@app.task(bind=True)
def default_limit(self):
    note(self.request.retries)
    raise self.retry(countdown=0.3, exc=ValueError("x"))


@program
def limit_given_in_the_call():
    """max_retries of retry() counts for this attempt."""
    return run(limit_in_call)


@app.task(bind=True, max_retries=0)
def limit_in_call(self):
    note(self.request.retries)
    raise self.retry(countdown=0.3, max_retries=2, exc=ValueError("x"))


@program
def no_limit():
    """max_retries=None has no end."""
    return run(endless)


@app.task(bind=True, max_retries=None)
def endless(self):
    if self.request.retries < 5:
        raise self.retry(countdown=0.3)
    return self.request.retries


@program
def zero_retries():
    """max_retries=0 fails at once."""
    return run(none_at_all)


@app.task(bind=True, max_retries=0)
def none_at_all(self):
    note(self.request.retries)
    raise self.retry(countdown=0.3, exc=KeyError("x"))


@program
def new_arguments():
    """retry with other arguments."""
    return run(other_arguments, 1, 2)


@app.task(bind=True)
def other_arguments(self, x, y=0):
    note(x, y, self.request.retries)
    if self.request.retries == 0:
        raise self.retry(args=(10,), kwargs={"y": 20}, countdown=0.3)
    return [x, y]


@program
def the_id_stays():
    """Id, root and parent of a retried task are the same in every run."""
    return run(identity)


@app.task(bind=True)
def identity(self):
    note(self.request.id, self.request.root_id, self.request.parent_id)
    if self.request.retries < 2:
        raise self.retry(countdown=0.3)


@program
def state_while_waiting():
    """Between the tries the state is RETRY, the result the error."""
    result = slow_retry.delay()
    wait_until(lambda: result.state == "RETRY")
    return [result.state, shown(result.result), result.ready(), isinstance(result.traceback, str)]


@app.task(bind=True)
def slow_retry(self):
    raise self.retry(exc=ValueError("wait"), countdown=60)


@program
def retry_is_an_exception():
    """A Retry is an exception that the body can catch; what the body then returns is the value."""
    state, lines = run(catches)
    return [state, lines[0]]


@app.task(bind=True)
def catches(self):
    if self.request.retries:
        return "caught"
    try:
        self.retry(countdown=0.3)
    except Retry as error:
        note(type(error).__name__, isinstance(error, Exception), error.sig.task)
        return "caught"


@program
def throw_false():
    """retry(throw=False) returns the Retry and goes on."""
    does_not_throw.delay()
    wait_until(lambda: len(notes()) >= 2)
    return notes()


@app.task(bind=True, max_retries=1)
def does_not_throw(self):
    note(self.request.retries)
    if self.request.retries == 0:
        self.retry(countdown=0.3, throw=False)
    return "value"


@program
def called_directly():
    """retry in a task called as a function raises the current error."""
    return [
        tried(reraises),
        kind(lambda: until(1)),
    ]


@app.task(bind=True)
def reraises(self):
    try:
        raise KeyError("mine")
    except KeyError as error:
        raise self.retry(exc=error) from None


@program
def retry_outside_except():
    """retry(exc=..) with the retries used up raises that error."""
    return run(exc_only)


@app.task(bind=True, max_retries=1)
def exc_only(self):
    raise self.retry(exc=OSError("gone"), countdown=0.3)


@app.task(autoretry_for=(ValueError,), max_retries=2, default_retry_delay=0.3, bind=True)
def automatic(self):
    note(self.request.retries)
    raise ValueError("again")


@program
def autoretry():
    """autoretry_for: the runs, and the original error at the end."""
    return run(automatic)


@program
def autoretry_of_another_error():
    """An error that is not in autoretry_for fails at once."""
    return run(other_error)


@app.task(autoretry_for=(ValueError,), default_retry_delay=0.3, bind=True)
def other_error(self):
    note(self.request.retries)
    raise KeyError("x")


@program
def autoretry_with_kwargs():
    """retry_kwargs go to retry."""
    return run(with_kwargs)


@app.task(autoretry_for=(Exception,), retry_kwargs={"max_retries": 1, "countdown": 0.3}, bind=True)
def with_kwargs(self):
    note(self.request.retries)
    raise ValueError("x")


@program
def dont_autoretry():
    """dont_autoretry_for wins."""
    return run(excepted)


@app.task(autoretry_for=(Exception,), dont_autoretry_for=(KeyError,), default_retry_delay=0.3, bind=True)
def excepted(self):
    note(self.request.retries)
    raise KeyError("x")


@program
def autoretry_succeeds():
    """A task that is automatically retried into success."""
    return run(third_time)


@app.task(autoretry_for=(ValueError,), default_retry_delay=0.3, bind=True)
def third_time(self):
    if self.request.retries < 2:
        raise ValueError("again")
    return self.request.retries


@program
def backoff_countdowns():
    """retry_backoff without jitter: the countdowns, as retry() gets them, eagerly."""
    seen = []
    backing.retry_seen = seen
    original = backing.retry

    def spy(*args, **kwargs):
        seen.append(kwargs.get("countdown"))
        return original(*args, **kwargs)

    backing.retry = spy
    try:
        backing.apply()
    finally:
        backing.retry = original
    return seen


@app.task(autoretry_for=(ValueError,), retry_backoff=3, retry_backoff_max=20, retry_jitter=False, max_retries=5)
def backing():
    raise ValueError("x")


@program
def max_retries_exceeded_is_a_task_error():
    """Its place among the classes."""
    return [cls.__name__ for cls in MaxRetriesExceededError.__mro__]


@program
def humanized_retry():
    """Texts of a Retry."""
    return [Retry("m", ValueError("x"), 10).humanize(), str(Retry("message")), Retry(when=None).humanize()]


@program
def retry_kept_headers():
    """The caller's headers are there in every run."""
    return run(with_headers, headers={"mark": "m"})


@app.task(bind=True)
def with_headers(self):
    note((self.request.headers or {}).get("mark"))
    if self.request.retries < 1:
        raise self.retry(countdown=0.3)


@program
def request_of_a_retry():
    """Args of the request in each run."""
    return run(own_request, 1, 2)


@app.task(bind=True)
def own_request(self, *args):
    note(list(self.request.args), dict(self.request.kwargs))
    if self.request.retries < 1:
        raise self.retry(countdown=0.3)


@program
def reject_inside_autoretry():
    """A Reject passes autoretry_for=(Exception,) through."""
    state, lines = run(rejecting)
    return [state, len(lines)]


@app.task(autoretry_for=(Exception,), max_retries=2, default_retry_delay=0.3, bind=True)
def rejecting(self):
    note(self.request.retries)
    raise Reject("no", requeue=False)
