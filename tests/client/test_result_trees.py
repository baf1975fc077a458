# mypy: disable-error-code="var-annotated, override, union-attr, call-overload, misc, name-defined, arg-type"
"""Children and parents of results, metas, messages, ids as plain data, results that are handed in."""

from __future__ import annotations

import copy
import json
import threading

import pytest

from smallage import group
from smallage.core.errors import IncompleteStream, TaskRevokedError
from smallage.result import EagerResult, result_from_tuple


@pytest.fixture
def grow(bench):
    @bench.app.task(name="grow")
    def grow(depth):
        if depth:
            grow.delay(depth - 1)
        return depth

    return grow


def test_a_tree_breadth_first(bench, grow):
    @bench.app.task(name="root")
    def root():
        grow.delay(1)
        group(grow.s(0), grow.s(0)).apply_async()
        return "root"

    result = root.delay()
    assert not result.children
    with pytest.raises(IncompleteStream):
        list(result.iterdeps())
    bench.run()
    assert [value for _, value in result.collect()] == ["root", 1, [0, 0], 0, 0, 0]
    assert [(up and up.id, down.id) for up, down in result.iterdeps()][:2] == [
        (None, result.id),
        (result.id, result.children[0].id),
    ]
    assert result.get_leaf() == 0
    assert result.graph[result] == result.children
    assert result.children[0].children[0].children == []


def test_trees_that_are_not_all_there(bench, grow):
    @bench.app.task(name="late")
    def late():
        grow.apply_async((0,), countdown=60)

    result = late.delay()
    bench.run()
    with pytest.raises(IncompleteStream):
        list(result.iterdeps())
    with pytest.raises(TimeoutError):
        list(result.collect(timeout=0))
    assert len(list(result.iterdeps(intermediate=True))) == 2
    bench.later(61)
    bench.run()
    assert [value for _, value in result.collect()] == [None, 0]


def test_children_of_a_failure_are_kept_too(bench, grow):
    @bench.app.task(name="fails")
    def fails():
        grow.delay(0)
        raise ValueError("no")

    result = fails.delay()
    bench.run()
    assert [one.get() for one in result.children] == [0]
    with pytest.raises(ValueError, match="no"):
        result.get()


def test_trail_and_add_to_parent(bench, grow):
    @bench.app.task(name="quiet", trail=False)
    def quiet():
        grow.delay(0)

    @bench.app.task(name="choosy", bind=True)
    def choosy(self):
        grow.apply_async((0,), add_to_parent=False)
        return self.add_trail(grow.apply_async((0,), add_to_parent=False)).id

    one, other = quiet.delay(), choosy.delay()
    bench.run()
    assert (one.children, [child.id for child in other.children]) == ([], [other.get()])


def test_ids_as_plain_data(bench, grow):
    result = (grow.si(0) | grow.si(0) | group(grow.si(0), grow.si(0))).apply_async()
    packed = json.loads(json.dumps(result.as_tuple()))
    again = result_from_tuple(packed, bench.app)
    assert again == result
    assert again.parent == result.parent
    assert again.as_list() == result.as_list() == [result.id, result.parent.id, result.parent.parent.id]
    assert result_from_tuple(result) is result
    bench.run()
    assert again.get() == [0, 0]
    assert copy.copy(again.parent) == copy.deepcopy(again.parent) == again.parent


def test_forgetting_parents(bench, grow):
    result = (grow.si(0) | grow.si(0)).apply_async()
    bench.run()
    result.forget()
    assert [result.state, result.parent.state] == ["PENDING", "PENDING"]


def test_the_call_is_kept_if_the_settings_say_so(bench, grow):
    bench.app.conf.result_extended = True
    result = grow.delay(depth=0)
    assert (result.args, result.kwargs) == (None, None)
    bench.run()
    assert (result.name, result.args, result.kwargs, result.retries) == ("grow", [], {"depth": 0}, 0)
    assert (result.worker, result.queue) == ("bench@here", "celery")
    meta = bench.app.backend.get_task_meta(result.id)
    assert (meta["name"], meta["kwargs"], meta["worker"], meta["children"]) == ("grow", {"depth": 0}, "bench@here", [])


def test_messages_of_a_result(bench):
    shown = threading.Event()

    @bench.app.task(bind=True, track_started=True)
    def work(self):
        self.update_state(state="HALF", meta={"n": 1})
        shown.wait(30)
        return 5

    result = work.delay()
    assert result.state == "PENDING"
    metas = []

    def on_message(meta):
        metas.append((meta["status"], meta["result"]))
        if meta["status"] == "HALF":
            shown.set()

    thread = threading.Thread(target=bench.run)
    thread.start()
    assert result.get(timeout=30, on_message=on_message) == 5
    thread.join(30)
    assert metas[-1] == ("SUCCESS", 5)
    assert ("HALF", {"n": 1}) in metas


def test_a_tracked_start(bench):
    seen = []

    @bench.app.task(bind=True, track_started=True)
    def work(self):
        seen.append(bench.app.AsyncResult(self.request.id))
        seen.append((seen[0].state, sorted(seen[0].info)))

    work.delay()
    bench.run()
    assert seen[1] == ("STARTED", ["hostname", "pid"])


def test_something_is_called_while_waiting(bench, grow):
    result = grow.delay(0)
    calls = []

    def step():
        calls.append(1)
        bench.run()

    assert result.get(timeout=30, on_interval=step, interval=0.01) == 0
    assert calls


# -- handed in ----------------------------------------------------------------------------------------------------
def test_results_are_handed_in(bench):
    backend = bench.app.backend
    assert backend.store_result("a", {"n": 1}, "SUCCESS") == {"n": 1}
    assert bench.app.AsyncResult("a").get() == {"n": 1}
    backend.store_result("a", 2, "SUCCESS")
    assert backend.get_result("a") == {"n": 1}  # a good end stays
    backend.store_result("b", ValueError("no"), "FAILURE", "text")
    with pytest.raises(ValueError, match="no"):
        bench.app.AsyncResult("b").get()
    backend.mark_as_done("b", 7)
    assert backend.get_result("b") == 7
    backend.store_result("c", None, "REVOKED")
    with pytest.raises(TaskRevokedError):
        bench.app.AsyncResult("c").get()
    for n in (1, 2):
        backend.store_result("d", {"n": n}, "ODD")
        assert (backend.get_state("d"), backend.get_result("d"), bench.app.AsyncResult("d").ready()) == (
            "ODD",
            {"n": n},
            False,
        )
    assert bench.store.audit() == []
    assert bench.run() == []


def test_results_are_returned_as_plain_data(bench, grow):
    @bench.app.task(name="gives", bind=True)
    def gives(self):
        return (grow.si(0) | grow.si(0)).apply_async()

    result = gives.delay()
    bench.run()
    assert result_from_tuple(result.get(), bench.app).get() == 0


def test_an_eager_result_of_ones_own():
    good, bad = EagerResult("id", 5, "SUCCESS", name="n"), EagerResult("id", ValueError("x"), "FAILURE", "text")
    assert (good.get(), good.ready(), good.successful(), good.name, good.id) == (5, True, True, "n", "id")
    assert (bad.failed(), bad.traceback) == (True, "text")
    with pytest.raises(ValueError, match="x"):
        bad.get()
    assert isinstance(copy.copy(bad).get(propagate=False), ValueError)
    good.revoke()
    assert good.state == "REVOKED"
    with pytest.raises(Exception, match="text that is no error"):
        EagerResult("id", "text that is no error", "FAILURE").get()
