# mypy: ignore-errors
"""Signals and hooks around a run: order and arguments."""

from celery import signals
from celery.exceptions import Ignore, Reject

from tests.celery_diff.lab import make_app, note, notes, program, settled, stays, wait_notes, wait_until

WORKER = {"pool": "threads", "concurrency": 1}
app = make_app("signals_order")
INTERNAL = {"signal"}


class Hooked(app.Task):
    def before_start(self, task_id, args, kwargs):
        note("before_start", list(args), dict(kwargs))

    def on_success(self, retval, task_id, args, kwargs):
        note("on_success", retval)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note("on_failure", exc, hasattr(einfo, "traceback"))

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        note("on_retry", type(exc).__name__)

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note("after_return", status, retval if status != "RETRY" else None, einfo is None)


@app.task(base=Hooked)
def add(x, y=0):
    note("body")
    return x + y


@app.task(base=Hooked)
def fail(*args):
    note("body")
    raise ValueError("no")


@app.task(base=Hooked, bind=True)
def again(self):
    note("body", self.request.retries)
    if self.request.retries < 1:
        raise self.retry(countdown=0.3)
    return "done"


@app.task(base=Hooked)
def ignores():
    note("body")
    raise Ignore


@app.task(base=Hooked)
def rejects():
    note("body")
    raise Reject("no", requeue=False)


@app.task
def say(*words):
    note("say", *words)


@signals.task_prerun.connect
def prerun(sender=None, **kw):
    note("task_prerun", sender.name.rsplit(".", 1)[-1], sorted(set(kw) - INTERNAL), kw["args"], kw["kwargs"])


@signals.task_postrun.connect
def postrun(sender=None, **kw):
    note("task_postrun", sorted(set(kw) - INTERNAL), kw["state"], type(kw["retval"]).__name__)


@signals.task_success.connect
def success(sender=None, **kw):
    note("task_success", sorted(set(kw) - INTERNAL), kw["result"])


@signals.task_failure.connect
def failure(sender=None, **kw):
    note("task_failure", sorted(set(kw) - INTERNAL), kw["exception"])


@signals.task_retry.connect
def retry(sender=None, **kw):
    note("task_retry", sorted(set(kw) - INTERNAL), type(kw["reason"]).__name__, kw["request"].retries)


@signals.task_received.connect
def received(sender=None, request=None, **kw):
    note("task_received", request.name.rsplit(".", 1)[-1])


@signals.task_revoked.connect
def revoked(sender=None, **kw):
    note("task_revoked", sorted(set(kw) - INTERNAL), kw["terminated"], kw["expired"])


@signals.worker_ready.connect
def ready(sender=None, **kw):
    note("worker_ready")


@signals.worker_init.connect
def init(sender=None, **kw):
    note("worker_init")


@signals.celeryd_init.connect
def celeryd_init(sender=None, instance=None, conf=None, **kw):
    note("celeryd_init", sender, conf is not None)


@signals.celeryd_after_setup.connect
def after_setup(sender=None, instance=None, conf=None, **kw):
    note("celeryd_after_setup", sender)


@signals.import_modules.connect
def imports(sender=None, **kw):
    note("import_modules")


def ended(result, count):
    """Wait until the run is over and so many lines are there."""
    settled(result)
    wait_notes(count, timeout=4)
    return notes()


def names(lines):
    return [line[0] for line in lines]


@program
def start_of_the_worker():
    """The signals of a start, in order. (Written before any program ran.)"""
    import json

    from tests.celery_diff import lab

    with open(lab.JOURNAL) as stream:
        lines = [json.loads(line) for line in stream]
    wanted = {"celeryd_init", "celeryd_after_setup", "worker_init", "import_modules", "worker_ready"}
    return [line for line in lines if line[0] in wanted]


@program
def order_of_a_success():
    """Every call around a success."""
    return ended(add.delay(1, y=2), 8)


@program
def order_of_a_failure():
    """Every call around a failure."""
    return ended(fail.delay(7), 8)


@program
def order_of_a_retry():
    """Every call around a retry and the run after it."""
    return [name for name in names(ended(again.delay(), 15)) if name != "task_received"]


@program
def arguments_of_a_retry():
    """What on_retry and task_retry get."""
    lines = ended(again.delay(), 15)
    return [line for line in lines if line[0] in ("on_retry", "task_retry", "task_postrun")]


