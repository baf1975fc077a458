"""Sessions: leases, grace, proven deaths, handing back, and what a session holds."""

from __future__ import annotations

from smallage.core.message import Done
from smallage.stores.base import LEASE_US, ClaimRequest, Host, SessionInfo, Store
from smallage.testing import FakeClock
from tests.contract.kit import LEASE, SECOND, Session, live, task, uid, view


def test_an_announced_session_is_seen(store: Store, clock: FakeClock) -> None:
    info = SessionInfo(
        host=Host("box", "boot-1", "pid:[4026531836]", 4711, 123456),
        inbox="sup",
        node="celery@box",
        pool="threads",
        concurrency=8,
        queues=("a", "b"),
        names=("add", "mul"),
        listens=False,
    )
    store.announce("s1", info)
    (seen,) = store.workers()
    assert (seen.session, seen.info, seen.lease_end_us, seen.held) == ("s1", info, clock() + LEASE_US, 0)


def test_announcing_again_updates(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.one()
    store.announce("s1", SessionInfo(node="renamed", concurrency=3))
    (seen,) = store.workers()
    assert (seen.info.node, seen.info.concurrency, seen.held) == ("renamed", 3, 1)
    assert [h.id for h in worker.held()] == [uid(1)]


def test_announcing_again_renews_the_lease(store: Store, worker: Session, clock: FakeClock) -> None:
    clock.advance(5)
    store.announce("s1", SessionInfo())
    assert store.workers()[0].lease_end_us == clock() + LEASE


def test_a_tick_renews_the_lease(store: Store, worker: Session, clock: FakeClock) -> None:
    clock.advance(5)
    ticked = worker.tick()
    assert (ticked.now_us, ticked.unknown, ticked.taken_back) == (clock(), (), ())
    (seen,) = store.workers()
    assert seen.lease_end_us == clock() + LEASE


def test_a_lease_has_the_length_its_session_asked_for(store: Store, clock: FakeClock) -> None:
    short = Session(store, "short", lease_us=4 * SECOND)
    assert store.workers()[0].lease_end_us == clock() + 4 * SECOND
    clock.advance(1)
    short.tick()
    assert store.workers()[0].lease_end_us == clock() + 4 * SECOND


def test_a_tick_never_revives_a_session(store: Store, worker: Session, clock: FakeClock) -> None:
    assert store.tick(["s1", "stranger"]).unknown == ("stranger",)
    store.leave("s1")
    assert worker.tick().unknown == ("s1",)
    assert store.workers() == []


def test_a_lost_session_is_gone_and_told_so(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.one()
    Session(store, "s2")
    assert live(store, clock, 40, "s2") == [uid(1)]
    assert [w.session for w in store.workers()] == ["s2"]
    assert worker.tick().unknown == ("s1",)
    assert worker.held() == []
    assert store.claim("s1", worker.request()).claims == ()


def test_a_tick_says_when_the_next_foreign_lease_ends(store: Store, worker: Session, clock: FakeClock) -> None:
    assert worker.tick().next_lease_us is None
    Session(store, "s2")
    clock.advance(2)
    assert worker.tick().next_lease_us == clock() - 2 * SECOND + LEASE
    assert store.tick(["s1", "s2"]).next_lease_us is None


def test_a_tick_says_when_the_next_task_is_due(store: Store, worker: Session, clock: FakeClock) -> None:
    assert worker.tick().next_due_us is None
    store.push([task(1, delay_us=7 * SECOND), task(2, delay_us=3 * SECOND)])
    assert worker.tick().next_due_us == clock() + 3 * SECOND


def test_a_tick_promotes_all_that_is_due(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(n, delay_us=SECOND + n) for n in range(500)] + [task(999, delay_us=90 * SECOND)])
    clock.advance(2)
    ticked = worker.tick()
    assert (ticked.promoted, ticked.next_due_us) == (500, clock() + 88 * SECOND)
    assert store.counts()["celery"]["ready"] == 500
    assert worker.ids(100) == [uid(n) for n in range(100)]


def test_nothing_is_taken_before_the_lease_ends(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.one()
    Session(store, "s2")
    assert live(store, clock, 14.9, "s2") == []
    assert worker.tick().unknown == ()
    assert live(store, clock, 14.9, "s2") == []
    assert view(store, 1).state == "running"


def test_what_a_dead_session_held_comes_back_within_lease_and_two_seconds(
    store: Store, worker: Session, clock: FakeClock
) -> None:
    store.push([task(1)])
    worker.one()
    Session(store, "s2")
    taken = live(store, clock, 15, "s2")
    taken += live(store, clock, 2, "s2")
    assert taken == [uid(1)]
    assert (view(store, 1).state, view(store, 1).lost) == ("ready", 1)


def test_nobody_is_judged_after_everybody_was_away(store: Store, worker: Session, clock: FakeClock) -> None:
    """The store was out of reach, or the machine slept: the holder comes back and goes on."""
    store.push([task(1)])
    claim = worker.one()
    other = Session(store, "s2")
    clock.advance(100)
    assert other.tick().taken_back == ()
    assert worker.tick().unknown == ()
    assert live(store, clock, 30, "s1", "s2") == []
    assert worker.settle(claim, Done(b"1")) == "ok"


def test_grace_ends_after_one_lease(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.one()
    other = Session(store, "s2")
    clock.advance(100)
    assert other.tick().taken_back == ()
    assert live(store, clock, 14, "s2") == []
    assert live(store, clock, 3, "s2") == [uid(1)]


def test_no_lease_is_judged_after_the_clock_went_back(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.one()
    other = Session(store, "s2")
    live(store, clock, 14, "s2")
    clock.back(3_600)
    assert other.tick().taken_back == ()
    assert live(store, clock, 14, "s2") == []
    assert view(store, 1).state == "running"


def test_short_leases_too_have_their_grace_when_the_clock_went_back(store: Store, clock: FakeClock) -> None:
    store.push([task(1)])
    Session(store, "short", lease_us=4 * SECOND).one()
    Session(store, "s2").tick()
    clock.back(1)
    assert store.tick(["s2"]).taken_back == ()
    assert live(store, clock, 14, "s2") == []
    assert live(store, clock, 3, "s2") == [uid(1)]


def test_a_clock_that_went_back_does_not_keep_the_dead_alive_for_long(
    store: Store, worker: Session, clock: FakeClock
) -> None:
    store.push([task(1)])
    worker.one()
    other = Session(store, "s2")
    clock.back(3_600)
    other.tick()
    assert live(store, clock, 2 * 15 + 5, "s2") == [uid(1)]


def test_a_proven_death_needs_no_lease(store: Store, worker: Session) -> None:
    store.push([task(1), task(2)])
    worker.claim(2)
    other = Session(store, "s2")
    ticked = store.tick([other.name], ["s1"])
    assert sorted(ticked.taken_back) == [uid(1), uid(2)]
    assert [view(store, n).lost for n in (1, 2)] == [1, 1]
    assert [w.session for w in store.workers()] == ["s2"]


def test_a_death_is_charged_once(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.one()
    assert store.tick([], ["s1"]).taken_back == (uid(1),)
    assert store.tick([], ["s1"]).taken_back == ()
    assert view(store, 1).lost == 1


def test_one_that_renews_is_not_dead(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.one()
    assert store.tick(["s1"], ["s1"]).taken_back == ()
    assert view(store, 1).state == "running"


def test_unknown_dead_sessions_are_ignored(store: Store, worker: Session) -> None:
    assert store.tick(["s1"], ["stranger"]).taken_back == ()


def test_several_sessions_are_renewed_at_once(store: Store, clock: FakeClock) -> None:
    names = [Session(store, f"s{n}").name for n in range(5)]
    live(store, clock, 60, *names)
    assert sorted(w.session for w in store.workers()) == names
    assert {w.lease_end_us for w in store.workers()} == {clock() + LEASE}


def test_leaving_hands_everything_back(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(4)])
    worker.claim(3)
    assert sorted(store.leave("s1")) == [uid(0), uid(1), uid(2)]
    assert [(view(store, n).state, view(store, n).releases, view(store, n).lost) for n in range(3)] == [
        ("ready", 1, 0)
    ] * 3
    assert store.workers() == []
    assert Session(store, "s2").ids(10)[-1] == uid(3)


def test_leaving_keeps_the_order_of_what_comes_back(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(5)])
    worker.claim(3)
    store.leave("s1")
    assert Session(store, "s2").ids(10) == [uid(n) for n in range(5)]


def test_leaving_twice_is_fine(store: Store, worker: Session) -> None:
    store.leave("s1")
    assert store.leave("s1") == []
    assert store.leave("stranger") == []


def test_a_session_that_left_gets_nothing(store: Store, worker: Session) -> None:
    store.leave("s1")
    store.push([task(1)])
    assert store.claim("s1", ClaimRequest(("celery",), 1, "late")).claims == ()


def test_held_tells_what_to_settle_after_a_doubtful_reply(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(3)])
    a, b, c = worker.claim(3)
    worker.settle(b, Done())
    assert [(h.id, h.tok) for h in worker.held()] == [(a.id, a.tok), (c.id, c.tok)]
    assert store.held("stranger") == []


def test_workers_counts_what_each_holds(store: Store) -> None:
    store.push([task(n) for n in range(3)])
    Session(store, "s1").claim(2)
    Session(store, "s2").claim(2)
    assert {w.session: w.held for w in store.workers()} == {"s1": 2, "s2": 1}


def test_this_process_is_never_proven_dead(store: Store, worker: Session) -> None:
    assert store.dead_peers() == []


def test_losses_of_many_tasks_are_all_taken_back(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(350)])
    held = sum(len(worker.claim(100)) for _ in range(4))
    assert held == 350
    taken: list[str] = []
    for _ in range(10):
        taken += store.tick([], ["s1"]).taken_back
    assert sorted(taken) == [uid(n) for n in range(350)]
    assert store.counts()["celery"]["ready"] == 350
