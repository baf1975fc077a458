"""The fake clock, faulty stores, moments and histories do what tests rely on."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from smallage import testing
from smallage.core import moments
from smallage.core.errors import StoreFull, StoreUnavailable
from smallage.core.message import FOLLOW_ANY, Done, End, Envelope, Message, settlement
from smallage.stores import base
from smallage.stores.base import ClaimRequest, GroupBatch, LimitSpec, SessionInfo, Store
from smallage.testing import FakeClock, FaultyStore, History, HistoryStore
from smallage.testing.history import ENV

GROUP = "00000000-0000-4000-8000-000000000001"


def task(task_id: str, payload: bytes = b"") -> Message:
    return Message(task_id, payload, Envelope(name="add"))


@pytest.fixture
def store() -> Store:
    opened = base.open("memory://", clock=FakeClock())
    opened.setup()
    opened.announce("s1", SessionInfo())
    return opened


# -- the clock ---------------------------------------------------------------------------------------------------------


def test_the_clock_stands_until_it_is_moved() -> None:
    clock = FakeClock(1_000_000)
    assert [clock(), clock()] == [1_000_000, 1_000_000]
    assert clock.advance(1.5) == 2_500_000
    assert clock.advance(us=1) == 2_500_001
    assert clock.back(2, us=1) == clock() == clock.now_us == 500_000


def test_the_clock_is_moved_by_many_threads() -> None:
    clock = FakeClock(0)
    threads = [threading.Thread(target=lambda: [clock.advance(us=1) for _ in range(1_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock() == 4_000


# -- faulty stores -----------------------------------------------------------------------------------------------------


def test_a_fault_before_sending_leaves_the_store_alone(store: Store) -> None:
    faulty = FaultyStore(store)
    fault = faulty.fail("push")
    with pytest.raises(StoreUnavailable):
        faulty.push([task("1")])
    assert store.state(["1"]) == [None]
    assert faulty.push([task("1")]) == ["ok"]
    assert (fault.seen, fault.hits) == (2, 1)


def test_a_lost_reply_leaves_the_act_done(store: Store) -> None:
    faulty = FaultyStore(store)
    faulty.fail("push", after=True)
    with pytest.raises(StoreUnavailable):
        faulty.push([task("1")])
    assert faulty.push([task("1")]) == ["dup"]


def test_the_nth_call_and_for_some_time(store: Store) -> None:
    faulty = FaultyStore(store)
    faulty.fail("workers", nth=2, times=2)
    outcomes = []
    for _ in range(5):
        try:
            faulty.workers()
            outcomes.append("ok")
        except StoreUnavailable:
            outcomes.append("cut")
    assert outcomes == ["ok", "cut", "cut", "ok", "ok"]


def test_an_outage_lasts_until_it_is_healed(store: Store) -> None:
    faulty = FaultyStore(store)
    faulty.fail(times=None)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            faulty.counts()
        with pytest.raises(StoreUnavailable):
            faulty.push([])
    faulty.heal()
    assert faulty.push([]) == []


def test_calls_are_picked_by_a_predicate_and_fail_as_asked(store: Store) -> None:
    faulty = FaultyStore(store)
    faulty.fail(lambda call: call.verb == "push" and len(call.args[0]) > 1, error=lambda: StoreFull("no room"))
    assert faulty.push([task("1")]) == ["ok"]
    with pytest.raises(StoreFull):
        faulty.push([task("2"), task("3")])
    assert [call.verb for call in faulty.calls] == ["push", "push"]


def test_hooks_stand_around_the_act(store: Store) -> None:
    faulty = FaultyStore(store)
    seen: list[object] = []
    faulty.before.append(lambda call: seen.append((call.verb, store.state(["1"]))))
    faulty.after.append(lambda call, answer: seen.append((call.verb, answer)))
    faulty.push([task("1")])
    assert seen == [("push", [None]), ("push", ["ok"])]


def test_attributes_and_closing_pass_through(store: Store) -> None:
    faulty = FaultyStore(store)
    faulty.fail(times=None)
    assert faulty.url == store.url
    faulty.nudge("s1")
    faulty.after_fork()
    faulty.close()


# -- moments -----------------------------------------------------------------------------------------------------------


def ten_claims() -> None:
    for n in range(10):
        moments.mark("claimed", str(n), n)


def test_a_moment_is_awaited_from_another_thread() -> None:
    with testing.expect("claimed", "7") as moment:
        thread = threading.Thread(target=ten_claims)
        thread.start()
        assert moment.wait() == ("7", 7)
        thread.join()
    assert moment.seen == [("7", 7)]


def test_a_moment_that_does_not_come_fails_the_test() -> None:
    with testing.expect("never") as moment, pytest.raises(AssertionError, match="'never' came 0 times"):
        moment.wait(0.01)


def test_several_moments_are_counted() -> None:
    with testing.expect("step") as moment:
        for n in range(3):
            moments.mark("step", n)
        assert moment.wait(count=2) == (1,)
        with pytest.raises(AssertionError):
            moment.wait(0.01, count=4)


def test_nobody_listens_after_the_block() -> None:
    with testing.expect("step") as moment:
        pass
    moments.mark("step")
    assert moment.seen == []


def test_code_is_held_at_a_moment() -> None:
    passed = threading.Event()

    def work() -> None:
        moments.mark("settling")
        passed.set()

    with testing.hold("settling") as held:
        thread = threading.Thread(target=work)
        thread.start()
        held.wait()
        assert not passed.is_set()
        held.release()
        thread.join(30)
    assert passed.is_set()


def test_the_end_of_the_block_lets_the_code_go_on() -> None:
    with testing.hold("settling") as held:
        thread = threading.Thread(target=lambda: moments.mark("settling"))
        thread.start()
        held.wait()
    thread.join(30)
    assert not thread.is_alive()


# -- histories ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history"))


def lines(history: History) -> list[tuple[object, ...]]:
    events = History.read(history.path)
    assert {event["pid"] for event in events} <= {os.getpid()}
    return [(e["event"], e["act"], e.get("id"), e.get("verdict")) for e in events]


def test_a_task_from_push_to_settle(store: Store, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV, history.path)
    told = HistoryStore(store)
    told.push([task("1")])
    (claim,) = told.claim("s1", ClaimRequest(("celery",), 1, "n")).claims
    testing.started(claim, "s1")
    told.settle("s1", [settlement(claim, Done(b"", (task("2"),)))], ClaimRequest(("celery",), 1, "n2"))
    told.settle("s1", [settlement(claim, Done())])
    assert lines(history) == [
        ("invoke", "push", "1", None),
        ("ok", "push", "1", "ok"),
        ("claim", "claim", "1", None),
        ("start", "start", "1", None),
        ("invoke", "settle", "1", None),
        ("invoke", "push", "2", None),
        ("ok", "settle", "1", "ok"),
        ("ok", "push", "2", "ok"),
        ("claim", "claim", "2", None),
        ("invoke", "settle", "1", None),
        ("ok", "settle", "1", "dup"),
    ]


def test_refused_and_doubtful_pushes(store: Store, history: History) -> None:
    faulty = FaultyStore(store)
    told = HistoryStore(faulty, history)
    told.push([task("1")])
    told.push([task("1", b"other"), task("2"), task("1")])
    faulty.fail("push", after=True)
    with pytest.raises(StoreUnavailable):
        told.push([task("3")])
    faulty.fail("push", error=lambda: StoreFull("no room"))
    with pytest.raises(StoreFull):
        told.push([task("4")])
    assert [line for line in lines(history)[2:] if line[0] != "invoke"] == [
        ("fail", "push", "1", "conflict"),
        ("fail", "push", "2", "ok"),
        ("ok", "push", "1", "dup"),
        ("info", "push", "3", None),
        ("fail", "push", "4", None),
    ]


def test_groups_and_operators(store: Store, history: History) -> None:
    told = HistoryStore(store, history)
    told.group_push(GroupBatch(id=GROUP, template=task(""), rows=(b"a", b"b"), seal=True, body=task("body")))
    told.revoke([f"{GROUP}.0"])
    told.requeue(["body"])
    told.purge("celery")
    got = [line for line in lines(history) if line[0] != "invoke"]
    assert got == [
        ("ok", "push", f"{GROUP}.0", "ok"),
        ("ok", "push", f"{GROUP}.1", "ok"),
        ("ok", "push", "body", "ok"),
        ("ok", "revoke", f"{GROUP}.0", "cancelled"),
        ("ok", "requeue", "body", False),
        ("ok", "purge", None, None),
    ]


def test_what_follows_and_what_is_given_an_end(store: Store, history: History) -> None:
    told = HistoryStore(store, history)
    first = Message("1", b"", Envelope(name="add", follow=FOLLOW_ANY))
    told.push([first])
    told.revoke(["1"])
    (claim,) = told.claim("s1", ClaimRequest(("celery",), 1, "n")).claims
    told.settle("s1", [settlement(claim, Done(None, (), (End("2", "dead", reason="upstream"),)))])
    assert [line for line in lines(history)[3:] if line[0] != "invoke"] == [
        ("ok", "push", "after:1:1", "ok"),
        ("claim", "claim", "after:1:1", None),
        ("ok", "settle", "after:1:1", "ok"),
        ("ok", "push", "2", "ok"),
    ]


def test_ticks_of_schedules(store: Store, history: History) -> None:
    faulty = FaultyStore(store)
    told = HistoryStore(faulty, history)
    told.fire("s", 1, task("1"))
    told.schedule_put("s", b"spec")
    told.fire("s", 1, task("2"))
    told.fire("s", 1, task("3"))
    told.fire("s", 2, task("4"), skip=True)
    faulty.fail("fire", after=True)
    with pytest.raises(StoreUnavailable):
        told.fire("s", 3, task("5"))
    assert [line for line in lines(history) if line[0] != "invoke"] == [
        ("fail", "push", "1", "unknown"),
        ("ok", "push", "2", "fired"),
        ("info", "push", "3", "late"),
        ("info", "push", "5", None),
    ]


def test_a_line_cut_short_by_a_kill_is_left_out(history: History) -> None:
    history.append("invoke", "push", id="1")
    with open(history.path, "a", encoding="utf-8") as file:
        file.write('{"pid": 1, "event": "ok", "act"')
    assert len(History.read(history.path)) == 1


def test_nothing_is_written_without_a_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENV, raising=False)
    with pytest.raises(ValueError, match=ENV):
        HistoryStore(store)
    store.push([task("1")])
    (claim,) = store.claim("s1", ClaimRequest(("celery",), 1, "n")).claims
    testing.started(claim)


def test_every_verb_is_passed_on(store: Store, history: History) -> None:
    """A wrapper that forgot one would hide a store's newer verbs from tests."""
    verbs = [name for name in dir(Store) if not name.startswith("_") and callable(getattr(Store, name))]
    assert {"limit", "limits", "fire", "schedules", "answer", "answers", "group_push"} <= set(verbs)
    for wrapper in (FaultyStore(store), HistoryStore(store, history)):
        assert all(callable(getattr(wrapper, verb)) for verb in verbs)
        wrapper.limit("task:add", LimitSpec(1))
        wrapper.schedule_put("s", b"spec", "app")
        wrapper.answer("ticket", "node", b"data")
        assert wrapper.limits() == store.limits() != {}
        assert wrapper.schedules() == store.schedules() != []
        assert wrapper.answers("ticket") == {"node": b"data"}