@program
def order_of_an_ignore():
    """Every call around Ignore."""
    ignores.delay()
    wait_notes(5, timeout=2)
    return names(notes())


@program
def order_of_a_reject():
    """Every call around Reject."""
    rejects.delay()
    wait_notes(6, timeout=2)
    return names(notes())


@program
def publish_signals():
    """before_task_publish and after_task_publish in the sender."""

    def before(sender=None, **kw):
        note(
            "before", sender, sorted(set(kw) - INTERNAL), kw["routing_key"], kw["headers"]["id"], plain_body(kw["body"])
        )

    def after(sender=None, **kw):
        note("after", sender, sorted(set(kw) - INTERNAL), kw["routing_key"])

    signals.before_task_publish.connect(before)
    signals.after_task_publish.connect(after)
    try:
        result = say.delay("x")
        result.get(timeout=8)
    finally:
        signals.before_task_publish.disconnect(before)
        signals.after_task_publish.disconnect(after)
    return [line for line in notes() if line[0] in ("before", "after")]


def plain_body(body):
    return [list(body[0]), dict(body[1])]


@program
def headers_changed_while_publishing():
    """A header that before_task_publish adds is seen by the task."""

    def before(headers=None, **kw):
        headers["tenant"] = "t1"

    signals.before_task_publish.connect(before)
    try:
        return tenant.delay().get(timeout=8)
    finally:
        signals.before_task_publish.disconnect(before)


@app.task(bind=True)
def tenant(self):
    return getattr(self.request, "tenant", None)


@program
def signal_by_sender():
    """connect(sender=..) hears only that task."""
    seen = []

    def after(sender=None, **kw):
        seen.append(sender.rsplit(".", 1)[-1])

    signals.after_task_publish.connect(after, sender=say.name)
    try:
        say.delay("x")
        add.delay(1).get(timeout=8)
    finally:
        signals.after_task_publish.disconnect(after, sender=say.name)
    return seen


@program
def receivers_that_fail():
    """An error in a receiver is not the caller's."""
    seen = []

    def bad(**kw):
        raise ValueError("receiver")

    def good(**kw):
        seen.append("good")

    signals.after_task_publish.connect(bad)
    signals.after_task_publish.connect(good)
    try:
        value = add.delay(1).get(timeout=8)
    finally:
        signals.after_task_publish.disconnect(bad)
        signals.after_task_publish.disconnect(good)
    return [value, seen]


@program
def own_signal_use():
    """send, receivers, disconnect, dispatch_uid."""
    seen = []

    def hear(sender=None, **kw):
        seen.append(sorted(set(kw) - INTERNAL))

    signals.task_sent.connect(hear, dispatch_uid="once")
    signals.task_sent.connect(hear, dispatch_uid="once")
    signals.task_sent.send(sender="s", task_id="i")
    gone = signals.task_sent.disconnect(dispatch_uid="once")
    signals.task_sent.send(sender="s", task_id="i")
    return [seen, bool(gone)]


@program
def error_in_on_success():
    """An error in on_success changes nothing of the result."""
    result = bad_hook.delay()
    return settled(result)


class BadHook(app.Task):
    def on_success(self, retval, task_id, args, kwargs):
        raise ValueError("hook")


@app.task(base=BadHook)
def bad_hook():
    return "fine"


@program
def error_in_before_start():
    """An error in before_start is the task's failure."""
    return settled(bad_start.delay())


class BadStart(app.Task):
    def before_start(self, task_id, args, kwargs):
        raise ValueError("start")


@app.task(base=BadStart)
def bad_start():
    return "fine"


@program
def expired_task():
    """task_revoked(expired=True)."""
    result = say.apply_async(("late",), countdown=1, expires=0.2)
    wait_until(result.ready)
    wait_notes(1, "task_revoked", timeout=3)
    return notes("task_revoked")


@program
def eager_signals():
    """The signals of an eager run."""
    add.apply((1,))
    return names(notes())


@program
def links_before_on_success():
    """When a link is sent, on_success follows."""
    result = add.apply_async((1,), link=say.s())
    settled(result)
    wait_until(lambda: len(notes("say")) == 1)
    stays(lambda: False, 0.3)
    lines = names(notes())
    return [lines.index("on_success") < lines.index("say"), lines.index("task_postrun") < lines.index("say")]
