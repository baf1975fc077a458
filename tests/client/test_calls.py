"""Pushing tasks: what `delay` and `apply_async` accept, refuse and put into the store."""

from __future__ import annotations

import datetime as dt
import logging

import pytest

from smallage import Smallage
from smallage.core import codec
from smallage.core.errors import (
    EncodeError,
    ImproperlyConfigured,
    OperationalError,
    PayloadTooLarge,
    PushConflict,
    QueueNotFound,
    StoreUnavailable,
)
from smallage.core.message import Done, is_uuid
from smallage.stores import base
from smallage.testing import FaultyStore
from smallage.testing.wrapper import Wrapper
from tests.client.bench import Bench


@pytest.fixture
def add(bench):
    @bench.app.task
    def add(a, b=1):
        return a + b

    return add


def test_a_call_reaches_a_worker(bench, add):
    result = add.delay(2, b=3)
    assert is_uuid(result.id)
    assert result.state == "PENDING"
    bench.run()
    assert result.get() == 5
    assert result.state == "SUCCESS"


def test_it_works_with_no_worker_alive(bench, add):
    results = [add.delay(n) for n in range(10)]
    assert all(not result.ready() for result in results)
    bench.run()
    assert [result.get() for result in results] == list(range(1, 11))


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"c": 1}), ((1,), {"a": 1})])
def test_arguments_must_fit_the_function(bench, add, args, kwargs):
    with pytest.raises(TypeError, match=r"test_calls\.add\(a, b=1\)"):
        add.delay(*args, **kwargs)
    with pytest.raises(TypeError):
        add.apply_async(args, kwargs)
    assert bench.claim() == []


def test_arguments_must_be_able_to_travel(bench, add):
    with pytest.raises(EncodeError, match="argument 'b'"):
        add.delay(1, object())
    assert bench.claim() == []


def test_typing_false_leaves_the_arguments_to_the_worker(bench):
    @bench.app.task(typing=False)
    def lax(a):
        return a

    result = lax.delay(1, 2)
    bench.run()
    assert isinstance(result.get(propagate=False), TypeError)


def test_args_must_be_a_sequence_and_kwargs_a_mapping(add):
    for wrong in ("ab", {"a": 1}, 5):
        with pytest.raises(TypeError, match="args must be"):
            add.apply_async(wrong)
    with pytest.raises(TypeError, match="kwargs must be"):
        add.apply_async((1,), [2])
    assert add.apply_async(iter([1])).state == "PENDING"


def test_options_reach_the_store(bench, add):
    result = add.apply_async(
        (1,), countdown=60, queue="other", priority=4, task_id="order-17", headers={"trace": "t"}, time_limit=9
    )
    assert result.id == "order-17"
    view = bench.store.state(["order-17"])[0]
    assert (view.state, view.queue, view.priority) == ("scheduled", "other", 4)
    assert view.due_us == bench.clock.now_us + 60_000_000
    bench.later(61)
    (claim,) = bench.claim(1, "other")
    args, kwargs, extras = codec.decode_payload(claim.payload)
    assert (args, kwargs, extras) == ([1], {}, {"h": {"trace": "t"}, "l": [None, 9], "d": 60_000_000})


def test_a_task_that_expired_is_not_run(bench, add):
    result = add.apply_async((1,), expires=5)
    bench.later(6)
    (claim,) = bench.claim()
    assert (claim.after, claim.reason) == (result.id, "expired")
    assert bench.execute(claim) == Done()
    assert result.state == "REVOKED"
    with pytest.raises(Exception, match="expired"):
        result.get()


def test_the_tasks_own_options(bench):
    @bench.app.task(
        queue="mail", priority=2, expires=dt.timedelta(minutes=1), max_crashes=1, reject_on_worker_lost=None
    )
    def mail(): ...

    bench.app.tasks[mail.name].delay()
    claims = bench.claim(1, "mail")
    assert claims[0].priority == 2
    assert claims[0].expires_us == bench.clock.now_us + 60_000_000
    assert mail.current().envelope.max_crashes == 1


