"""Every way in which a body can end, and what the store is told about it."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import logging

import pytest

from smallage import Smallage, run
from smallage.app import new_id
from smallage.core import codec
from smallage.core.errors import (
    EncodeError,
    Ignore,
    PayloadTooLarge,
    Reject,
    SoftTimeLimitExceeded,
    StoreUnavailable,
    TimeLimitExceeded,
    WorkerLostError,
)
from smallage.core.message import Cancelled, Claim, Crashed, Done, Failed, Message, Parked, Snooze
from smallage.result import restored
from smallage.stores.base import GroupBatch
from smallage.testing import FaultyStore


def outcome_of(bench, body, *args, **options):
    """The outcome of a function run as a task."""
    task = bench.app.task(name="case", **options)(body)
    task.apply_async(args)
    (claim,) = bench.claim()
    return bench.execute(claim)


def raiser(error):
    def body():
        raise error

    return body


def error_in(outcome):
    assert isinstance(outcome, (Failed, Crashed))
    return restored(outcome.error)[0]


def test_a_value(bench):
    assert outcome_of(bench, lambda: {"a": [1, None]}) == Done(codec.encode_value({"a": [1, None]}))


def test_nothing(bench):
    assert outcome_of(bench, lambda: None) == Done(None)


def test_an_exception(bench, caplog):
    outcome = outcome_of(bench, raiser(ValueError("no", 3)))
    error, traceback = restored(outcome.error)
    assert (type(error), error.args) == (ValueError, ("no", 3))
    assert outcome.reason == "failed"
    assert traceback is not None
    assert "test_run.py" in traceback
    assert "smallage/run" not in traceback
    assert "raised unexpected: ValueError" in caplog.text
    (record,) = caplog.records
    assert record.exc_info[1].args == ("no", 3)
    assert "no" not in record.getMessage()
    assert (record.task_name, record.queue) == ("case", "celery")


def test_expected_exceptions_are_no_alarm(bench, caplog):
    with caplog.at_level(logging.INFO, "smallage"):
        outcome_of(bench, raiser(KeyError("x")), throws=(KeyError,))
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "Traceback" not in caplog.text


def test_causes_are_in_the_traceback(bench):
    def body():
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    traceback = restored(outcome_of(bench, body).error)[1]
    assert traceback is not None
    assert "direct cause" in traceback
    assert "KeyError: 'first'" in traceback


def test_ignore(bench):
    assert outcome_of(bench, raiser(Ignore())) == Done(codec.encode_mark("IGNORED", None))


def test_ignore_keeps_a_state_of_its_own(bench):
    def body(self):
        self.update_state(state="SKIPPED", meta={"why": "old"})
        raise Ignore

    assert outcome_of(bench, body, bind=True) == Done(codec.encode_mark("SKIPPED", {"why": "old"}))


def test_reject(bench):
    outcome = outcome_of(bench, raiser(Reject("bad row")))
    assert isinstance(error_in(outcome), Reject)


def test_reject_with_requeue_is_spaced_out(bench):
    assert outcome_of(bench, raiser(Reject("later", requeue=True))) == Snooze(0)
    task = bench.app.tasks["case"]
    task.delay()
    for wait in (0, 1_000_000, 2_000_000):
        (claim,) = bench.claim()
        outcome = bench.execute(claim)
        assert outcome == Snooze(wait)
        bench.settle(claim, outcome)
        bench.later(wait / 1e6)


def test_leaving_the_interpreter_counts_as_a_crash(bench):
    for error in (SystemExit(1), KeyboardInterrupt()):
        outcome = run.ended(bench.app, claim_of(bench), error, bench.worker)
        assert isinstance(outcome, Crashed)
        assert isinstance(error_in(outcome), WorkerLostError)
    assert isinstance(outcome_of(bench, raiser(SystemExit(1))), Crashed)


def claim_of(bench):
    task = bench.app.tasks.get("plain") or bench.app.task(name="plain")(lambda: None)
    task.delay()
    return bench.claim()[0]


def test_a_soft_limit_that_nobody_catches(bench):
    assert isinstance(error_in(outcome_of(bench, raiser(SoftTimeLimitExceeded(3)))), SoftTimeLimitExceeded)


def test_a_hard_limit(bench):
    outcome = outcome_of(bench, raiser(run.HardTimeout()), time_limit=7)
    error = error_in(outcome)
    assert (type(error), error.args) == (TimeLimitExceeded, (7,))


def test_termination(bench):
    assert outcome_of(bench, raiser(run.Terminated())) == Cancelled(reason="terminated")


def test_any_other_base_exception_is_a_failure(bench):
    class Odd(BaseException):
        pass

    assert error_in(outcome_of(bench, raiser(Odd("x")))).exc_type.endswith("Odd")
    assert isinstance(outcome_of_again(bench, raiser(GeneratorExit())), Failed)


def outcome_of_again(bench, body):
    del bench.app.tasks["case"]
    return outcome_of(bench, body)


def test_an_unknown_name_is_parked(bench):
    bench.app.send_task("not.here")
    (claim,) = bench.claim()
    assert bench.execute(claim) == Parked()
    assert run.is_async(bench.app, claim) is None
    assert run.limits(bench.app, claim) == (None, None)


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x91" * 100_000, codec.encode_value({"a": 1}), b"\x93\x90\x80\xc0"]
)
def test_a_payload_that_cannot_be_read(bench, payload):
    task = bench.app.task(name="case")(lambda: None)
    bench.store.push([Message("x", payload, task.current().envelope)])
    (claim,) = bench.claim()
    assert run.limits(bench.app, claim) == (None, None)
    outcome = bench.execute(claim)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "undecodable"


def test_arguments_that_do_not_fit_fail_the_task(bench):
    task = bench.app.task(name="case")(lambda a: a)
    bench.store.push([Message("x", codec.encode_payload((1, 2)), task.current().envelope)])
    assert isinstance(error_in(bench.step()), TypeError)


def test_a_result_that_cannot_travel(bench):
    outcome = outcome_of(bench, lambda: {"when": object()})
    error = error_in(outcome)
    assert isinstance(error, EncodeError)
    assert "['when']" in str(error)
    assert "return JSON types" in str(error)


def test_a_result_that_is_too_large(bench):
    error = error_in(outcome_of(bench, lambda: "x" * 2**20))
    assert isinstance(error, PayloadTooLarge)
    assert "results of case" in str(error)


def test_an_early_acknowledgement(bench):
    class Worker(run.LocalContext):
        may = True

        def start_once(self, claim):
            order.append("marked")
            return self.may

    order = []

    @bench.app.task(ack="early", name="once")
    def once(fail=False):
        order.append("run")
        if fail:
            raise ValueError("seen")
        return 5

    worker = Worker()
    good, bad = once.delay(), once.delay(fail=True)
    for claim in bench.claim(2):
        assert bench.settle(claim, run.execute(bench.app, claim, worker)) == "ok"
    assert order == ["marked", "run", "marked", "run"]
    assert good.get() == 5
    with pytest.raises(ValueError, match="seen"):
        bad.get()
    order.clear()
    worker.may = False
    once.delay()
    assert run.execute(bench.app, bench.claim()[0], worker) == Snooze(run.STORE_AWAY_US)
    assert order == ["marked"]


@pytest.mark.parametrize("options", [{"ack": "early"}, {"acks_late": False}, {}])
def test_at_most_once_has_no_second_run(bench, options):
    bench.app.conf.task_acks_late = None if options else False

    @bench.app.task(name="once", **options)
    def once():
        raise AssertionError("must not run")

    results = [once.delay(), bench.app.send_task("once")]
    for claim in bench.claim(2):
        assert bench.settle(claim, Crashed()) == "ok"
    assert bench.claim(2) == []
    for result in results:
        with pytest.raises(WorkerLostError):
            result.get()


def test_at_most_once_holds_against_a_senders_budget(bench):
    """The sender did not know the task, so its message allows crashes."""
    elsewhere = Smallage("elsewhere", set_as_current=False)
    elsewhere.use_store(bench.store)
    result = elsewhere.send_task("once")
    ran = []

    @bench.app.task(name="once", ack="early")
    def once():
        ran.append(1)

    assert bench.settle(bench.claim()[0], Crashed()) == "ok"
    bench.run()
    assert ran == []
    with pytest.raises(WorkerLostError, match="early"):
        result.get()


def test_acks_late_false_is_early(bench):
    @bench.app.task(acks_late=False)
    def once(): ...

    assert once.current().ack == "early"
    bench.app.conf.task_acks_late = True
    assert once.current().ack == "early"
    assert once.current().envelope.max_crashes == 0


def test_a_task_may_be_safer_than_the_settings(bench):
    bench.app.conf.task_acks_late = False

    @bench.app.task(acks_late=True)
    def again(): ...

    envelope = again.current().envelope
    assert (envelope.max_crashes, envelope.max_lost) == (3, 10)


def test_the_store_is_away_when_a_body_needs_its_group(bench):
    @bench.app.task
    def member(): ...

    @bench.app.task
    def body(values): ...

    from smallage import chord

    chord([member.s()], body.s()).apply_async()
    bench.step()
    (claim,) = bench.claim()
    store = FaultyStore(bench.store)
    bench.app.use_store(store)
    store.fail("results", times=1)
    assert bench.execute(claim) == Snooze(run.STORE_AWAY_US)
    assert isinstance(bench.execute(claim), Done)


def test_an_error_of_the_store_in_the_body_is_the_bodys(bench):
    assert isinstance(error_in(outcome_of(bench, raiser(StoreUnavailable("x")))), StoreUnavailable)


def test_limits(bench):
    @bench.app.task(soft_time_limit=5)
    def limited(): ...

    bench.app.conf.task_time_limit = 60
    limited.delay()
    limited.apply_async(time_limit=10)
    limited.apply_async(time_limit=None, soft_time_limit=None, headers={"a": 1})
    found = [run.limits(bench.app, claim) for claim in bench.claim(3)]
    assert found == [(5, 60), (5, 10), (None, None)]


def test_async_bodies(bench):
    @bench.app.task(bind=True)
    async def wait(self, n):
        await asyncio.sleep(0)
        return [n, self.request.id]

    result = wait.delay(4)
    (claim,) = bench.claim()
    assert run.is_async(bench.app, claim) is True
    assert bench.execute(claim) == Done(codec.encode_value([4, result.id]))


def test_async_bodies_see_their_own_request(bench):
    @bench.app.task(bind=True)
    async def meet(self):
        mine = self.request.id
        await asyncio.sleep(0)
        return mine == self.request.id

    for _ in range(5):
        meet.delay()
    claims = bench.claim(5)

    async def together():
        return await asyncio.gather(*(run.aexecute(bench.app, claim, bench.worker) for claim in claims))

    assert asyncio.run(together()) == [Done(b"\xc3")] * 5


def test_a_cancelled_coroutine_is_a_failure(bench):
    async def body():
        raise asyncio.CancelledError

    assert isinstance(outcome_of(bench, body), Failed)


@dataclasses.dataclass
class Order:
    id: int
    tags: set[str]


def test_annotations_shape_the_arguments(bench):
    @bench.app.task
    def take(order: Order, pair: tuple[int, int] = (0, 0)) -> Order:
        assert isinstance(pair, tuple)
        return Order(order.id + 1, order.tags | {"seen"})

    result = take.delay(Order(1, {"new"}), (1, 2))
    wrong = take.delay({"idd": 3})
    bench.run()
    assert result.get() == Order(2, {"new", "seen"})
    assert "argument 'order' does not fit" in str(wrong.get(propagate=False))


def test_a_template_is_decoded_once(bench, monkeypatch):
    @bench.app.task
    def member(n): ...

    member.fan_out(((n,) for n in range(50)), headers={"only": "here"})
    decoded = []
    real = codec.decode_payload

    def counting(data):
        decoded.append(data)
        return real(data)

    monkeypatch.setattr(codec, "decode_payload", counting)
    bench.run()
    assert len(decoded) == 1


@pytest.mark.parametrize("shared", [[{"seen": []}], [[]], [1, {"seen": [[]]}]])
def test_what_a_body_does_to_its_arguments_stays_with_it(bench, shared):
    seen = []

    @bench.app.task(bind=True)
    def member(self, n, *values, more):
        seen.append(copy.deepcopy((values, more, self.request.headers)))
        more.append(n)
        self.request.headers["n"] = n
        for value in values:
            if isinstance(value, dict):
                value["seen"].append(n)
            elif isinstance(value, list):
                value.append(n)

    payload = codec.encode_payload(shared, {"more": []}, {"h": {"tag": "x"}})
    template = Message(new_id(), payload, member.current().envelope)
    rows = tuple(codec.encode_row((n,)) for n in range(3))
    bench.store.group_push(GroupBatch(id=template.id, template=template, rows=rows, seal=True))
    assert len(bench.run()) == 3
    assert seen == [(tuple(shared), [], {"tag": "x"})] * 3


def test_headers_that_a_body_changes(bench):
    seen = []

    @bench.app.task(bind=True)
    def member(self, n):
        seen.append(dict(self.request.headers))
        self.request.headers["n"] = n

    member.fan_out([(n,) for n in range(3)], headers={"tag": "x"})
    bench.run()
    assert seen == [{"tag": "x"}] * 3


def test_outcomes_are_plain_values(bench):
    """What execute returns can be settled: nothing but bytes and numbers."""
    claim = Claim(id="x", gen=1, tok=1, nonce="n", name="nobody", payload=b"", queue="celery")
    assert run.execute(bench.app, claim, bench.worker) == Parked()
