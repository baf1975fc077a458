"""`self.retry`, `autoretry_for` and their rules, which are Celery's."""

from __future__ import annotations

import datetime as dt
import logging
import random

import pytest

from smallage.core.errors import EncodeError, MaxRetriesExceededError, Reject, Retry
from smallage.core.message import Failed
from smallage.core.message import Retry as RetryOutcome
from smallage.result import restored


class Boom(Exception):
    pass


def runs(bench, limit=50):
    """Run, letting time pass for every retry; the delays in seconds."""
    delays: list[float] = []
    for _ in range(limit):
        outcome = bench.step()
        if outcome is None:
            return delays
        if isinstance(outcome, RetryOutcome):
            delays.append(outcome.delay_us / 1e6)
            bench.later(outcome.delay_us / 1e6 + 1)
    raise AssertionError("it does not end")


def test_three_retries_are_four_runs(bench):
    count = []

    @bench.app.task(bind=True, default_retry_delay=7)
    def work(self):
        count.append(self.request.retries)
        raise self.retry()

    result = work.delay()
    assert runs(bench) == [7, 7, 7]
    assert count == [0, 1, 2, 3]
    error = result.get(propagate=False)
    assert isinstance(error, MaxRetriesExceededError)
    assert f"Can't retry {work.name}[{result.id}]" in str(error)


def test_the_given_exception_is_the_failure(bench):
    @bench.app.task(bind=True, max_retries=1)
    def work(self):
        try:
            raise Boom("first")
        except Boom as error:
            self.retry(exc=error, countdown=0)

    result = work.delay()
    assert runs(bench) == [0]
    with pytest.raises(Boom, match="first"):
        result.get()
    assert result.state == "FAILURE"


def test_the_state_in_between_is_retry_with_its_error(bench):
    @bench.app.task(bind=True)
    def work(self):
        raise self.retry(exc=Boom("not yet"), countdown=9)

    result = work.delay()
    bench.step()
    assert result.state == "RETRY"
    assert isinstance(result.result, Boom)
    assert result.retries == 1
    assert not result.ready()
    bench.later(10)
    (claim,) = bench.claim()
    assert result.state == "RETRY"  # as long as the next run tells nothing else
    assert isinstance(result.info, Boom)
    bench.settle(claim, bench.execute(claim))


def test_for_ever(bench):
    @bench.app.task(bind=True, max_retries=None)
    def work(self):
        if self.request.retries < 30:
            raise self.retry(countdown=0)
        return "done"

    result = work.delay()
    assert len(runs(bench)) == 30
    assert result.get() == "done"


def test_a_limit_for_one_attempt(bench):
    @bench.app.task(bind=True, max_retries=5)
    def work(self):
        raise self.retry(countdown=1, max_retries=2)

    work.delay()
    assert runs(bench) == [1, 1]


def test_an_instant(bench):
    when = dt.datetime(2027, 1, 15, 9, 0, tzinfo=dt.UTC)

    @bench.app.task(bind=True)
    def work(self):
        raise self.retry(eta=when)

    result = work.delay()
    outcome = bench.step()
    assert outcome.due_us == bench.clock.now_us + 3_600_000_000
    assert bench.store.state([result.id])[0].due_us == outcome.due_us


def test_new_arguments(bench):
    seen = []

    @bench.app.task(bind=True)
    def work(self, a, b=0, c=0):
        seen.append((a, b, c))
        if len(seen) == 1:
            raise self.retry(args=(5,), countdown=0)
        if len(seen) == 2:
            raise self.retry(kwargs={"b": 6}, countdown=0)
        if len(seen) == 3:
            raise self.retry(args=(7,), kwargs={"c": 8}, countdown=0)

    work.delay(1, b=2)
    bench.run()
    assert seen == [(1, 2, 0), (5, 2, 0), (5, 6, 0), (7, 0, 8)]


def test_options_of_the_next_attempt(bench):
    @bench.app.task(bind=True)
    def work(self, a):
        if not self.request.retries:
            raise self.retry(countdown=0, queue="slow", priority=7, expires=60, time_limit=9)
        return [self.request.time_limit, self.request.headers]

    result = work.apply_async((1,), headers={"h": 1})
    bench.step()
    (claim,) = bench.claim(1, "slow")
    assert (claim.priority, claim.failures) == (7, 1)
    bench.settle(claim, bench.execute(claim))
    assert result.get() == [9, {"h": 1}]


def test_a_groups_member_keeps_its_arguments(bench):
    @bench.app.task(bind=True)
    def work(self, n, extra=None):
        if not self.request.retries and n == 1:
            raise self.retry(countdown=0, headers={"again": 1})
        return [n, extra, self.request.headers]

    group = work.fan_out([(0,), {"n": 1, "extra": "x"}, (2,)])
    bench.run()
    assert group.get() == [[0, None, None], [1, "x", {"again": 1}], [2, None, None]]
    assert group.retried == 1


def test_retry_is_caught_by_except_exception_like_any_other(bench):
    @bench.app.task(bind=True)
    def work(self):
        try:
            self.retry(countdown=0)
        except Exception as error:
            return type(error).__name__

    result = work.delay()
    bench.run()
    assert result.get() == "Retry"


