"""Fan-outs, groups and chords: pushed in steps, followed as one."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest

from smallage import GroupResult, Outcomes, chord, group
from smallage.core.errors import (
    ChordError,
    EncodeError,
    ImproperlyConfigured,
    StoreUnavailable,
    TaskError,
    TaskRevokedError,
    TimeoutError,
)
from smallage.core.message import is_uuid
from smallage.pushing import _steps
from smallage.stores.base import GroupBatch
from smallage.testing import FaultyStore
from smallage.testing.wrapper import Wrapper
from tests.client.bench import Bench


class Batches(Wrapper):
    """Keeps what was pushed as groups."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.seen: list[GroupBatch] = []

    def around(self, verb: str, act: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if verb == "group_push":
            self.seen.append(args[0])
        return act(*args, **kwargs)


@pytest.fixture
def add(bench):
    @bench.app.task
    def add(a, b=1):
        if a == "fail":
            raise ValueError(b)
        return a + b

    return add


@pytest.fixture
def summary(bench):
    @bench.app.task
    def summary(outcomes: Outcomes, note=None):
        return {
            "counts": [outcomes.total, outcomes.done, outcomes.failed, outcomes.cancelled],
            "values": list(outcomes.values()),
            "failures": [[one.index, one.state, repr(one.value)] for one in outcomes.failures()],
            "note": note,
        }

    return summary


@pytest.fixture
def total(bench):
    @bench.app.task
    def total(values, start=0):
        return sum(values, start)

    return total


# -- pushing ------------------------------------------------------------------------------------------------------
def test_a_fan_out_is_pushed_in_steps(bench, add, summary):
    store = Batches(bench.store)
    bench.app.use_store(store)
    result = add.fan_out(((n, 0) for n in range(2500)), then=summary.s(), priority=4)
    assert [(len(batch.rows), batch.offset, batch.seal) for batch in store.seen] == [
        (1000, 0, False),
        (1000, 1000, False),
        (500, 2000, True),
    ]
    templates = [batch.template for batch in store.seen if batch.template]
    assert [template.payload for template in templates] == [b"\x90"] * 3
    assert [batch.body is not None for batch in store.seen] == [False, False, True]
    assert all(template.envelope.priority == 4 for template in templates)
    assert store.seen[0].rows[7] == b"\x92\x07\x00"
    assert is_uuid(result.id)
    assert result.total == len(result) == 2500


def test_large_rows_make_smaller_steps():
    steps = list(_steps([b"x" * 2**20] * 20, len))
    assert [len(step) for step in steps] == [8, 8, 4]
    assert [len(step) for step in _steps([b""] * 2001, len)] == [1000, 1000, 1]
    assert list(_steps([], len)) == []


def test_rows_are_tuples_lists_or_mappings(bench, add):
    result = add.fan_out([(1, 2), [3, 4], {"a": 5, "b": 6}, (7,), {"a": 8}])
    bench.run()
    assert result.get() == [3, 7, 11, 8, 9]


@pytest.mark.parametrize(
    ("rows", "kind", "words"),
    [
        ([1], TypeError, "Row 0 is a bare int"),
        ([(1,), "text"], TypeError, "Row 1 is a bare str"),
        ([(1,), (1, 2, 3)], TypeError, "Row 1: "),
        ([{"a": 1}, {"c": 1}], TypeError, "Row 1: "),
        ([(1,), (object(),)], EncodeError, "Row 1: argument 'a'"),
        ([("x" * 2**21,)], EncodeError, "Row 0: "),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_pushed(bench, add, rows, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        add.fan_out(rows)
    assert bench.claim(9) == []


def test_a_wrong_row_after_the_first_step_cancels_the_group(bench, add):
    def rows():
        for n in range(2500):
            yield (n, 0)
        yield 5

    with pytest.raises(TypeError, match="Row 2500"):
        add.fan_out(rows())
    assert bench.run() == []
    assert bench.store.counts()[""]["cancelled"] > 0


def test_an_empty_fan_out_ends_at_once(bench, add, summary):
    result = add.fan_out([], then=summary.s())
    assert result.ready()
    assert result.get() == []
    bench.run()
    assert result.then.get()["counts"] == [0, 0, 0, 0]


def test_a_store_that_is_away_for_a_moment(bench, add, monkeypatch):
    monkeypatch.setattr("smallage.app.patience.time.sleep", lambda seconds: None)
    store = FaultyStore(bench.store)
    bench.app.use_store(store)
    store.fail("group_push", after=True, nth=2, times=1)
    result = add.fan_out((n, 0) for n in range(2500))
    bench.run()
    assert sum(result.get()) == sum(range(2500))


def test_a_store_that_stays_away(bench, add, monkeypatch):
    monkeypatch.setattr("smallage.app.patience.time.sleep", lambda seconds: None)
    store = FaultyStore(bench.store)
    bench.app.use_store(store)
    store.fail("group_push", times=None)
    with pytest.raises(StoreUnavailable):
        add.fan_out([(1,)])


# -- following ----------------------------------------------------------------------------------------------------
def test_counters(bench, add):
    result = add.fan_out([(1,), ("fail",), (2,), (3,)])
    assert (result.total, result.done, result.failed, result.running) == (4, 0, 0, 0)
    assert not result.ready()
    assert result.waiting()
    (claim,) = bench.claim()
    assert result.running == 1
    bench.settle(claim, bench.execute(claim))
    bench.run()
    assert (result.done, result.failed, result.cancelled, result.retried) == (3, 1, 0, 0)
    assert result.ready()
    assert not result.successful()
    assert result.completed_count() == 3


def test_failed_is_a_number_and_celerys_question(bench, add):
    good, bad = add.fan_out([(1,)]), add.fan_out([("fail",), ("fail",)])
    bench.run()
    assert good.failed == 0
    assert good.failed() is False
    assert bad.failed == 2
    assert bad.failed() is True


def test_results_in_order_with_errors(bench, add):
    result = add.fan_out([(1,), ("fail", 7), (2,)])
    bench.run()
    found = list(result.results())
    assert [(one.index, one.state) for one in found] == [(0, "SUCCESS"), (1, "FAILURE"), (2, "SUCCESS")]
    assert [one.value for one in found[::2]] == [2, 3]
    assert isinstance(found[1].value, ValueError)
    with pytest.raises(ValueError, match="7"):
        result.get()
    values = result.get(propagate=False)
    assert (values[0], type(values[1]), values[2]) == (2, ValueError, 3)
    got = []
    assert result.join(propagate=False, callback=lambda task_id, value: got.append(task_id)) == []
    assert got == [f"{result.id}.{n}" for n in range(3)]


def test_handles_of_members(bench, add):
    result = add.fan_out([(n,) for n in range(5)])
    bench.run()
    assert [one.get() for one in result] == [1, 2, 3, 4, 5]
    assert result[2].get() == result.results[-3].get() == 3
    assert [one.id for one in result.children[1:3]] == [f"{result.id}.1", f"{result.id}.2"]
    with pytest.raises(IndexError):
        result.results[5]
    assert result.as_tuple()[0] == (result.id, None)
    assert len(result.as_tuple()[1]) == 5


def test_progress(bench, add):
    result = add.fan_out([(n,) for n in range(3)])
    shots = []
    for shot in result.progress(timeout=30):
        shots.append(shot)
        bench.step()
    assert [shot.done for shot in shots] == [0, 1, 2, 3]
    assert [shot.ended for shot in shots] == [False, False, False, True]
    numbers = [shot.number for shot in shots]
    assert numbers == sorted(set(numbers))
    assert len(list(result.progress())) == 1


def test_progress_has_an_end(bench, add):
    result = add.fan_out([(1,)])
    with pytest.raises(TimeoutError, match="it goes on"):
        list(result.progress(timeout=0))
    with pytest.raises(TimeoutError):
        result.get(timeout=0)


def test_waiting_is_woken_by_the_store(bench, add):
    result = add.fan_out([(n,) for n in range(10)])
    values = []
    thread = threading.Thread(target=lambda: values.append(result.get(timeout=30)))
    thread.start()
    bench.run()
    thread.join(30)
    assert values == [[n + 1 for n in range(10)]]


def test_waiting_ends_with_the_first_failure(bench, add):
    result = add.fan_out([("fail", n) for n in range(3)])
    bench.step()
    with pytest.raises(ValueError, match="0"):
        result.get(timeout=30)


def test_restoring(bench, add, summary):
    result = add.fan_out([(1,)], then=summary.s())
    bench.run()
    again = GroupResult.restore(result.id, bench.app)
    assert again is not None
    assert again == result
    assert again.get() == [2]
    assert again.then is not None
    assert again.then.get()["counts"] == [1, 1, 0, 0]
    unknown = "cfbc0143-0c6b-4401-a99a-41505bbba0a2"
    assert GroupResult.restore(unknown, bench.app) is None
    later = bench.app.GroupResult(unknown)
    assert (later.total, later.ready(), later.failed(), later.successful()) == (0, False, False, False)
    with pytest.raises(TimeoutError):
        later.get(timeout=0)
    with pytest.raises(TaskError, match="knows no group"):
        len(Outcomes(bench.app, unknown))


# -- acting -------------------------------------------------------------------------------------------------------
def test_cancelling(bench, add, summary):
    result = add.fan_out([(n,) for n in range(10)], then=summary.s("end"))
    bench.step()
    (claim,) = bench.claim()
    assert result.cancel() == 8
    assert (result.done, result.running, result.cancelled) == (1, 1, 8)
    bench.settle(claim, bench.execute(claim))
    assert result.ready()
    bench.run()
    assert result.then.get()["counts"] == [10, 2, 0, 8]
    with pytest.raises(TaskRevokedError):
        result.get()


def test_cancelling_what_runs(bench, add):
    result = add.fan_out([(n,) for n in range(3)])
    (claim,) = bench.claim()
    assert result.cancel(terminate=True) == 3
    assert result.ready()
    assert bench.settle(claim, bench.execute(claim)) == "stale"


def test_retrying_the_failed(bench):
    broken = {2, 3}

    @bench.app.task
    def work(n):
        if n in broken:
            raise ValueError(n)
        return n

    result = work.fan_out([(n,) for n in range(5)])
    bench.run()
    assert result.failed == 2
    broken.clear()
    assert result.retry_failed() == 2
    assert not result.ready()
    bench.run()
    assert result.get() == [0, 1, 2, 3, 4]


def test_retrying_one_of_the_failed(bench):
    broken = {2, 3}

    @bench.app.task
    def work(n):
        if n in broken:
            raise ValueError(n)
        return n

    result = work.fan_out([(n,) for n in range(5)])
    bench.run()
    broken.clear()
    member = result.results[3]
    assert isinstance(member.result, ValueError)
    assert member.retry()
    assert (result.ready(), result.failed) == (False, 1)
    bench.run()
    assert (member.get(timeout=0), result.failed, result.ready()) == (3, 1, True)


def test_forgetting(bench, add):
    result = add.fan_out([(1,), (2,)])
    result.forget()
    assert result.total == 2
    bench.run()
    result.save()
    result.forget()
    assert GroupResult.restore(result.id, bench.app) is None


# -- then ---------------------------------------------------------------------------------------------------------
def test_then_runs_once_when_all_have_ended_however_they_ended(bench, add, summary):
    result = add.fan_out([(1,), ("fail", 9), (3,)], then=summary.s(note="n"))
    assert result.then.state == "PENDING"
    assert len(bench.run()) == 4
    assert result.then.get() == {
        "counts": [3, 2, 1, 0],
        "values": [2, 4],
        "failures": [[1, "FAILURE", "ValueError(9)"]],
        "note": "n",
    }


def test_an_immutable_body_gets_nothing(bench, add):
    @bench.app.task
    def bell(text):
        return text

    result = add.fan_out([(1,)], then=bell.si("rung"))
    bench.run()
    assert result.then.get() == "rung"


def test_the_body_has_options_of_its_own(bench, add, summary):
    result = add.fan_out([(1,)], then=summary.s().set(queue="late", priority=5, task_id="the-end", countdown=60))
    assert result.then.id == "the-end"
    bench.run()
    assert bench.claim(1, "late") == []
    bench.later(61)
    (claim,) = bench.claim(1, "late")
    assert (claim.priority, claim.body_of) == (5, result.id)


def test_then_takes_a_task_or_a_name(bench, add, summary):
    result = add.fan_out([(1,)], then=summary)
    named = add.fan_out([(1,)], then=summary.name)
    bench.run()
    assert result.then.get()["values"] == named.then.get()["values"] == [2]
    for wrong in (5, len):
        with pytest.raises(TypeError, match="then= takes"):
            add.fan_out([(1,)], then=wrong)
    with pytest.raises(ImproperlyConfigured):
        add.fan_out([(1,)], then=group(add.s(1)))


def test_a_body_reads_in_pages(bench, add):
    @bench.app.task
    def pages(outcomes):
        assert outcomes
        assert "Outcomes" in repr(outcomes)
        return [len(outcomes), [len(page) for page in outcomes.pages(400)]]

    result = add.fan_out(((n,) for n in range(1000)), then=pages.s())
    bench.run()
    assert result.then.get() == [1000, [400, 400, 200]]


# -- groups of signatures -----------------------------------------------------------------------------------------
def test_like_signatures_become_rows(bench, add):
    store = Batches(bench.store)
    bench.app.use_store(store)
    result = group(add.s(n, b=n).set(priority=3) for n in range(1500)).apply_async()
    assert [len(batch.rows) for batch in store.seen] == [1000, 500]
    bench.run()
    assert result.get()[:3] == [0, 2, 4]


def test_unlike_signatures_become_members(bench, add, total):
    store = Batches(bench.store)
    bench.app.use_store(store)
    sigs = [add.s(1), total.s([1, 2]), add.s(2).set(priority=1), add.s(3).set(task_id="mine")]
    result = group(sigs).apply_async(queue="celery")
    (batch,) = store.seen
    assert [(one.group, one.index) for one in batch.members] == [(result.id, n) for n in range(4)]
    bench.run()
    assert result.get() == [2, 3, 3, 4]
    assert bench.app.AsyncResult("mine").get() == 4


def test_arguments_of_the_call_go_before_those_of_the_members(bench, add):
    result = group(add.s(1), add.si(5, 5))(10)
    bench.run()
    assert result.get() == [11, 10]


def test_groups_of_names_known_elsewhere(bench, add):
    app = bench.app
    result = group([app.signature("far.job", (1,)), app.signature("far.job", (2,))]).apply_async()
    mixed = group([app.signature("far.job"), app.signature("far.other")], app=app).apply_async()
    assert (result.total, mixed.total) == (2, 2)


def test_groups_that_cannot_be(bench, add):
    with pytest.raises(TypeError, match="link"):
        group(add.s(1)).apply_async(link=add.s(2))
    with pytest.raises(ImproperlyConfigured, match="UUID"):
        group(add.s(1)).apply_async(task_id="mine")
    with pytest.raises(ImproperlyConfigured, match="UUID"):
        add.fan_out([(1,)], task_id="mine")
    with pytest.raises(TypeError, match="missing"):
        group(add.s(), add.s(1)).apply_async()
    chosen = "cfbc0143-0c6b-4401-a99a-41505bbba0a2"
    assert group(add.s(1), add.s(2)).apply_async(task_id=chosen).id == chosen


def test_an_empty_group(bench):
    result = group([], app=bench.app).apply_async()
    assert result.ready()
    assert result.successful()
    assert result.get() == []


def test_a_signature_is_sent_run_and_waited_for(bench, add):
    assert add.s(1)(2) == 3
    result = add.s(1).delay(2)
    bench.run()
    assert result.get() == 3
    assert add.signature((1, 2), countdown=9).apply_async().state == "PENDING"


# -- chords -------------------------------------------------------------------------------------------------------
def test_a_chord(bench, add, total):
    result = chord([add.s(n) for n in range(5)], total.s(start=100)).apply_async()
    bench.run()
    assert result.get() == 115
    assert result.parent.get() == [1, 2, 3, 4, 5]
    other = chord(group(add.s(1), add.s(2)))(total.s())
    bench.run()
    assert other.get() == 5


def test_a_chord_of_an_empty_header(bench, total):
    result = chord([], total.s(), app=bench.app).apply_async()
    bench.run()
    assert result.get() == 0


def test_a_failed_member_fails_the_body(bench, add, total):
    ran = []

    @bench.app.task(bind=True, base=type("Base", (bench.app.Task,), {"on_failure": lambda *args: ran.append(args)}))
    def body(self, values):
        ran.append("body")

    result = chord([add.s(1), add.s("fail", 3), add.s("fail", 4)], body.s()).apply_async()
    bench.run()
    with pytest.raises(ChordError, match=rf"Dependency {result.parent.id}\.1 raised ValueError\(3\)"):
        result.get(follow_parents=False)
    with pytest.raises(ValueError, match="3"):
        result.get()
    with pytest.raises(ValueError, match="3"):
        asyncio.run(result.aget())
    assert isinstance(result.get(propagate=False), ChordError)
    assert ran == []


def test_a_failed_member_ends_the_wait_for_the_body(bench, add, total):
    """The others have not ended yet, so the body has not either."""
    result = chord([add.s("fail", 3), add.s(4)], total.s()).apply_async()
    bench.step()
    with pytest.raises(ValueError, match="3"):
        result.get(timeout=5)
    with pytest.raises(ValueError, match="3"):
        asyncio.run(result.aget(timeout=5))
    assert result.state == "PENDING"


def test_a_forgotten_header_leaves_the_bodys_own_error(bench, add, total):
    result = chord([add.s("fail", 3)], total.s()).apply_async()
    bench.run()
    assert isinstance(result.get(propagate=False), ChordError)
    bench.store.forget([result.parent.id])
    with pytest.raises(ChordError):
        result.get()


def test_a_chords_options(bench, add, total):
    result = chord([add.s(1)], total.s()).apply_async(task_id="the-body", countdown=30, priority=2)
    assert result.id == "the-body"
    assert bench.run() == []
    bench.later(31)
    (claim,) = bench.claim()
    assert claim.priority == 2
    bench.settle(claim, bench.execute(claim))
    (claim,) = bench.claim()
    assert (claim.id, claim.priority) == ("the-body", 2)
    with pytest.raises(TypeError, match="no body"):
        chord([add.s(1)]).apply_async()


def test_an_immutable_chord_body_still_fails_with_its_header(bench, add):
    @bench.app.task
    def bell():
        return "rung"

    good = chord([add.s(1)], bell.si()).apply_async()
    bad = chord([add.s("fail")], bell.si()).apply_async()
    bench.run()
    assert good.get() == "rung"
    assert isinstance(bad.get(propagate=False), ChordError)


def test_a_foreman_may_not_wait_for_its_group(bench, add):
    @bench.app.task
    def foreman():
        return add.fan_out([(1,)]).get(timeout=0)

    result = foreman.delay()
    bench.step()
    with pytest.raises(RuntimeError, match="fan_out"):
        result.get()


def test_a_group_larger_than_a_page(bench, add):
    result = add.fan_out((n, 0) for n in range(2300))
    bench.run()
    assert result.get() == list(range(2300))
    assert sum(1 for _ in result.results()) == 2300
    assert isinstance(bench, Bench)
