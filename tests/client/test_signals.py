"""Hooks and signals: who hears of a run, in which order."""

from __future__ import annotations

import gc

import pytest

from smallage import Task, chord, current_task, group, signals
from smallage.core import codec
from smallage.core.errors import Ignore, PushConflict
from smallage.core.message import Envelope, Message
from smallage.signals import Signal


@pytest.fixture
def heard(bench):
    """Everything that hooks and signals say, in order; the base class of the task to run."""
    said: list = []

    class Base(Task):
        def before_start(self, task_id, args, kwargs):
            said.append(("before_start", args, kwargs))

        def on_success(self, retval, task_id, args, kwargs):
            said.append(("on_success", retval))

        def on_failure(self, exc, task_id, args, kwargs, einfo):
            said.append(("on_failure", type(exc).__name__, "Traceback" in einfo.traceback, einfo.type is type(exc)))

        def on_retry(self, exc, task_id, args, kwargs, einfo):
            said.append(("on_retry", type(exc).__name__))

        def after_return(self, status, retval, task_id, args, kwargs, einfo):
            said.append(("after_return", status))

    connected = []
    for name in ("task_prerun", "task_postrun", "task_success", "task_failure", "task_retry"):

        def receiver(name=name, **named):
            said.append((name, named.get("state")))

        getattr(signals, name).connect(receiver, weak=False, dispatch_uid="test")
        connected.append(getattr(signals, name))
    yield said, Base
    for signal in connected:
        assert signal.disconnect(dispatch_uid="test")
    assert not signals.hearing


def test_a_success(bench, heard):
    said, base = heard

    @bench.app.task(base=base)
    def work(a, b=0):
        said.append("body")
        return a

    work.delay(1, b=2)
    bench.run()
    assert said == [
        ("task_prerun", None),
        ("before_start", [1], {"b": 2}),
        "body",
        ("on_success", 1),
        ("task_success", None),
        ("after_return", "SUCCESS"),
        ("task_postrun", "SUCCESS"),
    ]


def test_a_failure(bench, heard):
    said, base = heard

    @bench.app.task(base=base)
    def work():
        raise KeyError("x")

    work.delay()
    bench.run()
    assert said[2:] == [
        ("on_failure", "KeyError", True, True),
        ("task_failure", None),
        ("after_return", "FAILURE"),
        ("task_postrun", "FAILURE"),
    ]


def test_a_retry(bench, heard):
    said, base = heard

    @bench.app.task(base=base, bind=True)
    def work(self):
        raise self.retry(exc=KeyError("x"), countdown=5)

    work.delay()
    bench.run()
    assert said[2:] == [("on_retry", "KeyError"), ("task_retry", None), ("task_postrun", "RETRY")]


def test_an_ignored_end_has_no_after_return(bench, heard):
    said, base = heard

    @bench.app.task(base=base)
    def work():
        raise Ignore

    work.delay()
    bench.run()
    assert said[2:] == [("task_postrun", "IGNORED")]


def test_what_before_start_raises_fails_the_task(bench):
    class Base(Task):
        def before_start(self, task_id, args, kwargs):
            raise KeyError("not ready")

    @bench.app.task(base=Base)
    def work(): ...

    result = work.delay()
    bench.run()
    assert isinstance(result.get(propagate=False), KeyError)


def test_what_later_hooks_raise_changes_nothing(bench, caplog):
    class Base(Task):
        def on_success(self, *args):
            raise KeyError("hook")

        after_return = on_success

    @bench.app.task(base=Base)
    def work():
        return 1

    result = work.delay()
    bench.run()
    assert result.get() == 1
    assert "on_success of" in caplog.text
    assert "after_return of" in caplog.text


def test_a_subclasss_call_wraps_the_body(bench):
    """As Flask's example does it."""
    entered = []

    class ContextTask(Task):
        def __call__(self, *args, **kwargs):
            entered.append(self.request.id)
            return self.run(*args, **kwargs)

    class Supering(Task):
        def __call__(self, *args, **kwargs):
            return [super().__call__(*args, **kwargs)]

    @bench.app.task(base=ContextTask, bind=True)
    def one(self):
        return self.request.id

    @bench.app.task(base=Supering, bind=True)
    def two(self):
        return self.request.id

    first, second = one.delay(), two.delay()
    bench.run()
    assert first.get() == first.id
    assert second.get() == [second.id]
    assert entered == [first.id]


