# mypy: ignore-errors
"""Time limits, terminate, lost processes: in the pool of processes."""

import os
import time

from celery.exceptions import SoftTimeLimitExceeded

from tests.celery_diff.lab import kind, make_app, note, notes, program, settled, stays, wait_notes, wait_until

WORKER = {"pool": "prefork", "concurrency": 2}
app = make_app("limits")


@app.task
def say(*words):
    note("say", *words)


@app.task(soft_time_limit=1)
def soft_caught():
    try:
        time.sleep(8)
    except SoftTimeLimitExceeded as error:
        note("caught", type(error).__name__)
        return "cleaned"


@app.task(soft_time_limit=1)
def soft_uncaught():
    time.sleep(8)


@app.task(time_limit=1)
def hard():
    time.sleep(8)


class Hooked(app.Task):
    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note("on_failure", type(exc).__name__)


@app.task(base=Hooked, time_limit=1)
def hard_hooked():
    time.sleep(8)


@app.task
def sleeps():
    note("sleeps")
    time.sleep(10)


@app.task
def leaves():
    os._exit(3)


@app.task
def exits():
    raise SystemExit(2)


@app.task(bind=True)
def whoami(self):
    return [self.request.timelimit, os.getpid() > 0]


@program
def soft_limit_caught():
    """SoftTimeLimitExceeded is raised in the body, which can clean up."""
    return [settled(soft_caught.delay()), notes("caught")]


@program
def soft_limit_uncaught():
    """Uncaught it is the failure."""
    state, error = settled(soft_uncaught.delay())
    return [state, error["raises"]]


@program
def hard_limit():
    """TimeLimitExceeded with the seconds."""
    state, error = settled(hard.delay())
    return [state, error]


@program
def hard_limit_calls():
    """on_failure and errbacks after a hard limit."""
    result = hard_hooked.apply_async(link_error=say.si("errback"))
    wait_until(result.ready)
    wait_notes(1, "say", timeout=3)
    return [settled(result)[0], notes("on_failure"), notes("say")[:1]]


@program
def limit_of_the_call():
    """time_limit of the call wins."""
    state, error = settled(sleeps.apply_async(time_limit=1))
    return [state, error["raises"]]


@program
def terminate_a_running_task():
    """revoke(terminate=True) ends it: REVOKED, TaskRevokedError."""
    result = sleeps.delay()
    wait_notes(1, "sleeps")
    result.revoke(terminate=True)
    return [settled(result), kind(result.get, timeout=3)]


@program
def revoke_of_a_running_task():
    """Without terminate a running task goes on."""
    result = naps.delay()
    wait_notes(1, "naps")
    result.revoke()
    return settled(result)


@app.task
def naps():
    note("naps")
    time.sleep(1.5)
    return "rested"


@program
def process_that_ends():
    """A process that leaves in mid-run, default settings."""
    state, error = settled(leaves.delay(), 5)
    return [state, (error or {}).get("raises")]


@program
def system_exit():
    """SystemExit in the body."""
    state, error = settled(exits.delay(), 5)
    return [state, (error or {}).get("raises")]


@program
def worker_goes_on():
    """After all this the worker still works."""
    return whoami.delay().get(timeout=8)


@program
def pool_grow_and_shrink():
    """What pool_grow and pool_shrink answer."""
    control = app.control
    return [control.pool_grow(1, reply=True, timeout=2), control.pool_shrink(1, reply=True, timeout=2)]


@program
def hard_limit_calls_the_errback_once():
    """How often an errback runs after a hard limit."""
    result = hard_hooked.apply_async(link_error=say.si("errback"))
    wait_until(result.ready)
    stays(lambda: False, 2)
    return len(notes("say"))
