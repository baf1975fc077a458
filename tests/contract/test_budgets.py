"""Crashes and losses: once more at once, then later and later, then dead."""

from __future__ import annotations

import pytest

from smallage.core.message import Crashed, Done, Failed, Outcome, Released, Retry
from smallage.stores.base import Store, reclaim_delay_us
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, live, task, uid, view


def test_a_first_crash_goes_to_the_front(store: Store, worker: Session) -> None:
    store.push([task(1), task(2)])
    claim = worker.run(Crashed())
    seen = view(store, 1)
    assert (seen.state, seen.crashes, seen.lost, seen.failures, seen.ran) == ("ready", 1, 0, 0, False)
    assert worker.ids(10) == [uid(1), uid(2)]
    assert view(store, 1).tok > claim.tok


def test_later_crashes_wait_longer_and_longer(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, max_crashes=9)])
    worker.run(Crashed())
    waits = []
    for _ in range(8):
        worker.run(Crashed())
        due = view(store, 1).due_us
        assert due is not None
        waits.append((due - clock()) // SECOND)
        clock.advance(us=due - clock())
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [reclaim_delay_us(n) // SECOND for n in range(2, 10)] == waits


def test_the_fourth_crash_is_the_last(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, b"poison")])
    for crashes in (1, 2, 3):
        worker.run(Crashed(b"segfault"))
        assert (view(store, 1).crashes, view(store, 1).state in ("ready", "scheduled")) == (crashes, True)
        clock.advance(60)
    worker.run(Crashed(b"segfault"))
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.crashes, seen.result) == ("dead", "crashed", 4, b"segfault")
    assert store.payload(uid(1)) == (b"poison", None)
    clock.advance(1_000)
    assert worker.claim() == []


def test_no_crash_is_survived_without_a_budget(store: Store, worker: Session) -> None:
    store.push([task(1, max_crashes=0)])
    worker.run(Crashed())
    assert (view(store, 1).state, view(store, 1).reason) == ("dead", "crashed")


@pytest.mark.parametrize("max_lost", [0, 1, 3])
def test_losses_have_a_budget_of_their_own(store: Store, clock: FakeClock, max_lost: int) -> None:
    store.push([task(1, max_lost=max_lost, max_crashes=0)])
    for n in range(max_lost + 1):
        holder = Session(store, f"s{n}")
        assert holder.ids() == [uid(1)]
        assert store.tick([], [holder.name]).taken_back == (uid(1),)
        clock.advance(60)
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.lost, seen.crashes) == ("dead", "lost", max_lost + 1, 0)


def test_crashes_and_losses_add_up_to_the_wait(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.run(Crashed())
    assert worker.ids() == [uid(1)]
    store.tick([], ["s1"])
    seen = view(store, 1)
    assert (seen.state, seen.crashes, seen.lost, seen.due_us) == ("scheduled", 1, 1, clock() + SECOND)


def test_a_retry_between_crashes_does_not_clear_them(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, max_crashes=1)])
    worker.run(Crashed())
    worker.run(Retry())
    worker.run(Released())
    claim = worker.run(Crashed())
    assert (claim.crashes, claim.failures, claim.releases) == (1, 1, 1)
    assert view(store, 1).state == "dead"


def test_a_release_spends_nothing(store: Store, worker: Session) -> None:
    store.push([task(1, max_crashes=0, max_lost=0)])
    for _ in range(20):
        worker.run(Released())
    seen = view(store, 1)
    assert (seen.state, seen.releases, seen.crashes, seen.lost, seen.failures) == ("ready", 20, 0, 0, 0)


def test_requeue_gives_new_budgets(store: Store, worker: Session) -> None:
    store.push([task(1, max_crashes=0)])
    worker.run(Crashed())
    assert store.requeue([uid(1)]) == [True]
    claim = worker.one()
    assert (claim.gen, claim.crashes) == (2, 0)
    assert worker.settle(claim, Done(b"1")) == "ok"


def test_a_crash_is_not_charged_to_its_neighbours(store: Store, worker: Session) -> None:
    """The supervisor settles what had started as crashed and hands the rest back."""
    store.push([task(1), task(2), task(3)])
    poison, *innocent = worker.claim(3)
    worker.settle(poison, Crashed())
    assert sorted(store.leave("s1")) == [uid(2), uid(3)]
    assert [view(store, n).crashes for n in (1, 2, 3)] == [1, 0, 0]
    assert [view(store, n).releases for n in (1, 2, 3)] == [0, 1, 1]
    assert len(innocent) == 2


def test_a_loss_is_charged_to_all_that_was_held(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(n) for n in range(3)])
    worker.claim(3)
    Session(store, "s2")
    assert sorted(live(store, clock, 40, "s2")) == [uid(n) for n in range(3)]
    assert [(view(store, n).state, view(store, n).lost) for n in range(3)] == [("ready", 1)] * 3


def test_what_was_taken_back_is_first_in_line(store: Store, worker: Session) -> None:
    store.push([task(1), task(2)])
    worker.one()
    store.tick([], ["s1"])
    assert Session(store, "s2").ids(10) == [uid(1), uid(2)]


def test_several_tasks_taken_back_keep_their_order(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(5)])
    worker.claim(3)
    assert sorted(store.tick([], ["s1"]).taken_back) == [uid(0), uid(1), uid(2)]
    assert Session(store, "s2").ids(10) == [uid(n) for n in range(5)]


def test_sessions_are_taken_back_one_by_one(store: Store) -> None:
    """What the last of them held stands first: each goes to the front."""
    store.push([task(n) for n in range(5)])
    for name in ("s1", "s2"):
        assert len(Session(store, name).claim(2)) == 2
    store.tick([], ["s1", "s2"])
    assert Session(store, "s3").ids(10) == [uid(n) for n in (2, 3, 0, 1, 4)]


def test_counts_of_a_task_add_up(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    outcomes: list[Outcome] = [Crashed(), Retry(), Released(), Retry(), Crashed(), Failed(b"no")]
    for outcome in outcomes:
        worker.run(outcome)
        clock.advance(60)
    seen = view(store, 1)
    assert (seen.failures, seen.crashes, seen.releases, seen.lost, seen.ran) == (3, 2, 1, 0, False)