@pytest.mark.parametrize("good", [True, False])
def test_what_fails_around_a_body_is_an_internal_error(bench, good):
    told = []

    def tell(sender, **named):
        told.append((sender.name, sorted(named), named["task_id"], named["args"]))

    @bench.app.task(name="work")
    def work(n):
        return n if good else 1 / 0

    signals.task_internal_error.connect(tell)
    try:
        payload = codec.encode_payload((5,), {}, {"n": ["no chain"]})
        bench.store.push([Message("broken", payload, Envelope(name="work"))])
        bench.run()
    finally:
        signals.task_internal_error.disconnect(tell)
    names = ["args", "einfo", "exception", "kwargs", "request", "signal", "task_id", "traceback"]
    assert told[0] == ("work", names, "broken", [5])  # the step after it is not there to be found
    assert bench.app.AsyncResult("broken").state == "FAILURE"


def test_receivers():
    signal = Signal("test")
    got = []

    def any_sender(**named):
        got.append(named)

    @signal.connect(sender="a")
    def one_sender(sender, **named):
        raise ValueError(sender)

    signal.connect(any_sender)
    signal.connect(any_sender)
    assert len(signal.receivers) == 2
    answers = signal.send("a", x=1)
    assert [type(answer) for _, answer in answers] == [ValueError, type(None)]
    assert got == [{"signal": signal, "sender": "a", "x": 1}]
    assert len(signal.send("b")) == 1
    assert signal.disconnect(any_sender)
    assert not signal.disconnect(any_sender)
    assert "test" in repr(signal)


def test_weak_receivers_are_forgotten():
    signal = Signal("test")

    class Owner:
        def method(self, **named):
            return "heard"

    owner = Owner()
    signal.connect(owner.method)
    signal.connect(lambda **named: None)
    gc.collect()
    assert [answer for _, answer in signal.send("x")] == ["heard"]
    del owner
    gc.collect()
    assert signal.send("x") == []
    assert signal.receivers == []


# -- publishing ---------------------------------------------------------------------------------------------------
@pytest.fixture
def published():
    """What the two signals of a push said; `change` is called with the headers of each."""

    class Heard(list):
        change = staticmethod(lambda headers: None)

    said = Heard()

    def before(sender, headers, body, routing_key, **_):
        said.append(("before", sender, headers["id"], body[:2], routing_key))
        said.change(headers)

    def after(sender, headers, body, **_):
        said.append(("after", sender, headers["id"], body[0], headers.get("trace")))

    signals.before_task_publish.connect(before, weak=False, dispatch_uid="test")
    signals.after_task_publish.connect(after, weak=False, dispatch_uid="test")
    yield said
    assert signals.before_task_publish.disconnect(dispatch_uid="test")
    assert signals.after_task_publish.disconnect(dispatch_uid="test")


@pytest.fixture
def show(bench):
    @bench.app.task(bind=True, name="show")
    def show(self, *args, **kwargs):
        return self.request.headers

    return show


def test_a_push_is_told_before_and_after(bench, show, published):
    result = show.apply_async((1,), {"b": 2}, queue="mail")
    assert published == [
        ("before", "show", result.id, ([1], {"b": 2}), "mail"),
        ("after", "show", result.id, [1], None),
    ]


def test_headers_that_a_receiver_adds_travel(bench, show, published):
    published.change = lambda headers: headers.update(trace="t1", id="ignored")
    bare, own = show.delay(), show.apply_async(headers={"mine": 1, "trace": "t0"})
    many = show.fan_out([(1,), (2,)])
    bench.run()
    assert bare.get() == {"trace": "t1"}
    assert own.get() == {"mine": 1, "trace": "t1"}
    assert many.get() == [{"trace": "t1"}] * 2
    assert [one[0] for one in published] == ["before", "after"] * 3
    assert published[-1][2] == many.id
    assert {one[4] for one in published if one[0] == "after"} == {"t1"}


