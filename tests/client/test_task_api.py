# mypy: disable-error-code="var-annotated, override, union-attr, call-overload, misc, name-defined, arg-type"
"""Celery's side of a task: options and where they come from, methods, classes, requests, retries, models."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Optional
from unittest.mock import patch

import pytest

from smallage import Smallage, Task, chord, shared_task, signals
from smallage.core.errors import (
    Ignore,
    ImproperlyConfigured,
    MaxRetriesExceededError,
    Reject,
    Retry,
    WorkerLostError,
)
from smallage.core.message import Crashed
from smallage.core.message import Retry as RetryOutcome
from smallage.request import Context
from smallage.run import HardTimeout, ended
from tests.client.bench import Bench


# -- options ------------------------------------------------------------------------------------------------------
def test_options_read_as_the_settings_until_they_are_said(bench):
    @bench.app.task(own="kept")
    def plain(): ...

    @bench.app.task(ignore_result=False, acks_late=False, track_started=None, time_limit=3, priority=2)
    def said(): ...

    assert (plain.acks_late, plain.ignore_result, plain.track_started, plain.serializer) == (
        False,
        False,
        False,
        "json",
    )
    assert (plain.rate_limit, plain.priority, plain.time_limit, plain.reject_on_worker_lost) == (None,) * 4
    assert (plain.own, plain.resultrepr_maxsize, plain.send_events, plain.trail) == ("kept", 1024, True, True)
    bench.app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_track_started=True,
        task_time_limit=9,
        task_default_rate_limit="5/m",
        task_default_priority=4,
    )
    assert (plain.ignore_result, plain.acks_late, plain.track_started, plain.time_limit) == (True, True, True, 9)
    assert (plain.rate_limit, plain.priority) == ("5/m", 4)
    assert (said.ignore_result, said.acks_late, said.track_started, said.time_limit) == (False, False, True, 3)
    assert said.priority == 2
    assert plain.delay().ignored
    assert not said.delay().ignored


def test_the_order_of_sources():
    bench = Bench(
        task_default_priority=9,
        task_default_queue="default",
        task_annotations={"annotated": {"priority": 6}},
        task_routes={"routed": {"queue": "route", "priority": 3}},
    )
    names = {}
    for name in ("plain", "annotated", "routed"):
        names[name] = bench.app.task(name=name, **({} if name == "plain" else {"priority": 5}))(lambda: None)
    for task, call, queue, priority in (
        ("plain", {}, "default", 9),
        ("annotated", {}, "default", 6),
        ("routed", {}, "route", 3),
        ("routed", {"priority": 1, "queue": "call"}, "call", 1),
    ):
        view = bench.store.state([names[task].apply_async(**call).id])[0]
        assert (view.queue, view.priority) == (queue, priority)


@pytest.mark.parametrize("name", ["backend", "Strategy", "Request"])
def test_options_that_are_refused(bench, name):
    with pytest.raises(ImproperlyConfigured, match=rf"no option {name} here: \w"):
        bench.app.task(**{"name": "work", name: "x"})(lambda: None)


def test_a_soft_limit_beyond_the_hard_one_is_told_by_the_call(bench):
    task = bench.app.task(name="work", soft_time_limit=9, time_limit=5)(lambda: None)
    with pytest.raises(ValueError, match="must not be greater"):
        task.apply_async()
    with pytest.raises(ValueError, match="must not be greater"):
        task.delay()


def test_a_routing_key_is_a_queue(bench):
    task = bench.app.task(name="work", routing_key="keyed")(lambda: None)
    assert bench.store.state([task.delay().id])[0].queue == "keyed"


# -- classes ------------------------------------------------------------------------------------------------------
def test_methods_of_a_class_are_in_the_way(bench):
    seen = []

    class Base(Task):
        abstract = True

        def apply_async(self, args=None, kwargs=None, **options):
            seen.append(("apply_async", args))
            return super().apply_async(args, kwargs, **options)

        def shadow_name(self, args, kwargs, options):
            return f"shadow of {args[0]}"

        @classmethod
        def on_bound(cls, app):
            seen.append(("bound", cls.name, app))

        def __call__(self, *args, **kwargs):
            seen.append(("called", args))
            return super().__call__(*args, **kwargs)

    @bench.app.task(base=Base, bind=True, name="one")
    def one(self, n):
        return self.request.shadow

    result = one.delay(4)
    bench.run()
    assert result.get() == "shadow of 4"
    assert seen == [("bound", "one", bench.app), ("apply_async", (4,)), ("called", (4,))]


def test_what_a_test_patches(bench):
    @bench.app.task(name="work")
    def work(n):
        return n

    with patch.object(work, "apply_async") as call:
        work.delay(1)
    call.assert_called_once_with((1,), {})
    with patch.object(work, "delay") as call:
        work.delay(2)
    call.assert_called_once_with(2)
    with patch.object(work, "run", return_value="patched"):
        result = work.delay(3)
        bench.run()
        assert (result.get(), work(3), work.apply((3,)).get()) == ("patched",) * 3
    assert (work(1), work.__name__, work.name) == (1, "work", "work")


def test_a_task_that_was_never_given_an_app(monkeypatch, bench):
    monkeypatch.setattr("smallage.app.current._current", bench.app)

    class Alone(Task):
        name = "alone"

        def run(self, n):
            return n + 1

    assert (Alone().app is bench.app, Alone()(1), Alone.app is bench.app) == (True, 2, True)


# -- requests -----------------------------------------------------------------------------------------------------
def test_a_request_of_ones_own(bench):
    @bench.app.task(bind=True)
    def look(self):
        return (self.request.id, self.request.retries, self.request.called_directly)

    assert look.request.called_directly
    assert (type(look.request), look.request.args, look.request.children) == (Context, None, [])
    look.push_request(id="x", retries=2, called_directly=False)
    look.push_request({"id": "inner"})
    assert (look.request.id, look.pop_request().id) == ("inner", "inner")
    assert (look.request.id, look.request.retries, look.run()[:2]) == ("x", 2, ("x", 2))
    look.pop_request()
    assert look.request.id is None
    context = Context({"id": "x"}, own=5, timelimit=[9, 4])
    assert (context.own, context.time_limit, context.soft_time_limit) == (5, 9, 4)
    assert (context.get("nothing", 1), context.hostname, context.as_execution_options()["task_id"]) == (1, None, "x")
    context.clear()
    assert context.id is None


def test_what_a_request_knows_of_its_call(bench):
    found = {}

    @bench.app.task(bind=True)
    def look(self):
        request = self.request
        found.update(
            {
                name: getattr(request, name)
                for name in ("reply_to", "correlation_id", "argsrepr", "root_id", "parent_id")
            }
        )
        found["eta"] = dt.datetime.fromisoformat(request.eta).timestamp() - bench.clock.now_us / 1e6
        found["properties"] = request.properties["zzz"]

    look.apply_async(
        countdown=30,
        reply_to="me",
        correlation_id="c",
        argsrepr="()",
        root_id="root",
        parent_id="parent",
        zzz=[1],
    )
    bench.later(31)
    bench.run()
    assert found.pop("eta") == pytest.approx(-1)
    assert found == {
        "reply_to": "me",
        "correlation_id": "c",
        "argsrepr": "()",
        "root_id": "root",
        "parent_id": "parent",
        "properties": [1],
    }


def test_a_signature_of_a_run(bench):
    signatures = []

    @bench.app.task(bind=True, name="look")
    def look(self, a, b=0):
        signatures.append(self.signature_from_request(b_extra=None, queue="other"))
        signatures.append(self.subtask_from_request(args=(9,), kwargs={}, headers={"h": 2}))

    look.apply_async((1,), {"b": 2}, priority=3, headers={"h": 1}, time_limit=9)
    bench.run()
    first, second = signatures
    assert (first.task, first.args, first.kwargs) == ("look", (1,), {"b": 2})
    assert {name: first.options[name] for name in ("queue", "priority", "headers", "time_limit")} == {
        "queue": "other",
        "priority": 3,
        "headers": {"h": 1},
        "time_limit": 9,
    }
    assert (second.args, second.options["headers"], second.options["queue"]) == ((9,), {"h": 2}, "celery")


def test_the_parent_of_a_chords_body_is_the_member_that_ended_last(bench):
    @bench.app.task(bind=True, name="who")
    def who(self, *args):
        return [self.request.id, self.request.parent_id, self.request.root_id]

    result = chord([who.s(1), who.s(2)], who.s())()
    first, second = bench.claim(2)
    bench.settle(second, bench.execute(second))
    bench.clock.advance(1)
    bench.settle(first, bench.execute(first))
    bench.run()
    assert result.get() == [result.id, first.id, first.id]


# -- retries ------------------------------------------------------------------------------------------------------
def test_automatic_retries_go_by_retry(bench):
    seen = []

    class Base(Task):
        def retry(self, *args, **kwargs):
            seen.append(kwargs)
            return super().retry(*args, **kwargs)

    @bench.app.task(
        base=Base, autoretry_for=(ValueError,), retry_backoff=3, retry_jitter=False, retry_kwargs={"max_retries": 1}
    )
    def work():
        raise ValueError("x")

    result = work.delay()
    assert isinstance(bench.step(), RetryOutcome)
    assert (result.state, repr(result.info)) == ("RETRY", "ValueError('x')")
    bench.later(3)
    bench.run()
    assert [(one["countdown"], one["max_retries"], repr(one["exc"])) for one in seen] == [
        (3, 1, "ValueError('x')"),
        (6, 1, "ValueError('x')"),
    ]
    with pytest.raises(ValueError, match="x"):
        result.get()


def test_a_limit_given_in_the_body_holds_for_the_automatic_retry(bench):
    @bench.app.task(bind=True, autoretry_for=(ValueError,), default_retry_delay=0)
    def work(self):
        if self.request.retries < 5:
            self.retry(max_retries=5, throw=False)
            self.request.pending_retry = None
        else:
            self.request.limit_override = 5
        raise ValueError(self.request.retries)

    result = work.delay()
    bench.run()
    with pytest.raises(ValueError, match="5"):
        result.get()


def test_an_error_after_a_retry_without_throw_is_the_end(bench):
    @bench.app.task(bind=True, autoretry_for=(ValueError,))
    def work(self):
        self.retry(throw=False)
        raise ValueError("after")

    result = work.delay()
    bench.run()
    with pytest.raises(ValueError, match="after"):
        result.get()


def test_the_text_of_used_up_retries(bench):
    seen = []

    @bench.app.task(bind=True, max_retries=0, name="work")
    def work(self, a, b=None):
        try:
            raise self.retry()
        except MaxRetriesExceededError as error:
            seen.append((error.task_args, error.task_kwargs))
            raise

    result = work.apply_async((1,), {"b": None}, task_id="x")
    bench.run()
    with pytest.raises(MaxRetriesExceededError) as raised:
        result.get()
    assert seen == [((1,), {"b": None})]
    assert str(raised.value) == "Can't retry work[x] args:(<int>,) kwargs:{'b': None}"
    assert (raised.value.task_args, raised.value.task_kwargs) == ((), {})  # arguments are not told to whoever asks


def test_a_retry_keeps_what_the_task_was_sent_with(bench):
    seen = []

    @bench.app.task(bind=True, name="work", default_retry_delay=0)
    def work(self, n):
        request = self.request
        sent = [request.id, request.headers, request.timelimit, request.expires, request.shadow, request.root_id]
        follows = [len(request.callbacks), len(request.errbacks), len(request.chain)]
        seen.append([*sent, *follows, request.delivery_info["priority"]])
        if not request.retries:
            raise self.retry(args=(n + 1,))
        return n

    @bench.app.task(name="after")
    def after(*args):
        return args

    sig = work.s(1).set(headers={"a": 1}, time_limit=9, soft_time_limit=4, expires=60, priority=3, shadow="s")
    sig.link(after.si("link"))
    sig.link_error(after.si("error"))
    result = (sig | after.s()).apply_async()
    bench.run()
    assert seen[0] == seen[1]
    assert result.get() == [2]


def test_hooks_of_a_retry_get_what_was_given(bench):
    seen = []

    class Base(Task):
        def on_retry(self, exc, task_id, args, kwargs, einfo):
            seen.append((repr(exc), einfo.type.__name__))

        def after_return(self, status, retval, task_id, args, kwargs, einfo):
            seen.append((status, einfo))

    @bench.app.task(base=Base, bind=True, default_retry_delay=0)
    def work(self):
        if self.request.retries < 2:
            raise self.retry(exc=KeyError("x") if self.request.retries else None)

    work.delay()
    bench.run()
    assert seen == [("None", "Retry"), ("KeyError('x')", "KeyError"), ("SUCCESS", None)]


# -- ends ---------------------------------------------------------------------------------------------------------
def test_a_hard_limit_may_be_a_crash(bench):
    @bench.app.task(acks_on_timeout=False, time_limit=2, max_crashes=1)
    def work(): ...

    result = work.delay()
    for crashes in range(2):
        (claim,) = bench.claim()
        assert claim.crashes == crashes
        outcome = ended(bench.app, claim, HardTimeout(), bench.worker)
        assert isinstance(outcome, Crashed)
        bench.settle(claim, outcome)
    with pytest.raises(Exception, match="2") as raised:
        result.get()
    assert type(raised.value).__name__ == "TimeLimitExceeded"


def test_losses_as_retries(bench):
    @bench.app.task(retry_on_worker_lost=True, max_retries=2)
    def again(): ...

    @bench.app.task(reject_on_worker_lost=False)
    def final():
        raise SystemExit(1)

    assert (again.current().envelope.max_crashes, again.current().envelope.max_lost) == (2, 2)
    result = final.delay()
    bench.run()
    with pytest.raises(WorkerLostError):
        result.get()


def test_postrun_comes_whatever_the_end(bench):
    ends = []

    def heard(state=None, retval=None, **_):
        ends.append((state, type(retval).__name__))

    kinds = {one.__name__: one for one in (Ignore, Reject, ValueError)}

    @bench.app.task(name="work")
    def work(kind):
        raise kinds[kind]("x")

    signals.task_postrun.connect(heard, weak=False)
    try:
        for kind in kinds:
            work.delay(kind)
        bench.run()
    finally:
        signals.task_postrun.disconnect(heard)
    assert ends == [("IGNORED", "Ignore"), ("REJECTED", "Reject"), ("FAILURE", "ValueError")]


# -- here ---------------------------------------------------------------------------------------------------------
def test_eager_retries_are_raised_if_all_is(bench):
    @bench.app.task(bind=True, max_retries=1)
    def work(self):
        raise self.retry(exc=ValueError("x"))

    with pytest.raises(Retry):
        work.apply(throw=True)
    assert isinstance(work.apply().result, ValueError)
    bench.app.conf.task_eager_propagates = True
    with pytest.raises(Retry):
        work.apply()


def test_what_hooks_raise_under_apply(bench):
    class Base(Task):
        def on_success(self, *_):
            raise KeyError("hook")

    @bench.app.task(base=Base)
    def work(): ...

    with pytest.raises(KeyError, match="hook"):
        work.apply()
    result = work.delay()
    bench.run()
    assert result.successful()


def test_eager_tasks_know_where_they_come_from(bench):
    bench.app.conf.task_always_eager = True

    @bench.app.task(bind=True)
    def inner(self):
        return [self.request.parent_id, self.request.root_id]

    @bench.app.task(bind=True)
    def outer(self):
        return [self.request.id, *inner.delay().get()]

    task_id, parent, root = outer.delay().get()
    assert task_id == parent == root


# -- models -------------------------------------------------------------------------------------------------------
pydantic = pytest.importorskip("pydantic")


class Order(pydantic.BaseModel):
    number: int
    when: dt.date | None = None


def test_models(bench):
    kinds = []

    @bench.app.task(pydantic=True, name="ship")
    def ship(order: Order, other: Optional[Order] = None, n: int = 0) -> Order:  # noqa: UP045
        kinds.append([type(order), type(other), type(n)])
        return Order(number=order.number + n)

    result, wrong = ship.delay(Order(number=1), other={"number": 2}, n=3), ship.delay({"number": "many"})
    with pytest.raises(TypeError):
        ship.delay()
    bench.run()
    assert kinds == [[Order, Order, int]]
    assert result.get() == {"number": 4, "when": None}
    with pytest.raises(Exception, match="valid integer"):
        wrong.get()
    assert "many" not in str(wrong.result)  # arguments are not told


def test_models_without_pydantic(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(ImproperlyConfigured, match="pip install pydantic"):
        bench.app.task(name="work", pydantic=True)(lambda order: None).delay(1)


def test_small_things(bench):
    @bench.app.task(bind=True)
    def work(self):
        self.send_event("task-custom", n=1)
        return self.backend.as_uri()

    assert work.apply().get() == bench.app.backend.as_uri()
    with pytest.raises(ImproperlyConfigured, match="one store"):
        work.backend = object()

    @shared_task(bind=True)
    def shared(self):
        return self.app

    app = Smallage("other", broker="memory://")
    assert shared.app is app
    app.close()
