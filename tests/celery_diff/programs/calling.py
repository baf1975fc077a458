# mypy: ignore-errors
"""Ways to call: options of apply_async, send_task, revoke, values on the wire."""

import datetime
import uuid
from decimal import Decimal

from celery import signature
from celery.exceptions import TaskRevokedError

from tests.celery_diff.lab import (
    kind,
    make_app,
    note,
    notes,
    plain,
    program,
    settled,
    shown,
    stays,
    tried,
    wait_notes,
    wait_until,
)

WORKER = {"pool": "threads", "concurrency": 2, "args": ["-Q", "celery,other"]}
app = make_app("calling", task_routes={"tests.celery_diff.programs.calling.routed*": {"queue": "other"}})


@app.task
def add(x, y=10):
    return x + y


@app.task
def echo(value):
    return value


@app.task
def say(*words):
    note("say", *words)
    return list(words)


@app.task(ignore_result=True)
def ignored():
    note("ran")
    return 5


@app.task(bind=True)
def look(self, name):
    value = getattr(self.request, name, "missing")
    return str(value) if isinstance(value, datetime.datetime) else value


@program
def delay_and_apply_async():
    """The two ways to send."""
    return [add.delay(1, y=2).get(timeout=8), add.apply_async((1,), {"y": 3}).get(timeout=8)]


@program
def wrong_arguments():
    """Arguments that do not fit are a TypeError of the caller."""
    return [kind(add.delay), kind(add.delay, 1, 2, 3), kind(add.delay, 1, z=3), kind(add.apply_async, "ab", {"q": 1})]


@program
def wrong_kinds_of_arguments():
    """args and kwargs of other kinds."""
    return [kind(add.apply_async, 5), kind(add.apply_async, (1,), [2])]


@program
def typing_off():
    """typing=False lets them through; the worker fails."""
    return settled(untyped.delay(1, 2))[0]


@app.task(typing=False)
def untyped():
    pass


@program
def send_task_by_name():
    """send_task knows only the name."""
    result = app.send_task(add.name, (1,), {"y": 4})
    return [type(result).__name__, result.get(timeout=8)]


@program
def send_task_with_wrong_arguments():
    """Through send_task wrong arguments fail in the worker."""
    return settled(app.send_task(add.name, (1, 2, 3)))[0]


@program
def unknown_task():
    """A name no worker knows."""
    result = app.send_task("no.such.task")
    return [settled(result, 3)[0]]


@program
def signature_by_name():
    """A signature made of a name."""
    return signature(add.name, args=(1,), kwargs={"y": 5}, app=app).delay().get(timeout=8)


@program
def own_task_id():
    """task_id of the caller."""
    result = add.apply_async((1, 2), task_id="my-id")
    return [result.id, result.get(timeout=8)]


@program
def countdown():
    """A countdown lets it wait; the request knows the eta."""
    result = look.apply_async(("eta",), countdown=1)
    early = result.state
    eta = result.get(timeout=8)
    return [early, type(eta).__name__, datetime.datetime.fromisoformat(eta).tzinfo is not None]


@program
def eta():
    """An eta in the past runs at once, one in the future later."""
    now = datetime.datetime.now(datetime.UTC)
    past = add.apply_async((1,), eta=now - datetime.timedelta(hours=1)).get(timeout=8)
    soon = add.apply_async((2,), eta=now + datetime.timedelta(seconds=1))
    return [past, soon.ready(), soon.get(timeout=8)]


@program
def expired():
    """An expired task is REVOKED and does not run."""
    result = say.apply_async(("late",), countdown=1, expires=0.2)
    state = settled(result)
    return [state, notes("say"), tried(result.get, timeout=3)]


@program
def expired_in_the_past():
    """expires in the past."""
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    return settled(say.apply_async(("late",), expires=past))


@program
def expires_later():
    """A task that starts in time runs."""
    return add.apply_async((1,), expires=60).get(timeout=8)


@program
def revoke_before_the_start():
    """A revoked task does not run; get raises TaskRevokedError."""
    result = say.apply_async(("never",), countdown=1.5)
    wait_until(lambda: bool(app.control.inspect(timeout=0.5).scheduled()), 3)
    result.revoke()
    state = settled(result)
    error = result.get(timeout=3, propagate=False)
    return [state, notes("say"), isinstance(error, TaskRevokedError), tried(result.get, timeout=3)]


@program
def ignore_result_of_the_task():
    """ignore_result=True: nothing is stored."""
    result = ignored.delay()
    wait_notes(1)
    stays(lambda: False, 0.3)
    return [result.state, result.result, kind(result.get, timeout=1)]