def test_options_can_be_changed_later(bench, add):
    add.delay(1)
    add.queue = "slow"
    add.delay(2)
    bench.app.conf.task_default_priority = 7
    add.delay(3)
    assert len(bench.claim(10)) == 1
    assert [claim.priority for claim in bench.claim(10, "slow")] == [0, 7]


def test_reject_on_worker_lost_false_leaves_no_budget(bench):
    @bench.app.task(reject_on_worker_lost=False)
    def fragile(): ...

    envelope = fragile.current().envelope
    assert (envelope.max_crashes, envelope.max_lost) == (0, 0)


def test_routes(bench):
    bench.app.conf.task_routes = {"video.*": {"queue": "video", "priority": 5}}

    @bench.app.task(name="video.cut", queue="own")
    def cut(): ...

    cut.delay()
    cut.apply_async(queue="call")
    assert [claim.priority for claim in bench.claim(9, "video")] == [5]
    assert len(bench.claim(9, "call")) == 1


def test_routes_by_function_see_each_call(bench, add):
    def by_size(name, args, kwargs, options, task=None, **more):
        return {"queue": "big"} if args[0] > 100 else None

    bench.app.conf.task_routes = [by_size]
    add.delay(1)
    add.delay(1000)
    assert len(bench.claim(9)) == 1
    assert len(bench.claim(9, "big")) == 1


def test_unknown_queues_can_be_refused(bench, add):
    bench.app.conf.update(task_queues=["a", "b"], task_create_missing_queues=False)
    add.apply_async((1,), queue="a")
    add.delay(1)
    with pytest.raises(QueueNotFound, match="'c'"):
        add.apply_async((1,), queue="c")


def test_an_id_given_twice(bench, add):
    add.apply_async((1,), task_id="x")
    add.apply_async((1,), task_id="x")
    with pytest.raises(PushConflict, match="other arguments"):
        add.apply_async((2,), task_id="x")
    assert len(bench.run()) == 1


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"countdwn": 1}, TypeError),
        ({"priority": 11}, ValueError),
        ({"soft_time_limit": 9, "time_limit": 3}, ValueError),
        ({"task_id": "a\nb"}, ImproperlyConfigured),
        ({"link": "x"}, ImproperlyConfigured),
        ({"countdown": -5}, ValueError),
    ],
)
def test_options_that_cannot_work(bench, add, options, kind):
    with pytest.raises(kind):
        add.apply_async((1,), **options)
    assert bench.claim() == []


def test_payloads_are_bounded(bench, add, caplog):
    with pytest.raises(PayloadTooLarge, match="pass its key"):
        add.delay("x" * 2**20)
    with caplog.at_level(logging.WARNING, "smallage"):
        add.delay("x" * 300_000)
    assert "large ones slow the store down" in caplog.text
    assert "xxx" not in caplog.text
    bench.app.conf.task_payload_limit = 2**21
    add.delay("x" * 2**20)


def test_send_task_by_name(bench, add):
    bench.app.conf.task_routes = {"elsewhere.*": "far"}
    result = bench.app.send_task(add.name, (1, 2), priority=3)
    far = bench.app.send_task("elsewhere.job", kwargs={"x": 1})
    (claim,) = bench.claim(1, "far")
    assert claim.id == far.id
    assert bench.step() is not None
    assert result.get() == 3
    with pytest.raises(ImproperlyConfigured):
        bench.app.send_task("../../x")


def test_many_independent_tasks_in_few_round_trips(bench, add):
    store = Counting(bench.store)
    bench.app.use_store(store)
    results = add.delay_many(((n, 1) for n in range(2500)), priority=2)
    assert len(results) == 2500
    assert store.pushes == [1000, 1000, 500]
    assert len({result.id for result in results}) == 2500
    with pytest.raises(TypeError, match="Row 1: "):
        add.delay_many([(1,), (1, 2, 3)])
    with pytest.raises(TypeError, match="Row 0 is a bare int"):
        add.delay_many([5])
    with pytest.raises(EncodeError, match="Row 1: argument 'a'"):
        add.delay_many([(1,), (object(),)])
    assert add.delay_many([{"a": 1, "b": 2}])[0].state == "PENDING"


