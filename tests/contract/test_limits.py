"""Limits: how fast tasks of a name are handed out, over all workers."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from smallage.core.message import FOLLOW_ANY, Crashed, Done, Released, Retry, settlement
from smallage.stores.base import MAX_HELD_BACK, GroupBatch, LimitSpec, LimitView, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, like_group, live, results, seat, task, uid, view

G = uid(100)
ADD = "task:add"
SLACK = 20_000


def second(tokens: int = 1, burst: int = 1) -> LimitSpec:
    return LimitSpec(tokens, SECOND, burst)


def held_back(store: Store, key: str = ADD) -> int:
    return store.limits([key])[key].held_back


# -- setting and reading ----------------------------------------------------------------------------------------------


def test_no_limits(store: Store) -> None:
    assert store.limits() == {}
    assert store.limits(["a"]) == {}


def test_defaults_and_overrides(store: Store) -> None:
    store.limit("a", second(3), default=True)
    store.limit("b", LimitSpec(1, 60 * SECOND, 5))
    store.limit("a", second(7))
    a = LimitView("a", second(3), second(7))
    b = LimitView("b", None, LimitSpec(1, 60 * SECOND, 5))
    assert store.limits() == {"a": a, "b": b}
    assert store.limits(["a", "x"]) == {"a": a}
    assert a.effective == second(7)
    store.limit("a", None)
    assert store.limits(["a"])["a"] == LimitView("a", second(3))
    store.limit("a", None, default=True)
    store.limit("b", None)
    assert store.limits() == {}


def test_no_limit_of_an_operator_s_over_a_default(store: Store, worker: Session) -> None:
    store.limit(ADD, second(), default=True)
    store.limit(ADD, LimitSpec(0))
    store.push([task(n) for n in range(3)])
    assert len(worker.claim(10)) == 3
    assert store.limits()[ADD].effective is None
    store.limit(ADD, None)
    assert store.limits()[ADD].effective == second()


def test_removing_what_is_not_there(store: Store) -> None:
    store.limit("a", None)
    assert store.limits() == {}


@pytest.mark.parametrize("numbers", [(-1, 1, 1), (1, 0, 1), (1, 1, 0), (1, 2**60, 1), (1, 2**40, 2**20)])
def test_what_is_no_rate(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="a limit takes"):
        LimitSpec(*numbers)


def test_the_distance_of_tokens() -> None:
    assert [LimitSpec(*n).every_us for n in ((1, 10), (3, 10), (10, 3), (0, 10))] == [10, 4, 1, 0]


# -- handing out ------------------------------------------------------------------------------------------------------


def test_one_a_second(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    store.push([task(n) for n in range(4)])
    answer = store.claim("s1", worker.request(10))
    assert [c.id for c in answer.claims] == [uid(0)]
    assert answer.next_due_us == clock() + SECOND - SLACK, "lateness up to the slack is made good"
    assert held_back(store) == 3
    clock.advance(us=SECOND - SLACK - 1)
    assert worker.claim(10) == []
    clock.advance(us=1)
    assert worker.ids(10) == [uid(1)]
    assert worker.claim(10) == []
    clock.advance(us=SECOND)
    assert worker.ids(10) == [uid(2)]
    clock.advance(us=SECOND)
    assert worker.ids(10) == [uid(3)]
    assert held_back(store) == 0
    assert store.claim("s1", worker.request()).next_due_us is None


def test_lateness_within_the_slack_does_not_add_up(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second(10))
    store.push([task(n) for n in range(50)])
    start = clock()
    assert worker.ids(10) == [uid(0)]
    for n in range(1, 50):
        due = store.claim("s1", worker.request()).next_due_us
        assert due is not None
        clock.advance(us=due - clock() + 15_000)
        assert worker.ids(10) == [uid(n)]
    assert start + 49 * 100_000 - SLACK <= clock() <= start + 49 * 100_000 + 15_000


def test_a_burst_after_a_pause(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second(1, burst=3))
    store.push([task(n) for n in range(10)])
    assert len(worker.claim(10)) == 3
    clock.advance(1)
    assert len(worker.claim(10)) == 1
    clock.advance(60)
    assert worker.ids(10) == [uid(4), uid(5), uid(6)], "no more than a burst, however long the pause"


def test_what_is_held_back_is_ready_for_readers(store: Store, worker: Session) -> None:
    store.limit(ADD, second())
    store.push([task(n) for n in range(3)])
    worker.claim(1)
    worker.claim(1)
    seen = view(store, 2)
    assert (seen.state, seen.due_us, seen.session, seen.releases) == ("ready", None, None, 0)
    assert store.counts()["celery"] == {"ready": 2, "running": 1}
    assert {found.id for found in store.find("ready")} == {uid(1), uid(2)}
    assert store.payload(uid(2)) == (b"work", None)
    assert store.push([task(2)]) == ["dup"]


def test_others_go_on(store: Store, worker: Session) -> None:
    store.limit(ADD, second())
    store.push([task(n, name=("add", "mul")[n % 2]) for n in range(6)])
    assert worker.ids(10) == [uid(n) for n in (0, 1, 3, 5)]
    assert held_back(store) == 2


def test_a_claim_that_finds_enough_leaves_the_rest(store: Store, worker: Session) -> None:
    store.limit(ADD, second())
    store.push([task(n, name="mul" if n == 2 else "add") for n in range(4)])
    worker.claim(1)
    assert worker.ids(1) == [uid(2)]
    assert held_back(store) == 1
    assert worker.claim(1) == []
    assert held_back(store) == 2


def test_held_back_ones_keep_their_order_before_later_ones(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    store.push([task(n) for n in range(3)])
    worker.claim(10)
    store.push([task(3), task(4, name="mul")])
    clock.advance(1)
    assert worker.ids(1) == [uid(1)]
    assert worker.ids(10) == [uid(4)]
    clock.advance(1)
    assert worker.ids(10) == [uid(2)]
    clock.advance(1)
    assert worker.ids(10) == [uid(3)]


def test_priorities_come_first(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    store.push([task(1, priority=5), task(2, priority=5), task(3, priority=9)])
    assert worker.ids(10) == [uid(1)]
    store.push([task(4, priority=0), task(5, priority=5)])
    clock.advance(1)
    assert worker.ids(10) == [uid(4)]
    for n in (2, 5, 3):
        clock.advance(1)
        assert worker.ids(10) == [uid(n)]


def test_held_back_ones_come_before_the_line_of_their_priority(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    store.push([task(1), task(2)])
    worker.claim(10)
    store.push([task(3, name="mul"), task(4, name="mul", priority=1)])
    clock.advance(1)
    assert worker.ids(10) == [uid(2), uid(3), uid(4)]


def test_keys_come_by_name(store: Store, worker: Session, clock: FakeClock) -> None:
    for name in ("b", "a", "c"):
        store.limit("task:" + name, second())
        store.push([task(ord(name) * 10 + n, name=name) for n in range(2)])
    assert len(worker.claim(10)) == 3
    clock.advance(1)
    assert [c.name for c in worker.claim(10)] == ["a", "b", "c"]


def test_two_queues_share_a_key(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    store.push([task(n, queue=("a", "b")[n % 2]) for n in range(6)])
    assert worker.ids(10, "a", "b") == [uid(0)]
    assert held_back(store) == 5
    clock.advance(1)
    assert worker.ids(10, "b", "a") == [uid(1)]
    clock.advance(1)
    assert worker.ids(10, "a") == [uid(2)]
    assert worker.ids(10, "b") == []
    clock.advance(1)
    assert worker.ids(10, "b") == [uid(3)]


def test_two_workers_share_a_key(store: Store, worker: Session, clock: FakeClock) -> None:
    other = Session(store, "s2")
    store.limit(ADD, second(1, burst=2))
    store.push([task(n) for n in range(5)])
    assert [worker.ids(1), other.ids(10), worker.ids(1)] == [[uid(0)], [uid(1)], []]
    clock.advance(1)
    assert [other.ids(10), worker.ids(10)] == [[uid(2)], []]


def test_a_repeated_claim_pays_nothing(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second(1, burst=2))
    store.push([task(n) for n in range(3)])
    request = worker.request(1)
    first, again = (store.claim("s1", request).claims for _ in range(2))
    assert first == again
    assert worker.ids(10) == [uid(1)]


@pytest.mark.parametrize("outcome", [Retry(), Released(), Crashed(b"x")])
def test_every_run_pays(store: Store, worker: Session, clock: FakeClock, outcome: Retry | Released | Crashed) -> None:
    store.limit(ADD, second())
    store.push([task(1)])
    worker.run(outcome)
    assert worker.claim() == []
    assert held_back(store) == 1
    clock.advance(1)
    assert worker.ids() == [uid(1)]


def test_a_lost_run_pays_again(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second(1))
    store.push([task(1)])
    worker.one()
    other = Session(store, "s2")
    store.tick(["s2"], ["s1"])
    assert other.claim() == []
    clock.advance(1)
    assert other.one().lost == 1


def test_settle_and_claim_pay_too(store: Store, worker: Session) -> None:
    store.limit(ADD, second())
    store.push([task(1), task(2)])
    claim = worker.one()
    settled = store.settle("s1", [settlement(claim, Done())], worker.request(10))
    assert settled.claimed.claims == ()
    assert settled.claimed.next_due_us is not None


def test_seats_and_scheduled_ones_pay_as_they_run(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    store.push([seat(1, name="other"), task(2, delay_us=5 * SECOND)])
    store.push([task(1)])
    assert worker.ids(10) == [uid(1)]
    clock.advance(5)
    worker.tick()
    store.push([task(3)])
    assert worker.ids(10) == [uid(2)]
    assert held_back(store) == 1


def test_follow_ups_are_under_no_limit(store: Store, worker: Session) -> None:
    store.limit(ADD, second())
    store.push([task(n, follow=FOLLOW_ANY) for n in range(3)])
    worker.claim(1)
    store.revoke([uid(1), uid(2)])
    assert [c.after for c in worker.claim(10)] == [uid(2), uid(1)]


def test_a_filled_seat_is_under_its_new_name(store: Store, worker: Session) -> None:
    store.limit(ADD, second())
    store.push([seat(1, name="add"), seat(2, name="add")])
    store.push([task(1, name="mul"), task(2, name="mul")])
    assert len(worker.claim(10)) == 2


# -- what happens to those that wait ----------------------------------------------------------------------------------


def waiting(store: Store, worker: Session, n: int = 3, **env: Any) -> None:
    """Tasks 1 to n held back; task 0 runs."""
    store.limit(ADD, second())
    store.push([task(i, **env) for i in range(n + 1)])
    assert worker.ids(10) == [uid(0)]
    assert held_back(store) == n


def test_revoke(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker)
    assert store.revoke([uid(1), uid(3)]) == ["cancelled", "cancelled"]
    assert held_back(store) == 1
    clock.advance(1)
    assert worker.ids(10) == [uid(2)]


def test_when_the_last_one_goes_nothing_comes_due(store: Store, worker: Session) -> None:
    waiting(store, worker, 1)
    store.revoke([uid(1)])
    answer = store.claim("s1", worker.request())
    assert (answer.next_due_us, held_back(store)) == (None, 0)


def test_purge(store: Store, worker: Session) -> None:
    waiting(store, worker)
    assert store.purge("celery") == 3
    assert held_back(store) == 0
    assert store.counts().get("celery", {}).get("ready", 0) == 0


def test_expiry_pays_nothing(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker, 2, expires_in_us=SECOND)
    store.push([task(9)])
    clock.advance(1)
    assert worker.ids(10) == [uid(9)]
    assert [view(store, n).reason for n in (1, 2)] == ["expired", "expired"]


def test_what_follows_an_expired_task_that_was_held_back_comes_in_its_turn(
    store: Store, worker: Session, clock: FakeClock
) -> None:
    store.limit(ADD, LimitSpec(1, 60 * SECOND))
    store.push([task(0)])
    worker.claim(1)
    store.push([task(1, priority=5, follow=2, expires_in_us=SECOND)])
    assert worker.claim() == []
    store.push([task(2, name="other", queue="b")])
    clock.advance(61)
    first, second = worker.claim(2, "celery", "b")
    assert (first.after, second.id) == (uid(1), uid(2))


def test_what_is_expired_is_not_held_back(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, LimitSpec(1, 60 * SECOND))
    store.push([task(0)])
    worker.claim(1)
    store.push([task(1, expires_in_us=SECOND)])
    clock.advance(1)
    assert worker.claim(10) == []
    assert (view(store, 1).reason, held_back(store)) == ("expired", 0)


def test_pause(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker)
    store.pause("celery")
    clock.advance(5)
    assert worker.claim(10) == []
    store.resume("celery")
    assert worker.ids(10) == [uid(1)]


def test_a_queue_nobody_serves_keeps_no_token(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    store.push([task(1, queue="a"), task(2, queue="nobody"), task(3, queue="a"), task(4, queue="a")])
    assert worker.ids(10, "a") == [uid(1)]
    assert worker.ids(10, "nobody") == []
    for n in (3, 4):
        clock.advance(1)
        assert worker.ids(10, "a") == [uid(n)]
    clock.advance(1)
    answer = store.claim("s1", worker.request(10, "a"))
    assert answer.claims == ()
    assert answer.next_due_us is None, "no reason to come back at once, again and again"
    assert worker.ids(10, "nobody") == [uid(2)]


def test_groups_are_revoked(store: Store, worker: Session) -> None:
    members = tuple(task(n, group=G, index=n) for n in range(3))
    store.limit(ADD, second())
    store.group_push(GroupBatch(id=G, members=members, seal=True, body=task(9, name="body")))
    claim = worker.claim(10)[0]
    assert store.group_revoke(G) == 2
    assert held_back(store) == 0
    worker.settle(claim, Done())
    assert worker.one().body_of == G


# -- the cursor of like members ---------------------------------------------------------------------------------------


def test_a_group_goes_by_its_cursor(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second(1, burst=2))
    like_group(store, rows=4, body=task(9, name="body"))
    assert worker.ids(10) == [f"{G}.0", f"{G}.1"]
    assert held_back(store) == 1
    assert [r.state for r in results(store, G)] == ["running", "running", "ready", "ready"]
    assert store.counts()["celery"] == {"ready": 2, "running": 2, "waiting": 1}
    for n in (2, 3):
        clock.advance(1)
        assert worker.ids(10) == [f"{G}.{n}"]
    assert held_back(store) == 0


def test_a_cursor_keeps_its_place(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    like_group(store, rows=3)
    store.push([task(1)])
    ids = worker.ids(10)
    for _ in range(3):
        clock.advance(1)
        ids += worker.ids(10)
    assert ids == [f"{G}.0", f"{G}.1", f"{G}.2", uid(1)]


def test_rows_added_to_a_cursor_that_is_held_back(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    like_group(store, rows=2, seal=False)
    assert worker.ids(10) == [f"{G}.0"]
    assert (
        store.group_push(GroupBatch(id=G, template=task(0, b"template"), offset=2, rows=(b"row-2",), seal=True)) == "ok"
    )
    assert held_back(store) == 1
    assert worker.claim(10) == []
    for n in (1, 2):
        clock.advance(1)
        assert worker.ids(10) == [f"{G}.{n}"]


def test_rows_added_after_a_cursor_was_used_up(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    like_group(store, rows=2, seal=False)
    worker.claim(10)
    clock.advance(1)
    assert worker.ids(10) == [f"{G}.1"]
    assert held_back(store) == 0
    store.group_push(GroupBatch(id=G, template=task(0, b"template"), offset=2, rows=(b"row-2",), seal=True))
    assert worker.claim(10) == []
    clock.advance(1)
    assert worker.ids(10) == [f"{G}.2"]


@pytest.mark.parametrize("way", ["group_revoke", "purge", "revoke"])
def test_a_cursor_that_is_held_back_goes_with_its_rows(store: Store, worker: Session, way: str) -> None:
    store.limit(ADD, second())
    like_group(store, rows=3)
    worker.claim(10)
    match way:
        case "group_revoke":
            store.group_revoke(G)
        case "purge":
            store.purge("celery")
        case _:
            store.revoke([f"{G}.1", f"{G}.2"])
    assert held_back(store) == 0
    assert [r.state for r in results(store, G)] == ["running", "cancelled", "cancelled"]


def test_expired_rows_pay_nothing(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    like_group(store, rows=3, expires_in_us=SECOND)
    store.push([task(1)])
    worker.claim(10)
    clock.advance(1)
    assert worker.ids(10) == [uid(1)]
    assert [r.reason for r in results(store, G)] == [None, "expired", "expired"]


# -- changes of the limit ---------------------------------------------------------------------------------------------


def test_a_limit_that_goes_lets_all_go(store: Store, worker: Session) -> None:
    waiting(store, worker)
    store.push([task(9)])
    store.limit(ADD, None)
    assert store.limits() == {}
    assert worker.ids(10) == [uid(n) for n in (1, 2, 3, 9)]


def test_a_limit_that_goes_and_comes_again(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker)
    store.limit(ADD, None)
    store.limit(ADD, second(1, burst=2))
    assert worker.ids(10) == [uid(1), uid(2)], "a key with neither limit forgets its time"


def test_repeating_a_limit_gives_nobody_a_token(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, LimitSpec(1, 60 * SECOND, 3), default=True)
    store.push([task(n) for n in range(6)])
    assert len(worker.claim(10)) == 3
    for _ in range(3):
        store.limit(ADD, LimitSpec(1, 60 * SECOND, 3), default=True)
        assert worker.claim(10) == []
    clock.advance(60)
    assert len(worker.claim(10)) == 1


def test_a_faster_limit_counts_from_now(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, LimitSpec(1, 3_600 * SECOND))
    store.push([task(n) for n in range(3)])
    worker.claim(10)
    store.limit(ADD, second())
    answer = store.claim("s1", worker.request(10))
    assert (answer.claims, answer.next_due_us) == ((), clock() + SECOND)
    clock.advance(1)
    assert worker.ids(10) == [uid(1)]


def test_a_slower_limit_counts_from_the_last_token(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker)
    store.limit(ADD, LimitSpec(1, 60 * SECOND))
    clock.advance(1)
    assert worker.ids(10) == [uid(1)]
    clock.advance(59)
    assert worker.claim(10) == []
    clock.advance(1)
    assert worker.ids(10) == [uid(2)]


def test_a_new_limit_holds_for_what_is_pushed_already(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(3)])
    store.limit(ADD, second())
    assert worker.ids(10) == [uid(0)]


def test_a_limit_and_a_clock_set_back(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker)
    clock.back(3_600)
    assert worker.claim(10) == []
    clock.advance(1)
    worker.store.announce("s1", worker.info)
    assert worker.ids(10) == [uid(1)], "not an hour later"


def test_a_clock_set_back_after_the_bell(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker, 2)
    clock.advance(1)
    worker.tick()
    clock.back(us=SECOND // 2)
    answer = store.claim("s1", worker.request())
    assert answer.claims == ()
    assert answer.next_due_us is not None, "somebody has to come again"
    clock.advance(us=answer.next_due_us - clock())
    assert worker.ids(10) == [uid(1)]


# -- bells and instants -----------------------------------------------------------------------------------------------


def test_a_token_rings(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    store.push([task(1), task(2, queue="b")])
    assert worker.ids(10, "celery", "b") == [uid(1)]
    clock.advance(1)
    assert worker.tick().next_due_us is None
    assert store.listen("s1", ("b",), 5.0)
    assert worker.ids(10, "b") == [uid(2)]


def test_a_changed_limit_rings(store: Store, worker: Session) -> None:
    waiting(store, worker)
    assert worker.claim() == []
    store.limit(ADD, second(9))
    assert store.listen("s1", ("celery",), 5.0)
    assert worker.claim() == []
    store.limit(ADD, None)
    for _ in range(2):
        assert store.listen("s1", ("celery",), 5.0), "once for each that may run now"


def test_what_may_run_keeps_its_bell(store: Store, worker: Session) -> None:
    waiting(store, worker)
    store.limit(ADD, None)
    assert worker.ids(1) == [uid(1)]
    assert store.listen("s1", ("celery",), 5.0), "two more may run, and another worker is idle"


def test_tick_tells_the_instant(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker)
    assert worker.tick().next_due_us == clock() + SECOND - SLACK
    store.push([task(9, name="mul", delay_us=SECOND // 2)])
    assert worker.tick().next_due_us == clock() + SECOND // 2


def test_a_limit_that_goes_comes_due_now(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker)
    store.limit(ADD, None)
    assert worker.tick().next_due_us is None
    assert worker.ids(1) == [uid(1)]


def test_a_claim_holds_back_so_many(store: Store, worker: Session, clock: FakeClock) -> None:
    store.limit(ADD, second())
    store.push([task(n) for n in range(600)])
    store.push([task(n) for n in range(600, 1_200)])
    store.push([task(2_000, name="mul", priority=1)])
    first = store.claim("s1", worker.request(10))
    assert ([c.id for c in first.claims], first.next_due_us) == ([uid(0)], clock())
    assert held_back(store) == MAX_HELD_BACK
    assert worker.ids(10) == [uid(2_000)]
    assert held_back(store) == 1_199


def test_many_workers_at_once(store: Store, clock: FakeClock) -> None:
    sessions = [Session(store, f"s{n}") for n in range(4)]
    store.limit(ADD, second(1, burst=5))
    store.push([task(n) for n in range(40)])
    got: list[str] = []

    def work(session: Session) -> None:
        for _ in range(5):
            got.extend(session.ids(3))

    threads = [threading.Thread(target=work, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(got) == [uid(n) for n in range(5)]
    assert held_back(store) == 35


def test_the_limits_of_a_lost_worker(store: Store, worker: Session, clock: FakeClock) -> None:
    waiting(store, worker)
    assert live(store, clock, 1, "s2", dead=("s1",)) == [uid(0)]
    again = Session(store, "s2")
    assert again.ids(10) == [uid(1)], "held back before the task that was taken back came again"