def test_a_receiver_may_take_headers_away(bench, show, published):
    published.change = lambda headers: headers.pop("mine", None)
    result = show.apply_async(headers={"mine": 1})
    bench.run()
    assert result.get() is None


def test_a_repeated_run_pushes_the_same_whatever_receivers_add(bench, show, published):
    traces = iter("abcdef")
    published.change = lambda headers: headers.update(trace=next(traces))

    @bench.app.task(name="foreman")
    def foreman():
        return show.delay(1).id

    foreman.delay()
    (claim,) = bench.claim()
    first, second = bench.execute(claim), bench.execute(claim)
    assert first == second
    (child,) = bench.claim()
    assert child.id == codec.decode_result(first.result)
    bench.settle(child, bench.execute(child))
    assert bench.app.AsyncResult(child.id).get() == {"trace": "b"}  # what the first run said; the foreman had "a"


def test_an_id_that_a_task_chooses_is_still_one_task(bench, show, published):
    traces = iter("abcdef")
    published.change = lambda headers: headers.update(trace=next(traces))

    @bench.app.task(name="foreman")
    def foreman():
        show.apply_async((1,), task_id="chosen")
        with pytest.raises(PushConflict):
            show.apply_async((2,), task_id="chosen")
        return "ended"

    foreman.delay()
    (claim,) = bench.claim()
    assert bench.execute(claim) == bench.execute(claim)
    (chosen,) = bench.claim()
    bench.settle(chosen, bench.execute(chosen))
    assert bench.app.AsyncResult("chosen").get() is None  # what receivers change does not stay


def test_headers_that_a_receiver_adds_travel_with_what_tasks_send(bench, show, published):
    """A request's id that is handed on, as programs do it: the receiver asks the running task for it."""

    def hand_on(headers):
        headers.setdefault("rid", getattr(current_task.request, "rid", None) if current_task else "outside")

    published.change = hand_on

    @bench.app.task(name="foreman")
    def foreman():
        return [show.delay().id, show.s().apply_async(countdown=0).id, bench.app.send_task("show").id]

    @bench.app.task(name="failing")
    def failing():
        raise ValueError

    @bench.app.task(bind=True, name="replacing")
    def replacing(self):
        raise self.replace(show.s())

    sent = foreman.apply_async(headers={"rid": "first"})
    bare = foreman.delay()
    steps = (show.si() | show.si() | show.si()).apply_async(headers={"rid": "second"})
    failed = failing.apply_async(headers={"rid": "third"}, link_error=show.si().set(task_id="after"))
    other = replacing.apply_async(headers={"rid": "fourth"})
    bench.run()
    assert [bench.app.AsyncResult(one).get() for one in sent.get()] == [{"rid": "first"}] * 3
    assert [bench.app.AsyncResult(one).get() for one in bare.get()] == [{"rid": "outside"}] * 3
    assert (steps.get(), steps.parent.get()) == ({"rid": "second"}, {"rid": "second"})
    failed.get(propagate=False)
    assert bench.app.AsyncResult("after").get() == {"rid": "third"}
    assert other.get() == {"rid": "fourth"}


@pytest.mark.parametrize("shape", ["chord", "group", "like", "chain"])
def test_a_repeated_run_sends_a_workflow_once(bench, show, published, shape):
    traces = iter(range(1000))
    published.change = lambda headers: headers.update(trace=next(traces))

    @bench.app.task(name="gather")
    def gather(values):
        return values

    @bench.app.task(name="foreman")
    def foreman():
        made = {
            "chord": lambda: chord([show.si() | show.si(), show.si(1)], gather.s()),
            "group": lambda: group(show.si(1).set(priority=2), show.si(2)),
            "like": lambda: group(show.si(1), show.si(2), show.si(3)),
            "chain": lambda: show.si() | show.si(),
        }[shape]()
        return made.apply_async().id

    foreman.delay()
    (claim,) = bench.claim()
    first, second = bench.execute(claim), bench.execute(claim)
    assert first == second
    sent = codec.decode_result(first.result)
    bench.settle(claim, second)
    bench.run()
    of_group = shape in ("group", "like")
    found = bench.app.GroupResult(sent).get() if of_group else bench.app.AsyncResult(sent).get()
    told = found if isinstance(found, list) else [found]
    assert all(isinstance(one["trace"], int) for one in told)
    assert bench.app.store.counts().get("celery", {}).get("ready", 0) == 0


