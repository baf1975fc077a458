"""Late, repeated and forged answers: `dup` or `stale`, and never a change."""

from __future__ import annotations

import msgspec
import pytest

from smallage.core.message import Cancelled, Crashed, Done, Failed, Outcome, Parked, Released, Retry, Snooze
from smallage.stores.base import Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, live, task, uid, view

MOVES: list[Outcome] = [Retry(), Retry(delay_us=SECOND), Snooze(SECOND), Released(), Parked(), Crashed(b"dead")]
ENDS: list[Outcome] = [Done(b"1"), Failed(b"no"), Cancelled()]


def name_of(outcome: Outcome) -> str:
    return type(outcome).__name__


@pytest.mark.parametrize("outcome", [*ENDS, *MOVES], ids=name_of)
def test_the_same_settlement_again_is_a_dup(store: Store, worker: Session, outcome: Outcome) -> None:
    store.push([task(1)])
    claim = worker.one()
    assert worker.settle(claim, outcome) == "ok"
    before = view(store, 1)
    assert worker.settle(claim, outcome) == "dup"
    assert worker.settle(claim, outcome) == "dup"
    assert view(store, 1) == before


@pytest.mark.parametrize("outcome", ENDS, ids=name_of)
def test_a_second_end_under_the_same_token_changes_nothing(store: Store, worker: Session, outcome: Outcome) -> None:
    store.push([task(1)])
    claim = worker.run(outcome)
    before = view(store, 1)
    assert worker.settle(claim, Done(b"other", (task(2),))) == "dup"
    assert view(store, 1) == before
    assert store.state([uid(2)]) == [None]


@pytest.mark.parametrize("outcome", MOVES, ids=name_of)
def test_a_repeat_is_a_dup_until_a_later_claim_is_settled(
    store: Store, worker: Session, clock: FakeClock, outcome: Outcome
) -> None:
    store.push([task(1)])
    first = worker.run(outcome)
    store.unpark()
    clock.advance(1)
    second = worker.one()
    before = view(store, 1)
    assert worker.settle(first, outcome) == "dup"
    assert view(store, 1) == before
    assert worker.settle(second, Done(b"2")) == "ok"
    before = view(store, 1)
    assert worker.settle(first, outcome) == "stale"
    assert worker.settle(second, Done(b"2")) == "dup"
    assert view(store, 1) == before


@pytest.mark.parametrize("change", [{"tok": 1}, {"nonce": "forged"}, {"gen": 2}, {"gen": 0}, {"id": uid(9)}], ids=str)
def test_only_the_current_claim_may_act(store: Store, worker: Session, change: dict[str, object]) -> None:
    store.push([task(1)])
    claim = worker.one()
    forged = msgspec.structs.replace(claim, **change)
    before = view(store, 1)
    assert worker.settle(forged, Done(b"forged")) == "stale"
    assert store.progress(forged, b"forged") == "stale"
    assert view(store, 1) == before
    assert worker.settle(claim, Done(b"true")) == "ok"


def test_stale_answers_are_counted_and_nothing_else(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    before = store.counts()
    for n in range(3):
        worker.settle(msgspec.structs.replace(claim, tok=claim.tok - 1 - n), Done())
    after = store.counts()
    assert after[""].pop("stale", 0) - before[""].pop("stale", 0) == 3
    assert after == before


def test_progress_counts_as_an_act(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    assert store.progress(claim, b"half") == "ok"
    assert view(store, 1).progress == b"half"
    assert worker.settle(claim, Done(b"1")) == "ok"
    assert store.progress(claim, b"more") == "stale"
    assert view(store, 1).result == b"1"


def test_progress_goes_with_the_end(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    store.progress(claim, b"half")
    worker.settle(claim, Done(b"1"))
    assert (view(store, 1).progress, view(store, 1).result) == (None, b"1")


def test_the_end_of_a_lease_alone_takes_nothing_away(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    claim = worker.one()
    clock.advance(1_000)
    assert store.progress(claim, b"still here") == "ok"
    assert worker.settle(claim, Done(b"late")) == "ok"
    assert view(store, 1).state == "done"


@pytest.mark.parametrize("outcome", [*ENDS, *MOVES], ids=name_of)
def test_taking_back_makes_the_holder_stale(store: Store, worker: Session, clock: FakeClock, outcome: Outcome) -> None:
    store.push([task(1)])
    claim = worker.one()
    Session(store, "s2")
    assert live(store, clock, 40, "s2") == [uid(1)]
    before = view(store, 1)
    assert worker.settle(claim, outcome) == "stale"
    assert store.progress(claim, b"zombie") == "stale"
    assert view(store, 1) == before


def test_a_newer_claim_makes_the_holder_stale(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    old = worker.one()
    other = Session(store, "s2")
    live(store, clock, 40, "s2")
    new = other.one()
    assert new.tok > old.tok
    assert worker.settle(old, Done(b"old")) == "stale"
    assert other.settle(new, Done(b"new")) == "ok"
    assert worker.settle(old, Done(b"old")) == "stale"
    assert view(store, 1).result == b"new"


def test_a_terminated_task_is_stale_at_once(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    assert store.revoke([claim.id], terminate=True) == ["cancelled"]
    before = view(store, 1)
    assert worker.settle(claim, Done(b"1")) == "stale"
    assert worker.settle(claim, Cancelled()) == "stale"
    assert store.progress(claim, b"x") == "stale"
    assert view(store, 1) == before
    assert before.state == "cancelled"


def test_a_forgotten_task_is_stale(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.run(Done(b"1"))
    assert store.forget([claim.id]) == 1
    assert worker.settle(claim, Done(b"1")) == "stale"
    assert store.state([claim.id]) == [None]


def test_an_answer_to_an_earlier_generation_is_stale(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.run(Failed(b"no"))
    assert store.requeue([claim.id]) == [True]
    assert worker.settle(claim, Failed(b"no")) == "stale"
    second = worker.one()
    assert (second.gen, view(store, 1).state) == (2, "running")
    assert worker.settle(claim, Done(b"old")) == "stale"
    assert worker.settle(second, Done(b"new")) == "ok"
    assert view(store, 1).result == b"new"


def test_a_session_that_left_is_stale(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    assert store.leave("s1") == [uid(1)]
    assert Session(store, "s1").settle(claim, Done(b"1")) == "stale"
    assert view(store, 1).state == "ready"
