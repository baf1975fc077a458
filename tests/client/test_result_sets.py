# mypy: disable-error-code="var-annotated, override, union-attr, call-overload, misc, name-defined, arg-type"
"""Results together: sets from anywhere, groups before they come, groups of one's own, what is called later."""

from __future__ import annotations

import threading

import pytest

from smallage import GroupResult, chain, group
from smallage.core.errors import TaskRevokedError, TimeoutError
from smallage.groups import ResultSet


@pytest.fixture
def add(bench):
    @bench.app.task(name="add")
    def add(a, b=1):
        if a == "fail":
            raise ValueError(b)
        return a + b

    return add


@pytest.fixture
def double(bench):
    @bench.app.task(name="double")
    def double(n):
        return 2 * n

    return double


# -- sets ---------------------------------------------------------------------------------------------------------
def test_a_set_is_asked_in_one_read(bench, add, reads):
    results = ResultSet([add.delay(n) for n in range(5)], app=bench.app)
    assert (results.ready(), results.waiting(), results.completed_count()) == (False, True, 0)
    bench.run()
    reads.clear()
    assert results.ready()
    assert len(reads) == 1
    assert (results.successful(), results.failed(), results.completed_count(), len(results)) == (True, False, 5, 5)
    assert results.get() == results.join() == results.join_native() == [1, 2, 3, 4, 5]
    assert len(reads) == 1  # what has ended is not read again


@pytest.fixture
def reads(bench, monkeypatch):
    """Calls of the store's `state`."""
    seen = []
    state = bench.store.state

    def read(ids):
        seen.append(tuple(ids))
        return state(ids)

    monkeypatch.setattr(bench.store, "state", read)
    return seen


def test_a_set_is_changed(bench):
    one, two = bench.app.AsyncResult("1"), bench.app.AsyncResult("2")
    results = ResultSet([], app=bench.app)
    results.add(one)
    results.add(one)
    results.update([one, two])
    assert list(results) == [one, two]
    results.remove("1")
    with pytest.raises(KeyError):
        results.remove(one)
    results.discard(one)
    assert results == ResultSet([two], app=bench.app)
    assert repr(results) == "<ResultSet: [2]>"
    results.clear()
    assert len(results) == 0
    assert results.ready()


def test_a_set_raises_its_first_failure_at_once(bench, add):
    results = ResultSet([add.delay(1), add.delay("fail", 7), add.delay("fail", 8), add.apply_async((1,), countdown=99)])
    bench.run()
    with pytest.raises(ValueError, match="7"):
        results.get(timeout=0)
    with pytest.raises(ValueError, match="7"):
        results.maybe_throw()
    with pytest.raises(TimeoutError, match="4 results"):
        results.get(timeout=0, propagate=False)
    assert results.failed()
    results.revoke()
    values = results.get(propagate=False)
    assert [type(one) for one in values] == [int, ValueError, ValueError, TaskRevokedError]


def test_callbacks_and_messages_of_a_set(bench, add):
    results = ResultSet([add.delay(n) for n in range(3)])
    bench.run()
    got, metas, native = {}, [], dict(results.iter_native())
    assert results.get(callback=lambda task_id, value: got.update({task_id: value})) is None
    assert results.join(callback=lambda task_id, value: None, on_message=metas.append) == []
    assert got == {one.id: n + 1 for n, one in enumerate(results)}
    assert [meta["result"] for meta in metas] == [1, 2, 3]
    assert {task_id: meta["status"] for task_id, meta in native.items()} == dict.fromkeys(got, "SUCCESS")


def test_sets_in_sets(bench, add):
    inner = group(add.s(1), add.s(2)).apply_async()
    results = ResultSet([add.delay(5), inner])
    assert not results.ready()
    bench.run()
    assert (results.ready(), results.successful(), results.get()) == (True, True, [6, [2, 3]])
    assert [value if isinstance(value, dict) else [one.get() for one in value] for _, value in results.iter_native()][
        1
    ] == [2, 3]
    results.forget()
    assert not results.ready()


def test_waiting_for_a_set_is_woken(bench, add):
    results = ResultSet([add.delay(n) for n in range(4)])
    values = []
    thread = threading.Thread(target=lambda: values.append(results.get(timeout=30)))
    thread.start()
    bench.run()
    thread.join(30)
    assert values == [[1, 2, 3, 4]]