@program
def ignore_result_of_the_call():
    """ignore_result in the call wins over the task's, both ways."""
    kept = ignored.apply_async(ignore_result=False).get(timeout=8)
    dropped = add.apply_async((1, 2), ignore_result=True)
    stays(lambda: False, 0.5)
    return [kept, dropped.state, kind(dropped.get, timeout=1)]


@program
def ignored_failure():
    """The failure of a task whose result is ignored."""
    result = ignored_fail.delay()
    stays(lambda: False, 0.6)
    kept = stored_fail.delay()
    wait_until(kept.ready, 3)
    return [result.state, kept.state]


@app.task(ignore_result=True)
def ignored_fail():
    raise ValueError("x")


@app.task(ignore_result=True, store_errors_even_if_ignored=True)
def stored_fail():
    raise ValueError("x")


@program
def another_queue():
    """queue of the call."""
    found = look.apply_async(("delivery_info",), queue="other").get(timeout=8)
    return found["routing_key"]


@program
def routes():
    """task_routes by pattern; the call wins."""
    return [
        routed_look.delay().get(timeout=8),
        routed_look.apply_async(queue="celery").get(timeout=8),
        app.send_task(routed_look.name).get(timeout=8),
    ]


@app.task(bind=True)
def routed_look(self):
    return self.request.delivery_info["routing_key"]


@program
def queue_of_the_task():
    """queue as an option of the task."""
    return queued.delay().get(timeout=8)


@app.task(bind=True, queue="other")
def queued(self):
    return self.request.delivery_info["routing_key"]


@program
def priority():
    """The priority as the request shows it."""
    return [
        look.apply_async(("delivery_info",), priority=5).get(timeout=8)["priority"],
        look.apply_async(("delivery_info",)).get(timeout=8)["priority"],
    ]


@program
def rich_values():
    """Dates, decimals, ids and bytes travel as themselves."""
    values = [
        datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC),
        datetime.date(2026, 5, 4),
        datetime.time(3, 2, 1),
        Decimal("1.50"),
        uuid.UUID(int=7),
        b"\x00\xff",
    ]
    found = [echo.delay(value).get(timeout=8) for value in values]
    return [[type(value).__name__, value == sent] for value, sent in zip(found, values, strict=False)]


@program
def values_json_cannot_carry():
    """Other objects are an error of the caller."""
    return [kind(echo.delay, object()), kind(echo.delay, {1, 2} and object()), kind(echo.delay, lambda: 1)]


@program
def value_that_encodes_itself():
    """An object with __json__."""

    class Own:
        def __json__(self):
            return {"own": 1}

    return kind(lambda: echo.delay(Own()).get(timeout=8))


@program
def keys_become_strings():
    """Keys of dictionaries become strings, tuples lists."""
    return plain(echo.delay({1: (1, 2), None: True}).get(timeout=8))


@program
def large_value():
    """Two million characters there and back."""
    return len(echo.delay("x" * 2_000_000).get(timeout=12))


@program
def unicode_and_nested():
    """Odd texts and deep nesting."""
    value = {"ü": ["☂", {"": [[[[[1]]]]]}], "quote": 'a"b\\c\n\u2028'}
    return echo.delay(value).get(timeout=8) == value


@program
def same_id_twice():
    """Two calls under one id: both run."""
    first = say.apply_async(("a",), task_id="double")
    first.get(timeout=8)
    say.apply_async(("b",), task_id="double")
    return wait_notes(2, "say", timeout=3)


@program
def explicit_none_clears():
    """expires=None in the call clears the task's."""
    result = short_lived.apply_async(expires=None)
    return [result.get(timeout=8), settled(short_lived.apply_async(countdown=1))[0]]


@app.task(bind=True, expires=0.3)
def short_lived(self):
    return self.request.expires


@program
def app_asyncresult():
    """app.AsyncResult and task.AsyncResult."""
    result = add.delay(1, 2)
    result.get(timeout=8)
    return [app.AsyncResult(result.id).get(timeout=3), add.AsyncResult(result.id).state]


@program
def task_without_a_worker_queue():
    """A queue nobody serves: the task waits."""
    result = add.apply_async((1, 2), queue="nobody")
    return [stays(lambda: result.state == "PENDING"), shown(tried_error(result))["raises"]]


def tried_error(result):
    try:
        return result.get(timeout=0.2)
    except Exception as error:
        return error
