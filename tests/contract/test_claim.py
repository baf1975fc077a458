"""claim: who gets what, in which order, under which token."""

from __future__ import annotations

import pytest

from smallage.core.message import Done, Failed
from smallage.stores.base import ClaimRequest, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, like_group, task, uid, view


def test_a_claim_says_all_the_worker_needs(store: Store, worker: Session, clock: FakeClock) -> None:
    pushed = clock()
    store.push([task(1, b"args", queue="mail", priority=4, expires_in_us=60 * SECOND, keep_us=5 * SECOND)])
    clock.advance(2)
    request = worker.request(1, "mail")
    (claim,) = store.claim("s1", request).claims
    assert (claim.id, claim.gen, claim.nonce, claim.name, claim.payload) == (uid(1), 1, request.nonce, "add", b"args")
    assert (claim.queue, claim.priority, claim.row) == ("mail", 4, None)
    assert (claim.failures, claim.crashes, claim.lost, claim.releases) == (0, 0, 0, 0)
    assert (claim.group, claim.index, claim.body_of) == (None, None, None)
    assert (claim.pushed_us, claim.claimed_us) == (pushed, clock())
    assert (claim.expires_us, claim.keep_us) == (pushed + 60 * SECOND, 5 * SECOND)


def test_a_claimed_task_runs_in_its_session(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    clock.advance(1)
    claim = worker.one()
    seen = view(store, 1)
    assert (seen.state, seen.session, seen.tok, seen.started_us, seen.ran) == (
        "running",
        "s1",
        claim.tok,
        clock(),
        True,
    )
    assert [(h.id, h.gen, h.tok, h.nonce) for h in worker.held()] == [(claim.id, claim.gen, claim.tok, claim.nonce)]


def test_each_task_is_claimed_once(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(5)])
    other = Session(store, "s2")
    assert worker.ids(3) + other.ids(3) + worker.ids(3) == [uid(n) for n in range(5)]


def test_a_session_that_is_not_announced_gets_nothing(store: Store) -> None:
    store.push([task(1)])
    assert store.claim("stranger", ClaimRequest(("celery",), 1, "n")).claims == ()
    assert view(store, 1).state == "ready"


def test_no_more_than_asked_for(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(5)])
    assert worker.ids(2) == [uid(0), uid(1)]
    assert worker.ids(10) == [uid(2), uid(3), uid(4)]
    assert worker.ids(10) == []


def test_nothing_asked_for_is_nothing_given(store: Store, worker: Session) -> None:
    store.push([task(1)])
    assert worker.ids(0) == []
    assert store.claim("s1", ClaimRequest((), 1, "n")).claims == ()


def test_order_is_priority_then_push(store: Store, worker: Session) -> None:
    priorities = [5, 0, 9, 5, 1, 0, 9, 3]
    store.push([task(n, priority=p) for n, p in enumerate(priorities)])
    expected = sorted(range(len(priorities)), key=lambda n: (priorities[n], n))
    assert worker.ids(3) + worker.ids(100) == [uid(n) for n in expected]


def test_order_holds_over_several_pushes(store: Store, worker: Session, clock: FakeClock) -> None:
    for n in range(6):
        store.push([task(n)])
        if n % 2:
            clock.back(1)
    assert worker.ids(100) == [uid(n) for n in range(6)]


def test_queues_are_tried_in_the_order_given(store: Store, worker: Session) -> None:
    store.push([task(1, queue="b"), task(2, queue="a", priority=9), task(3, queue="b"), task(4, queue="a")])
    assert worker.ids(3, "a", "b") == [uid(4), uid(2), uid(1)]
    assert worker.ids(3, "a", "b") == [uid(3)]


def test_other_queues_are_left_alone(store: Store, worker: Session) -> None:
    store.push([task(1, queue="a"), task(2, queue="b")])
    assert worker.ids(10, "b", "nowhere") == [uid(2)]
    assert view(store, 1).state == "ready"


def test_tokens_rise_with_every_claim(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(n) for n in range(6)])
    first = worker.claim(3)
    assert first[0].tok >= clock()
    clock.back(100)
    second = worker.claim(1)
    clock.advance(1_000)
    third = worker.claim(2)
    tokens = [c.tok for c in first + second + third]
    assert tokens == sorted(set(tokens))
    assert third[0].tok >= clock()


def test_a_claim_whose_reply_was_lost_is_repeated(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(3)])
    request = worker.request(2)
    first = store.claim("s1", request).claims
    again = store.claim("s1", request).claims
    assert (first, len(first)) == (again, 2)
    assert store.counts()["celery"] == {**store.counts()["celery"], "ready": 1, "running": 2}


def test_a_repeat_gives_only_what_is_still_held(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(4)])
    request = worker.request(3)
    a, b, c = store.claim("s1", request).claims
    worker.settle(b, Done())
    store.revoke([c.id], terminate=True)
    assert store.claim("s1", request).claims == (a,)