def test_without_throw_it_happens_at_the_return(bench):
    @bench.app.task(bind=True)
    def work(self, fail):
        if not self.request.retries:
            returned = self.retry(throw=False, countdown=3)
            assert isinstance(returned, Retry)
            assert returned.humanize() == "in 3s"
            if fail:
                raise Boom
            return "dropped"
        return "second"

    result, failing = work.delay(False), work.delay(True)
    assert runs(bench) == [3]
    assert result.get() == "second"
    assert isinstance(failing.get(propagate=False), Boom)


def test_called_directly_it_raises_what_went_wrong(bench):
    @bench.app.task(bind=True)
    def work(self, mode):
        if mode == "bare":
            self.retry()
        if mode == "given":
            self.retry(exc=Boom("given"))
        try:
            raise Boom("current")
        except Boom:
            self.retry()

    with pytest.raises(Retry):
        work("bare")
    with pytest.raises(Boom, match="given"):
        work("given")
    with pytest.raises(Boom, match="current"):
        work("handled")


def test_a_retry_raised_by_hand(bench):
    @bench.app.task(max_retries=2)
    def work():
        raise Retry(when=4)

    result = work.delay()
    assert runs(bench) == [4, 4]
    assert result.state == "FAILURE"


@pytest.mark.parametrize("options", [{"countdown": -1}, {"countdown": 1e12}, {"countdwn": 1}, {"priority": 99}])
def test_options_that_cannot_work_fail_the_task(bench, options):
    @bench.app.task(bind=True)
    def work(self):
        raise self.retry(**options)

    result = work.delay()
    assert isinstance(bench.step(), Failed)
    assert isinstance(result.get(propagate=False), (ValueError, TypeError))


def test_new_arguments_that_cannot_travel(bench):
    @bench.app.task(bind=True)
    def work(self, a):
        raise self.retry(args=(object(),))

    result = work.delay(1)
    bench.step()
    assert isinstance(result.get(propagate=False), EncodeError)


# -- autoretry_for ------------------------------------------------------------------------------------------------
def failing(bench, error, **options):
    @bench.app.task(bind=True, **options)
    def work(self):
        raise error

    return work.delay()


def test_chosen_exceptions_retry_by_themselves(bench):
    result = failing(bench, Boom("x"), autoretry_for=(Boom,), max_retries=2, default_retry_delay=11)
    assert runs(bench) == [11, 11]
    assert isinstance(result.get(propagate=False), Boom)


def test_others_do_not(bench):
    failing(bench, KeyError("x"), autoretry_for=(Boom,))
    assert runs(bench) == []


def test_some_can_be_excepted(bench):
    class Hopeless(Boom):
        pass

    failing(bench, Hopeless("x"), autoretry_for=(Boom,), dont_autoretry_for=(Hopeless,))
    assert runs(bench) == []


def test_predicates_pass_through(bench):
    result = failing(bench, Reject("no"), autoretry_for=(Exception,))
    assert runs(bench) == []
    assert isinstance(result.get(propagate=False), Reject)


def test_retry_kwargs(bench):
    options = {"autoretry_for": (Boom,), "retry_kwargs": {"max_retries": 4, "countdown": 2}}
    failing(bench, Boom("x"), **options)
    assert runs(bench) == [2, 2, 2, 2]


def test_backoff(bench):
    options = {"autoretry_for": (Boom,), "retry_backoff": 2, "retry_backoff_max": 10, "retry_jitter": False}
    failing(bench, Boom("x"), max_retries=4, **options)
    assert runs(bench) == [2, 4, 8, 10]


def test_jitter_draws_from_the_workers_generator(bench):
    options = {"autoretry_for": (Boom,), "retry_backoff": True}
    failing(bench, Boom("x"), max_retries=6, **options)
    bench.worker.rng = random.Random(5)
    expected = random.Random(5)
    assert runs(bench) == [expected.randrange(2**turn + 1) for turn in range(6)]


def test_a_limit_given_in_the_body_also_holds_for_the_wrapper(bench):
    @bench.app.task(bind=True, autoretry_for=(Boom,), max_retries=10)
    def work(self):
        try:
            self.retry(max_retries=1, countdown=0, exc=Boom("x"))
        except Retry:
            raise
        except Boom:
            raise

    result = work.delay()
    assert runs(bench) == [0]
    assert result.state == "FAILURE"


def test_the_error_of_a_retry_is_kept_with_its_traceback(bench):
    failing(bench, Boom("x"), autoretry_for=(Boom,))
    outcome = bench.step()
    error, traceback = restored(outcome.error)
    assert isinstance(error, Boom)
    assert traceback is not None
    assert "raise error" in traceback


def test_the_log_says_when_an_automatic_retry_is_due(bench, caplog):
    caplog.set_level(logging.INFO, "smallage.task")

    @bench.app.task(autoretry_for=(KeyError,), default_retry_delay=7)
    def flaky():
        raise KeyError("x")

    flaky.delay()
    bench.step()
    assert "retry: KeyError in 7s" in caplog.text