# -- groups that come later ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("like", [True, False])
def test_a_group_before_it_comes(bench, add, double, like):
    result = chain(add.s(1), group(add.s(1), add.s(2) if like else double.s())).apply_async()
    assert (result.total, result.done, result.failed(), result.ready()) == (2, 0, False, False)
    assert (len(result), [one.state for one in result], result[1].state) == (2, ["PENDING"] * 2, "PENDING")
    with pytest.raises(TimeoutError, match=result.id):
        result.get(timeout=0)
    values = []
    thread = threading.Thread(target=lambda: values.append(result.get(timeout=30)))
    thread.start()
    bench.run()
    thread.join(30)
    assert values == [[3, 4]]
    assert (result.ready(), result.successful(), result.done, result.parent.get()) == (True, True, 2, 2)


@pytest.mark.parametrize("like", [True, False])
def test_a_group_that_never_comes(bench, add, double, like):
    result = chain(add.s("fail", 3), group(add.s(1), add.s(2) if like else double.s())).apply_async()
    bench.run()
    assert (result.ready(), result.failed(), result.successful()) == (True, True, False)
    with pytest.raises(ValueError, match="3"):
        result.get(timeout=0)
    assert [type(one) for one in result.get(timeout=0, propagate=False)] == [ValueError, ValueError]


# -- groups of one's own ------------------------------------------------------------------------------------------
def test_results_of_ones_own_as_a_group(bench, add):
    mine = GroupResult("mine", [add.delay(1), add.delay(2)], app=bench.app)
    assert (mine.total, mine.ready(), mine.children == mine.results, bool(mine)) == (2, False, True, True)
    bench.run()
    assert (mine.get(), mine.done, mine.successful(), mine.completed_count()) == ([2, 3], 2, True, 2)
    assert GroupResult.restore("mine", app=bench.app) is None
    mine.save()
    mine.save()
    again = GroupResult.restore("mine", bench.app)
    assert again == mine == "mine"
    assert again.get() == [2, 3]
    mine.delete()
    assert GroupResult.restore("mine", app=bench.app) is None
    assert bench.store.audit() == []
    assert bench.store.workers() == [one for one in bench.store.workers() if one.session == "bench"]


def test_a_group_that_was_sent_can_be_changed(bench, add):
    result = group(add.s(1), add.s(2)).apply_async()
    result.add(add.delay(9))
    bench.run()
    assert (len(result), result.get(), result.done) == (3, [2, 3, 10], 3)


def test_revoking_a_group_of_ones_own(bench, add):
    mine = GroupResult("mine", [add.delay(1), add.delay(2)], app=bench.app)
    mine.revoke(wait=True)
    assert (mine.cancelled, bench.run()) == (2, [])
    with pytest.raises(TaskRevokedError):
        mine.get()


def test_metas_of_a_group_as_they_come(bench, add):
    result = add.fan_out([(n,) for n in range(3)])
    bench.step()
    native = result.iter_native(timeout=30)
    assert next(native)[1]["result"] == 1
    bench.run()
    assert [meta["result"] for _, meta in native] == [2, 3]
    seen = []
    assert result.get(callback=lambda task_id, value: seen.append(value)) is None
    assert seen == [1, 2, 3]


# -- later --------------------------------------------------------------------------------------------------------
def test_something_is_called_when_results_are_there(bench, add):
    told, errors, ended = [], [], threading.Event()
    one, many = add.delay(1), add.fan_out([(1,), (2,)])
    both = ResultSet([one, many])

    def late(result):
        told.append(result)
        if len(told) == 3:
            ended.set()

    assert one.then(late) is one
    many.then(late)
    both.then(late)
    assert told == []
    bench.run()
    assert ended.wait(30)
    assert {id(result) for result in told} == {id(one), id(many), id(both)}

    def wrong(result):
        raise KeyError(result.id)

    one.then(wrong, errors.append)
    assert isinstance(errors[0], KeyError)
    one.then(wrong)  # logged


def test_the_body_of_a_group_is_callable_too(bench, add, double):
    @bench.app.task(name="count")
    def count(outcomes):
        return outcomes.total

    seen = []
    result = add.fan_out([(1,)], then=count.s())
    bench.run()
    assert result.then.get() == 1
    result.then(seen.append)
    assert seen == [result]
