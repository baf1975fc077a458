"""Workflows from the call to the last end, on the memory store with a worker of a few lines."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from smallage import Smallage, Task, chain, chord, group
from smallage.core import trees
from smallage.core.errors import (
    ChordError,
    Ignore,
    ImproperlyConfigured,
    PayloadTooLarge,
    PushConflict,
    SmallageWarning,
    StoreFull,
    TaskRevokedError,
)
from smallage.core.message import Snooze
from tests.client.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def tasks(bench: Bench) -> Any:
    app = bench.app

    @app.task(name="add")
    def add(a, b):
        return a + b

    @app.task(name="mul")
    def mul(a, b):
        return a * b

    @app.task(name="total")
    def total(values):
        return sum(values)

    @app.task(name="ident")
    def ident(value):
        return value

    @app.task(name="fail")
    def fail(*args):
        raise ValueError(*args)

    @app.task(name="give_up")
    def give_up(*args):
        raise Ignore

    return app.tasks


def done(bench: Bench, result: Any) -> Any:
    bench.run()
    assert bench.store.audit() == []
    return result.get(timeout=0)


def test_a_chain(bench, tasks):
    result = (tasks["add"].s(1, 2) | tasks["mul"].s(10) | tasks["add"].s(5)).apply_async()
    assert result.state == "PENDING"
    assert done(bench, result) == 35
    assert result.parent.get(timeout=0) == 30
    assert result.parent.parent.get(timeout=0) == 3
    assert result.parent.parent.parent is None


def test_a_chain_of_one_and_of_none(bench, tasks):
    assert done(bench, chain(tasks["add"].s(1, 2)).apply_async()) == 3
    assert chain([]).apply_async() is None


def test_arguments_and_options_of_a_chain(bench, tasks):
    result = chain(tasks["add"].s(1), tasks["mul"].si(7, 2)).apply_async((2,), task_id="last", countdown=60)
    assert result.id == "last"
    assert bench.run() == []
    bench.later(60)
    assert done(bench, result) == 14
    assert result.parent.get(timeout=0) == 3


def test_a_group_behind_a_task(bench, tasks):
    result = (tasks["add"].s(1, 2) | group(tasks["add"].s(10), tasks["mul"].s(10))).apply_async()
    assert not result.ready()
    assert done(bench, result) == [13, 30]
    assert result.parent.get(timeout=0) == 3


def test_a_group_of_like_tasks_behind_a_task(bench, tasks):
    result = (tasks["add"].s(1, 2) | group(tasks["add"].s(one) for one in range(5))).apply_async()
    assert done(bench, result) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("like", [True, False])
def test_a_chord(bench, tasks, like):
    header = [tasks["add"].s(1, 1), tasks["add"].s(2, 2) if like else tasks["mul"].s(2, 2)]
    result = chord(header, tasks["total"].s()).apply_async()
    assert done(bench, result) == 6
    assert result.parent.get(timeout=0) == [2, 4]


def test_what_follows_a_chord(bench, tasks):
    result = (
        group(tasks["add"].s(1, 1), tasks["mul"].s(3, 3)) | tasks["total"].s() | tasks["add"].s(100)
    ).apply_async()
    assert done(bench, result) == 111
    assert result.parent.get(timeout=0) == [2, 9]  # as Celery has it: a chord's result is below its header


def test_chains_in_a_group(bench, tasks):
    result = group(tasks["add"].s(1, 1) | tasks["mul"].s(2), tasks["add"].s(5, 5)).apply_async()
    assert done(bench, result) == [4, 10]


def test_chords_in_chords(bench, tasks):
    inner = chord([tasks["add"].s(1, 1), tasks["mul"].s(2, 3)], tasks["total"].s())
    result = chord(
        [inner, tasks["add"].s(0, 1) | tasks["add"].s(1), tasks["ident"].s(7)], tasks["total"].s()
    ).apply_async()
    assert done(bench, result) == 8 + 2 + 7


def test_a_chain_that_ends_in_a_group_is_one_member(bench, tasks):
    member = tasks["ident"].s(1) | group(tasks["add"].s(1), tasks["add"].s(2))
    result = chord([member, tasks["ident"].s(9)], tasks["ident"].s()).apply_async()
    assert done(bench, result) == [[2, 3], 9]


def test_groups_behind_groups(bench, tasks):
    result = (
        group(tasks["ident"].s(1), tasks["ident"].s(2)) | group(tasks["ident"].s(), tasks["total"].s())
    ).apply_async()
    assert done(bench, result) == [[1, 2], 3]


def test_empty_groups(bench, tasks):
    assert done(bench, chord([], tasks["total"].s()).apply_async()) == 0
    assert done(bench, chain(tasks["ident"].s(3), group([]), tasks["add"].s(1)).apply_async()) == 4
    assert done(bench, group([]).apply_async()) == []


def test_links(bench, tasks):
    seen = []

    @bench.app.task(name="note")
    def note(value, more):
        seen.append((value, more))
        return value

    result = tasks["add"].apply_async((1, 2), link=[note.s("a"), note.si("fixed", "b"), note.s("c") | note.s("d")])
    assert done(bench, result) == 3
    assert set(seen) == {(3, "a"), (3, "c"), (3, "d"), ("fixed", "b")}
    assert len(seen) == 4


def test_a_failure_ends_the_later_steps(bench, tasks):
    result = (tasks["fail"].s("why") | tasks["add"].s(1) | tasks["add"].s(2)).apply_async()
    with pytest.raises(ValueError, match="why"):
        done(bench, result)
    assert (result.state, result.parent.state, result.parent.parent.state) == ("FAILURE", "FAILURE", "FAILURE")


def test_a_failed_chain_is_one_failed_member(bench, tasks):
    header = [tasks["fail"].s("why") | tasks["add"].s(1), tasks["ident"].s(1)]
    result = chord(header, tasks["total"].s()).apply_async()
    bench.run()
    with pytest.raises(ChordError, match="raised ValueError"):
        result.get(timeout=0, follow_parents=False)
    with pytest.raises(ValueError, match="why"):
        result.get(timeout=0)
    assert bench.store.group(result.parent.id).failed == 1


def test_error_callbacks(bench, tasks):
    seen = []

    @bench.app.task(name="hears")
    def hears(failed):
        seen.append(failed)

    @bench.app.task(name="sees")
    def sees(request, exc, traceback, note):
        seen.append((request.id, str(exc), "ValueError" in traceback, note))

    chained = chain(tasks["fail"].s("why"), tasks["add"].s(1)).on_error(hears.s()).on_error(sees.s("here"))
    result = chained.apply_async()
    bench.run()
    first = result.parent.id
    assert seen == [(first, "why", True, "here"), first]


def test_error_callbacks_of_a_chord(bench, tasks):
    seen = []

    @bench.app.task(name="sees")
    def sees(request, exc, traceback):
        seen.append((request.id, type(exc).__name__))

    result = chord([tasks["fail"].s("why"), tasks["ident"].s(1)], tasks["total"].s().on_error(sees.s())).apply_async()
    bench.run()
    assert seen == [(result.id, "ChordError")]


def test_ignore_ends_the_later_steps(bench, tasks):
    result = (tasks["give_up"].s() | tasks["add"].s(1)).apply_async()
    bench.run()
    assert result.state == "IGNORED"
    result = chord([tasks["give_up"].s() | tasks["add"].s(1), tasks["ident"].s(1)], tasks["ident"].s()).apply_async()
    assert done(bench, result) == [None, 1]


def test_a_revoked_step_ends_the_later_ones(bench, tasks):
    result = (tasks["ident"].s(1) | tasks["add"].s(1) | tasks["add"].s(1)).apply_async()
    result.parent.revoke()
    bench.run()
    assert result.parent.parent.get(timeout=0) == 1
    assert (result.parent.state, result.state) == ("REVOKED", "REVOKED")
    with pytest.raises(TaskRevokedError):
        result.get(timeout=0)


def test_a_step_revoked_in_the_queue_ends_its_chord(bench, tasks):
    head = tasks["ident"].s(1).set(task_id="head")
    result = chord([head | tasks["add"].s(1), tasks["ident"].s(1)], tasks["total"].s()).apply_async()
    bench.app.AsyncResult("head").revoke()
    bench.run()
    assert result.state == "FAILURE"


def test_an_expired_step_ends_its_chord(bench, tasks):
    head = tasks["ident"].s(1).set(expires=5)
    result = chord([head | tasks["add"].s(1), tasks["ident"].s(1)], tasks["total"].s()).apply_async()
    bench.clock.advance(6)
    bench.run()
    assert result.state == "FAILURE"


def test_replace(bench, tasks):
    @bench.app.task(name="swap", bind=True)
    def swap(self, how, value):
        plans = {
            "task": tasks["add"].s(value, 1),
            "chain": tasks["add"].s(value, 1) | tasks["mul"].s(2),
            "group": group(tasks["ident"].s(value), tasks["ident"].s(value + 1)),
            "chord": chord([tasks["ident"].s(value), tasks["ident"].s(3)], tasks["total"].s()),
        }
        return self.replace(plans[how])

    expected = {"task": 6, "chain": 12, "group": [5, 6], "chord": 8}
    for how, value in expected.items():
        result = swap.delay(how, 5)
        assert done(bench, result) == value, how
        member = chord([swap.s(how, 5), tasks["ident"].s(1)], tasks["ident"].s()).apply_async()
        assert done(bench, member) == [value, 1], how
        like = chord([swap.s(how, 5), swap.s(how, 5)], tasks["ident"].s()).apply_async()
        assert done(bench, like) == [value, value], how
    followed = (swap.s("chain", 5) | tasks["add"].s(1)).apply_async()
    assert done(bench, followed) == 13


def test_replace_by_nothing(bench, tasks):
    @bench.app.task(name="swap", bind=True)
    def swap(self):
        return self.replace(chain([]))

    result = swap.delay()
    bench.run()
    with pytest.raises(ImproperlyConfigured):
        result.get(timeout=0)


def test_members_added_to_a_chord(bench, tasks):
    @bench.app.task(name="more", bind=True)
    def more(self, n):
        for one in range(n):
            self.add_to_chord(tasks["ident"].s(100 + one))
        self.add_to_chord(tasks["ident"].s(1) | tasks["add"].s(1))
        return n

    result = chord([more.s(2), tasks["ident"].s(7)], tasks["ident"].s()).apply_async()
    assert done(bench, result) == [2, 7, 100, 101, 2]
    result = chord([more.s(1), more.s(0)], tasks["ident"].s()).apply_async()
    values = done(bench, result)
    assert values[:2] == [1, 0]
    assert sorted(values[2:]) == [2, 2, 100]
    lonely = more.delay(1)
    with pytest.raises(ValueError, match="chord"):
        done(bench, lonely)


def test_maps_and_chunks(bench, tasks):
    assert done(bench, tasks["ident"].map([1, 2]).apply_async()) == [1, 2]
    assert done(bench, tasks["add"].starmap([(1, 2), (3, 4)]).apply_async()) == [3, 7]
    result = tasks["add"].chunks([(1, 2), (3, 4), (5, 6)], 2)()
    assert done(bench, result) == [[3, 7], [11]]
    result = (tasks["add"].starmap([(1, 2), (3, 4)]) | tasks["total"].s()).apply_async()
    assert done(bench, result) == 10


def test_a_body_may_read_in_pages(bench, tasks):
    kinds = []

    @bench.app.task(name="paged")
    def paged(values: Iterable[int]):
        kinds.append(type(values).__name__)
        return sum(values)

    result = chord((tasks["ident"].s(one) for one in range(2500)), paged.s()).apply_async()
    assert done(bench, result) == sum(range(2500))
    assert kinds == ["LazyValues"]


def test_identities(bench, tasks):
    seen = {}

    @bench.app.task(name="who", bind=True)
    def who(self, *args):
        request = self.request
        seen[request.id] = (request.root_id, request.parent_id, request.group, request.group_index)
        return request.id

    result = (who.s() | who.s() | who.s()).apply_async()
    last = done(bench, result)
    second = result.parent.id
    first = result.parent.parent.id
    assert last == result.id
    assert seen == {
        first: (first, None, None, None),
        second: (first, first, None, None),
        last: (first, second, None, None),
    }


def test_a_workflow_sent_by_a_task_is_the_same_again(bench, tasks):
    @bench.app.task(name="boss")
    def boss():
        made = (tasks["ident"].s(1) | group(tasks["add"].s(1), tasks["mul"].s(2))).apply_async()
        return made.id

    boss.delay()
    claim = bench.claim()[0]
    first, second = bench.execute(claim), bench.execute(claim)
    assert first == second
    assert bench.settle(claim, second) == "ok"
    bench.run()
    assert bench.store.audit() == []
    assert not any(bench.store.counts().get("celery", {}).values())


def test_children_of_a_result(bench, tasks):
    @bench.app.task(name="boss")
    def boss():
        return [tasks["ident"].delay(1).id, tasks["ident"].delay(2).id]

    result = boss.delay()
    ids = done(bench, result)
    assert [one.id for one in result.children] == ids
    head = (tasks["ident"].s(1) | tasks["add"].s(1)).apply_async()
    done(bench, head)
    assert [one.id for one in head.parent.children] == [head.id]


def test_eager_workflows(tasks, bench):
    bench.app.conf.task_always_eager = True
    result = (tasks["add"].s(1, 2) | tasks["mul"].s(2)).apply_async()
    assert result.get() == 6
    assert result.parent.get() == 3
    assert chord([tasks["add"].s(1, 1), tasks["add"].s(2, 2)], tasks["total"].s()).apply_async().get() == 6
    assert (tasks["ident"].s(1) | group(tasks["add"].s(1), tasks["add"].s(2))).apply_async().get() == [2, 3]
    with pytest.raises(ValueError, match="why"):
        (tasks["fail"].s("why") | tasks["add"].s(1)).apply_async()


def test_what_ends_in_a_group_does_not_wait_for_ever(bench, tasks):
    failing = chain(chord([tasks["ident"].s(1)], tasks["fail"].s()), group(tasks["ident"].s(), tasks["ident"].s()))
    result = failing.apply_async()
    bench.run()
    with pytest.raises(ValueError, match="1"):
        result.get(timeout=0)


def test_members_do_not_share_what_the_task_before_them_returned(bench, tasks):
    @bench.app.task(name="append")
    def append(values, one):
        values.append(one)
        return values

    @bench.app.task(name="pair")
    def pair(a, b):
        return [a, b]

    result = (pair.s(1, 2) | group(append.s(i) for i in range(3))).apply_async()
    assert done(bench, result) == [[1, 2, 0], [1, 2, 1], [1, 2, 2]]


def test_a_long_chain_is_only_read_as_far_as_its_next_step(bench, tasks, monkeypatch):
    result = chain(tasks["add"].s(0, 0), *[tasks["add"].s(1) for _ in range(60)]).apply_async()
    read = []
    one = trees._unpacked

    def counted(part):
        read.append(1)
        return one(part)

    monkeypatch.setattr(trees, "_unpacked", counted)
    assert done(bench, result) == 60
    assert len(read) == 60


def test_the_option_chain(bench, tasks):
    result = tasks["add"].apply_async((1, 2), chain=[group(tasks["add"].s(1), tasks["add"].s(2)), tasks["mul"].s(10)])
    bench.run()
    assert result.get(timeout=0) == 3
    (following,) = result.children
    bench.run()
    assert following.get(timeout=0) == 30
    assert [one.get(timeout=0) for one in following.children[0].results] == [31, 32]
    failed = tasks["fail"].apply_async(("no",), chain=[tasks["add"].s(1)])
    bench.run()
    assert failed.state == "FAILURE"
    assert bench.store.audit() == []


def mixed(tasks, last):
    """600 members of two tasks, with `last` behind them: more than go into one act."""
    return [*(tasks["add"].si(i, 1) if i % 2 else tasks["mul"].si(i, 1) for i in range(600)), last]


def test_a_group_whose_last_member_cannot_be_sent_leaves_no_trace(bench, tasks):
    with pytest.raises(TypeError, match="missing"):
        group(mixed(tasks, tasks["add"].si(1))).apply_async()
    inner = group(tasks["ident"].si(1), tasks["add"].si(1)) | tasks["total"].s()
    with pytest.raises(TypeError, match="missing"):
        group(tasks["ident"].si(1), inner).apply_async()
    assert bench.run() == []
    assert bench.store.counts().get("celery", {}).get("waiting", 0) == 0


@pytest.mark.parametrize("like", [False, True])
def test_a_group_behind_a_task_that_cannot_be_sent(bench, tasks, like, monkeypatch):
    """Its sender knew another version of the task, and took no offence."""
    bad = tasks["add"].s()
    members = [tasks["add"].s(i) for i in range(600)] + [bad] if like else mixed(tasks, tasks["add"].si(1))
    if like:
        members[-1] = tasks["add"].s(1, 2)
    with monkeypatch.context() as older:
        older.setattr(tasks["add"], "typing", False)
        result = (tasks["ident"].si(1) | group(members)).apply_async()
    bench.run()
    assert len(result) == 601
    with pytest.raises(TypeError, match="add"):
        result.get(timeout=0)
    assert bench.store.audit() == []
    assert bench.store.counts().get("celery", {}).get("ready", 0) == 0


def test_a_group_behind_a_task_that_is_half_sent_when_an_id_turns_out_to_be_taken(bench, tasks):
    tasks["add"].apply_async((1, 1), task_id="mine")
    bench.run()
    result = (tasks["ident"].si(1) | group(mixed(tasks, tasks["mul"].si(2, 2).set(task_id="mine")))).apply_async()
    bench.run()
    assert result.ready()
    with pytest.raises(PushConflict):
        result.get(timeout=0)
    assert bench.store.audit() == []


def test_a_full_store_delays_a_group_behind_a_task(bench, tasks, monkeypatch):
    result = (tasks["ident"].si(1) | group(tasks["add"].s(i) for i in range(3))).apply_async()
    bench.step()
    group_push = bench.store.group_push

    def full(batch):
        monkeypatch.setattr(bench.store, "group_push", group_push)
        raise StoreFull("no room")

    monkeypatch.setattr(bench.store, "group_push", full)
    assert type(bench.step()) is Snooze
    bench.later(2)
    assert done(bench, result) == [1, 2, 3]


def test_later_steps_go_where_their_sender_knows_that_they_go(bench, tasks):
    """The worker of one step need not know the tasks of the next."""

    @bench.app.task(name="elsewhere", queue="far", priority=3, ignore_result=True)
    def elsewhere(*args):
        return args

    there = Smallage("there", set_as_current=False, task_routes={"routed": {"queue": "by_route", "priority": 7}})
    there.use_store(bench.store)
    for name in ("add", "total"):
        there.task(tasks[name].run, name=name)
    sender, bench.app = bench.app, there
    add = tasks["add"]
    (add.s(1, 1) | elsewhere.s()).apply_async()
    (add.s(1, 2) | group(elsewhere.s(), elsewhere.s(1), add.s(1))).apply_async()
    (add.s(1, 3) | group(elsewhere.s(), elsewhere.s(1))).apply_async()
    add.apply_async((1, 4), link=elsewhere.s())
    add.s(1, "x").on_error(elsewhere.si()).apply_async()
    (add.s(1, 5) | elsewhere.s().set(queue="nearer")).apply_async()
    (add.s(1, 6) | sender.signature("routed")).apply_async()
    bench.run("celery", "far", "nearer", "by_route")
    found = Counter((one.name, one.queue, one.priority) for one in bench.store.find("parked"))
    assert found == {
        ("elsewhere", "far", 3): 7,
        ("elsewhere", "nearer", 3): 1,
        ("routed", "by_route", 7): 1,
    }


def test_what_follows_a_task_does_not_count_as_its_arguments(bench, tasks):
    bench.app.conf.task_payload_limit = 1_000
    result = chain(tasks["add"].s(0, 0), *[tasks["add"].s(1) for _ in range(60)]).apply_async()
    assert done(bench, result) == 60
    with pytest.raises(PayloadTooLarge, match="arguments of add"):
        chain(tasks["add"].s("x" * 1_000, 1), tasks["add"].s(1)).apply_async()


def test_what_ends_a_long_chain_goes_where_its_failing_task_came_from(bench, tasks):
    body = tasks["total"].s().set(queue="far", priority=4)
    later = [tasks["ident"].si(n) for n in range(1_000)]
    result = (chord([tasks["fail"].s("why"), tasks["ident"].s(1)], body) | chain(later)).apply_async()
    bench.run()
    (outcome,) = [outcome for outcome in bench.run("far") if outcome.then]
    (more,) = outcome.then
    assert (more.envelope.queue, more.envelope.priority) == ("far", 4)
    assert result.state == "FAILURE"
    assert not any(bench.store.counts().get("far", {}).values())


def test_a_chord_whose_body_is_an_empty_group(bench, tasks):
    result = chord([tasks["ident"].s(1), tasks["ident"].s(2)], group([], app=bench.app)).apply_async()
    assert done(bench, result) == []
    assert result.parent.get(timeout=0) == [1, 2]


@pytest.fixture
def flaky(bench: Bench) -> set[str]:
    """The task `flaky` fails as long as this holds its name."""
    broken = {"flaky"}

    @bench.app.task(name="flaky")
    def flaky(value):
        if broken:
            raise ValueError(value)
        return value

    return broken


def test_a_failed_step_that_is_sent_round_again_goes_on_with_its_chain(bench, tasks, flaky):
    heard = []

    @bench.app.task(name="hear")
    def hear(request, exc, traceback):
        heard.append(str(exc))

    result = (tasks["add"].s(1, 2) | tasks["flaky"].s() | tasks["add"].s(5) | tasks["mul"].s(2)).apply_async(
        link_error=hear.s()
    )
    bench.run()
    assert (result.state, heard) == ("FAILURE", ["3"])
    flaky.clear()
    assert bench.store.requeue([result.parent.parent.id]) == [True]
    assert done(bench, bench.app.AsyncResult(result.id)) == 16
    assert (bench.app.AsyncResult(result.parent.id).get(timeout=0), heard) == (8, ["3"])


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_failed_member_that_is_sent_round_again_releases_its_chord(bench, tasks, flaky, steps):
    """Also where the member is a chain and an early step failed. The body runs once, with all values."""
    calls = []

    @bench.app.task(name="keep")
    def keep(values):
        calls.append(values)
        return values

    member = chain([tasks["flaky"].s(1), tasks["add"].s(1), tasks["add"].s(1)][:steps])
    result = chord([member, tasks["add"].s(1, 1)], keep.s()).apply_async()
    bench.run()
    assert (result.state, calls) == ("FAILURE", [])
    flaky.clear()
    (failed,) = [view.id for view in bench.store.find("dead") if view.name == "flaky"]
    assert bench.store.requeue([failed]) == [True]
    assert done(bench, bench.app.AsyncResult(result.id)) == [steps, 2]
    assert calls == [[steps, 2]]


def test_a_failed_member_of_a_chord_in_a_chord_is_sent_round_again(bench, tasks, flaky):
    inner = chord([tasks["flaky"].s(1), tasks["add"].s(1, 1)], tasks["total"].s())
    result = chord([inner, tasks["add"].s(0, 1)], tasks["total"].s()).apply_async()
    bench.run()
    assert result.state == "FAILURE"
    flaky.clear()
    assert result.parent.results[0].parent.retry_failed() == 1
    assert bench.store.audit() == []
    assert done(bench, bench.app.AsyncResult(result.id)) == 4


def test_an_expired_step_that_is_sent_round_again_goes_on_with_its_chain(bench, tasks):
    steps = tasks["add"].s(1, 2).set(expires=10) | tasks["add"].s(5)
    alone = steps.apply_async()
    result = chord([steps, tasks["add"].s(0, 1)], tasks["total"].s()).apply_async()
    bench.later(11)
    bench.run()
    assert [one.state for one in (alone, alone.parent, result)] == ["REVOKED", "REVOKED", "FAILURE"]
    assert str(alone.get(timeout=0, propagate=False)) == "expired"
    expired = [view.id for view in bench.store.find("dead") if view.tok == 0 and bench.store.payload(view.id)]
    assert bench.store.requeue(expired) == [True, True]
    assert done(bench, bench.app.AsyncResult(alone.id)) == 8
    assert bench.app.AsyncResult(result.id).get(timeout=0) == 9


@pytest.mark.parametrize("place", ["step", "member", "body", "link", "link of a link", "link of a member", "errback"])
@pytest.mark.parametrize(
    ("option", "error", "text"),
    [
        ({"countdown": -1}, ValueError, "countdown"),
        ({"priority": 10}, ValueError, "priority"),
        ({"queue": "a\nb"}, ImproperlyConfigured, "queue"),
        ({"eta": "soon"}, TypeError, "eta"),
        ({"countdwn": 1}, TypeError, "countdown"),
    ],
)
def test_wrong_options_of_what_comes_later_are_refused_at_the_call(bench, tasks, place, option, error, text):
    """Else the task before it would do its work, and then be told that it failed."""
    wrong, first = tasks["ident"].s().set(**option), tasks["add"].s(1, 2)
    trees_ = {
        "step": first | tasks["ident"].s() | wrong,
        "member": first | group(tasks["ident"].s(), wrong),
        "body": chord([first, tasks["ident"].s(1)], wrong),
        "link": first.clone().set(link=wrong),
        "link of a link": first.clone().set(link=tasks["ident"].s().set(link=wrong)),
        "link of a member": group(first, tasks["ident"].s(1).set(link=[wrong])),
        "errback": tasks["fail"].si().set(link_error=wrong),
    }
    with pytest.raises(error, match=rf"ident.*{text}"):
        trees_[place].apply_async()
    assert bench.run() == []
    assert bench.store.find("ready") == bench.store.find("waiting") == []


def test_arguments_of_what_comes_later_are_checked_at_the_call(bench, tasks):
    @bench.app.task(name="nothing")
    def nothing():
        return "called"

    add, first = tasks["add"], tasks["add"].s(1, 2)
    for wrong in (
        lambda: first | nothing.s(),
        lambda: first | add.s(),
        lambda: first | add.s(1, 2, 3),
        lambda: first | group(add.s(1), add.s()),
        lambda: chord([first, add.s(1, 1)], nothing.s()),
        lambda: chord([first | nothing.s(), add.s(1, 1)], tasks["total"].s()),
        lambda: first.clone().set(link=nothing.s()),
        lambda: first.clone().set(link=add.s(1) | nothing.s()),
    ):
        with pytest.raises(TypeError, match=r"nothing\(\)|add\(a, b\)"):
            wrong().apply_async()
    with pytest.raises(TypeError, match=r"nothing\(\)"):
        add.fan_out([(1, 1)], then=nothing.s())
    with pytest.raises(TypeError, match=r"nothing\(\)"):
        add.apply_async((1, 2), link=nothing.s())
    assert bench.run() == []
    fine = first.clone().set(link=nothing.si(), link_error=nothing.s()) | nothing.si()
    assert done(bench, fine.apply_async()) == "called"
    assert done(bench, chord([first, add.s(1, 1)], nothing.si()).apply_async()) == "called"
    assert done(bench, (first | bench.app.signature("elsewhere", ()) | add.s(1)).apply_async().parent.parent) == 3


@pytest.mark.parametrize("expires", [0, -5, 0.0])
def test_what_expires_at_once_does_not_run(bench, tasks, expires):
    result = tasks["add"].apply_async((1, 2), expires=expires)
    bench.later(1)
    bench.run()
    assert result.state == "REVOKED"


def test_an_own_apply_async_is_told_that_workflows_do_not_ask_it(bench):
    calls = []

    class Counted(Task):
        def apply_async(self, *args, **kwargs):
            calls.append(args)
            return super().apply_async(*args, **kwargs)

    task = bench.app.task(name="counted", base=Counted)(lambda n=0: n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.delay(1)
        task.s(2).apply_async()
    assert len(calls) == 2
    with pytest.warns(SmallageWarning, match=r"Counted\.apply_async is called for single calls, not for later steps"):
        (task.s(1) | task.s()).apply_async()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group(task.s(1), task.s(2)).apply_async()
    assert len(calls) == 2