def test_a_repeat_gives_no_more_than_its_own(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(4)])
    worker.claim(2)
    request = worker.request(1)
    (claim,) = store.claim("s1", request).claims
    assert store.claim("s1", request).claims == (claim,)


def test_a_repeat_that_found_nothing_may_find_something(store: Store, worker: Session) -> None:
    request = worker.request(1)
    assert store.claim("s1", request).claims == ()
    store.push([task(1)])
    assert len(store.claim("s1", request).claims) <= 1
    assert store.counts()["celery"].get("ready", 0) + store.counts()["celery"].get("running", 0) == 1


def test_nonces_belong_to_a_session(store: Store, worker: Session) -> None:
    store.push([task(1), task(2)])
    other = Session(store, "s2")
    request = ClaimRequest(("celery",), 1, "same")
    mine = store.claim("s1", request).claims
    theirs = store.claim(other.name, request).claims
    assert [c.id for c in mine + theirs] == [uid(1), uid(2)]


def test_not_before_it_is_due(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, delay_us=10 * SECOND)])
    clock.advance(us=10 * SECOND - 1)
    assert worker.ids() == []
    clock.advance(us=1)
    assert worker.ids() == [uid(1)]


def test_a_claim_says_when_the_next_task_is_due(store: Store, worker: Session, clock: FakeClock) -> None:
    assert store.claim("s1", worker.request()).next_due_us is None
    store.push([task(1, delay_us=9 * SECOND), task(2, delay_us=4 * SECOND, queue="other")])
    claimed = store.claim("s1", worker.request())
    assert (claimed.claims, claimed.next_due_us, claimed.now_us) == ((), clock() + 4 * SECOND, clock())


def test_due_tasks_queue_in_order_of_their_instants(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, delay_us=3 * SECOND), task(2, delay_us=1 * SECOND), task(3, delay_us=2 * SECOND)])
    clock.advance(5)
    assert worker.ids(10) == [uid(2), uid(3), uid(1)]


def test_due_tasks_queue_behind_what_is_ready(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, delay_us=SECOND)])
    store.push([task(2)])
    clock.advance(5)
    assert worker.ids(10) == [uid(2), uid(1)]


def test_due_tasks_keep_their_priority(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, priority=5), task(2, delay_us=SECOND, priority=2)])
    clock.advance(5)
    assert worker.ids(10) == [uid(2), uid(1)]


def test_an_expired_task_ends_on_the_way(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, expires_in_us=SECOND), task(2)])
    clock.advance(us=SECOND + 1)
    assert worker.ids(10) == [uid(2)]
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.ended_us, seen.ran) == ("dead", "expired", clock(), False)


def test_not_expired_before_its_time(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, expires_in_us=SECOND)])
    clock.advance(us=SECOND - 1)
    assert worker.ids() == [uid(1)]


def test_expired_at_its_instant(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, expires_in_us=SECOND)])
    clock.advance(us=SECOND)
    assert worker.ids() == []
    assert view(store, 1).reason == "expired"


def test_a_delayed_task_can_expire_before_it_is_due(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, delay_us=5 * SECOND, expires_in_us=SECOND)])
    clock.advance(10)
    assert worker.ids() == []
    assert (view(store, 1).state, view(store, 1).reason) == ("dead", "expired")


def test_a_started_task_does_not_expire(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, expires_in_us=SECOND)])
    claim = worker.one()
    clock.advance(5)
    assert worker.settle(claim, Done(b"late")) == "ok"
    assert view(store, 1).state == "done"


def test_many_expired_tasks_do_not_hide_a_live_one(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(n, expires_in_us=1) for n in range(300)] + [task(999)])
    clock.advance(1)
    got: list[str] = []
    for _ in range(20):
        got += worker.ids(1)
        if got:
            break
    assert got == [uid(999)]
    assert store.counts()[""]["dead"] == 300


@pytest.mark.parametrize("outcome", [Done(b"1"), Failed(b"no")])
def test_what_has_ended_is_not_claimed_again(store: Store, worker: Session, outcome: Done | Failed) -> None:
    store.push([task(1)])
    worker.run(outcome)
    assert worker.ids(10) == []
    assert worker.held() == []


@pytest.mark.parametrize("body_priority", [1, 7], ids=["before", "behind"])
def test_a_body_released_on_the_way_is_not_lost_at_a_priority_of_its_own(
    store: Store, worker: Session, clock: FakeClock, body_priority: int
) -> None:
    like_group(store, 1, expires_in_us=SECOND, priority=3, body=task(91, priority=body_priority))
    store.push([task(1, priority=3)])
    clock.advance(2)
    assert [*worker.ids(10), *worker.ids(10)] == [uid(1), uid(91)]