class Counting(Wrapper):
    """Counts the messages of each push."""

    def __init__(self, store):
        super().__init__(store)
        self.pushes = []

    def around(self, verb, act, args, kwargs):
        if verb == "push":
            self.pushes.append(len(args[0]))
        return act(*args, **kwargs)


@pytest.fixture
def pauses(monkeypatch):
    """What the client would have slept between its tries."""
    slept: list[float] = []
    monkeypatch.setattr("smallage.app.patience.time.sleep", slept.append)
    return slept


def test_a_store_that_is_away_for_a_moment(bench, add, pauses):
    store = FaultyStore(bench.store)
    bench.app.use_store(store)
    store.fail("push", times=2)
    result = add.delay(1)
    assert pauses == [0.0, 0.2]
    assert len(bench.run()) == 1
    assert result.get() == 2


def test_a_lost_reply_does_not_double_the_task(bench, add, pauses):
    store = FaultyStore(bench.store)
    bench.app.use_store(store)
    store.fail("push", after=True, times=1)
    add.delay(1)
    assert len(bench.run()) == 1


def test_a_store_that_stays_away(bench, add, pauses):
    store = FaultyStore(bench.store)
    bench.app.use_store(store)
    store.fail("push", times=None)
    with pytest.raises(StoreUnavailable, match="Check that it runs") as refusal:
        add.delay(1)
    assert isinstance(refusal.value, OperationalError)
    assert pauses == [0.0, 0.2, 0.4]
    pauses.clear()
    with pytest.raises(StoreUnavailable):
        add.apply_async((1,), retry=False)
    assert pauses == []
    with pytest.raises(StoreUnavailable):
        add.apply_async((1,), retry_policy={"max_retries": 1, "interval_start": 5, "interval_max": 3})
    assert pauses == [3.0]


def test_a_store_that_never_answers_is_not_asked_for_minutes(bench, add, pauses, monkeypatch):
    """Each attempt costs the store's own time-outs."""
    clock = [0.0]
    monkeypatch.setattr("smallage.app.patience.time.monotonic", lambda: clock[0])

    def silent(messages):
        clock[0] += 6.0
        raise StoreUnavailable("no answer in time")

    monkeypatch.setattr(bench.app.store, "push", silent)
    with pytest.raises(StoreUnavailable, match="Check that it runs"):
        add.delay(1)
    assert (clock, pauses) == ([12.0], [0.0])
    clock[0] = 0.0
    pauses.clear()
    with pytest.raises(StoreUnavailable):
        add.apply_async((1,), retry_policy={"max_retries": 4, "interval_start": 10, "interval_max": 10})
    assert (clock, pauses) == ([30.0], [10.0] * 4)


def test_the_url_in_an_error_has_no_password():
    app = Smallage("shop", broker="amqp://user:secret@host", set_as_current=False)
    with pytest.raises(ImproperlyConfigured) as refusal:
        _ = app.store
    assert "secret" not in str(refusal.value)
    assert base.SCHEMES


def test_ignored_results(bench):
    @bench.app.task(ignore_result=True)
    def quiet():
        return object()  # not looked at

    result = quiet.delay()
    assert result.get() is None
    bench.run()
    assert (result.state, result.ready()) == ("PENDING", True)
    assert result.ignored
    kept = quiet.apply_async(ignore_result=False)
    bench.run()
    assert isinstance(kept.get(propagate=False), EncodeError)


def test_settings_that_have_no_effect_are_told_once(caplog):
    bench = Bench(broker_heartbeat=5)
    app = Smallage("shop", broker="memory://", broker_heartbeat=5, set_as_current=False)
    with caplog.at_level(logging.INFO, "smallage"):
        app.store.counts()
        app.store.counts()
    assert caplog.text.count("broker_heartbeat has no effect") == 1
    app.close()
    bench.app.close()