def test_a_push_that_was_refused_is_not_told_as_done(bench, show, published):
    show.apply_async((1,), task_id="taken")
    with pytest.raises(PushConflict):
        show.apply_async((2,), task_id="taken")
    assert [one[0] for one in published] == ["before", "after", "before"]


def test_properties_that_a_receiver_changes_travel(bench):
    @bench.app.task(bind=True, name="show")
    def show(self):
        return [self.request.delivery_info["priority"], self.request.properties.get("trace")]

    seen = {}

    def before(properties, headers, **named):
        seen.update(headers)
        assert (properties["priority"], named["declare"], named["exchange"]) == (0, [], "")
        properties.update(priority=7, trace="t1", correlation_id="ignored")

    signals.before_task_publish.connect(before, weak=False, dispatch_uid="test")
    try:
        result = show.apply_async((), {}, time_limit=9, headers={"mine": 1})
    finally:
        signals.before_task_publish.disconnect(dispatch_uid="test")
    bench.run()
    assert result.get() == [7, "t1"]
    assert (seen["id"], seen["task"], seen["argsrepr"], seen["kwargsrepr"]) == (result.id, "show", "()", "{}")
    assert (seen["root_id"], seen["timelimit"], seen["mine"], seen["ignore_result"]) == (result.id, [9, None], 1, False)


def test_a_receiver_that_is_called_again(monkeypatch, caplog):
    pauses: list[float] = []
    monkeypatch.setattr("smallage.signals.time.sleep", pauses.append)
    signal, calls = Signal("test"), []

    @signal.connect(retry=True, weak=False)
    def third_time_lucky(**_):
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("not yet")
        return "well"

    assert [answer for _, answer in signal.send("x")] == ["well"]
    assert pauses == [2, 4]
    assert "is called again in 2 s" in caplog.text
    assert "not yet" not in caplog.text


def test_one_receiver_of_a_name():
    signal = Signal("test")
    signal.connect(lambda **_: 1, weak=False, dispatch_uid="one")
    signal.connect(lambda **_: 2, weak=False, dispatch_uid="one")
    assert [answer for _, answer in signal.send("x")] == [1]
    assert signal.has_listeners()
    assert signal.disconnect(None, None, None, "one")
    assert not signal.has_listeners()


def test_a_sender_of_ones_own():
    signal = Signal("test")
    signal.connect(lambda **_: 1, sender="celery@w1", weak=False)
    assert not signal.has_listeners("celery@w2")
    assert signal.send("celery@w2") == []
    assert len(signal.send("celery@w1")) == 1


CELERYS = [
    "after_setup_logger",
    "after_setup_task_logger",
    "after_task_publish",
    "beat_embedded_init",
    "beat_init",
    "before_task_publish",
    "celeryd_after_setup",
    "celeryd_init",
    "eventlet_pool_apply",
    "eventlet_pool_postshutdown",
    "eventlet_pool_preshutdown",
    "eventlet_pool_started",
    "heartbeat_sent",
    "import_modules",
    "setup_logging",
    "task_failure",
    "task_internal_error",
    "task_postrun",
    "task_prerun",
    "task_received",
    "task_rejected",
    "task_retry",
    "task_revoked",
    "task_sent",
    "task_success",
    "task_unknown",
    "user_preload_options",
    "worker_before_create_process",
    "worker_init",
    "worker_process_init",
    "worker_process_shutdown",
    "worker_ready",
    "worker_shutdown",
    "worker_shutting_down",
]


@pytest.mark.parametrize("name", CELERYS)
def test_every_signal_of_celerys_can_be_connected(name):
    signal = getattr(signals, name)
    assert isinstance(signal, Signal)
    assert signal.name == name
