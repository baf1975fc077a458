"""settle: how a claim ends, for every kind of outcome."""

from __future__ import annotations

import pytest

from smallage.core.message import Cancelled, Done, Failed, Parked, Released, Retry, Snooze, settlement
from smallage.stores.base import Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, task, uid, view


def test_done_keeps_the_result(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    started = clock()
    claim = worker.one()
    clock.advance(3)
    assert worker.settle(claim, Done(b"42")) == "ok"
    seen = view(store, 1)
    assert (seen.state, seen.result, seen.reason, seen.ran) == ("done", b"42", None, True)
    assert (seen.started_us, seen.ended_us, seen.settled, seen.tok) == (started, clock(), claim.tok, claim.tok)
    assert (seen.session, worker.held()) == (None, [])
    assert store.payload(uid(1)) is None


def test_done_without_a_result(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.run(Done())
    assert (view(store, 1).state, view(store, 1).result) == ("done", None)


def test_an_empty_result_is_not_none(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.run(Done(b""))
    assert view(store, 1).result == b""


@pytest.mark.parametrize("reason", ["failed", "undecodable", "unknown-task", "damaged"])
def test_failed_is_a_dead_letter_with_its_payload(store: Store, worker: Session, reason: str) -> None:
    store.push([task(1, b"args")])
    worker.run(Failed(b"ZeroDivisionError", reason))  # type: ignore[arg-type]
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.result, seen.ran) == ("dead", reason, b"ZeroDivisionError", False)
    assert store.payload(uid(1)) == (b"args", None)


def test_cancelled_while_it_ran(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.run(Cancelled(b"stopped", "revoked"))
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.result, seen.ran) == ("cancelled", "revoked", b"stopped", True)
    assert store.payload(uid(1)) is None


def test_a_retry_waits_and_counts_a_failure(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, b"args")])
    claim = worker.run(Retry(delay_us=10 * SECOND, error=b"boom", note=b"trying again"))
    seen = view(store, 1)
    assert (seen.state, seen.failures, seen.due_us, seen.ran) == ("scheduled", 1, clock() + 10 * SECOND, False)
    assert (seen.progress, seen.settled, seen.session) == (b"trying again", claim.tok, None)
    assert worker.claim() == []
    clock.advance(10)
    second = worker.one()
    assert (second.id, second.failures, second.gen, second.payload) == (uid(1), 1, 1, b"args")
    assert second.tok > claim.tok


def test_a_retry_at_an_instant(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.run(Retry(delay_us=SECOND, due_us=clock() + 7 * SECOND))
    assert view(store, 1).due_us == clock() + 7 * SECOND


@pytest.mark.parametrize("outcome", [Retry(), Retry(due_us=1), Retry(delay_us=0)])
def test_a_retry_due_now_goes_to_the_back(store: Store, worker: Session, outcome: Retry) -> None:
    store.push([task(1), task(2)])
    worker.run(outcome)
    assert view(store, 1).state == "ready"
    assert worker.ids(10) == [uid(2), uid(1)]


def test_a_retry_may_change_what_is_run_and_where(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, b"old", priority=3)])
    worker.run(Retry(payload=b"new", queue="slow", priority=7, expires_us=clock() + 99))
    assert worker.claim() == []
    claim = worker.one("slow")
    assert (claim.payload, claim.queue, claim.priority, claim.expires_us) == (b"new", "slow", 7, clock() + 99)
    assert store.payload(uid(1)) == (b"new", None)


def test_a_retry_keeps_what_it_does_not_change(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, b"old", priority=3, queue="q", expires_in_us=50)])
    worker.run(Retry(), "q")
    claim = worker.one("q")
    assert (claim.payload, claim.queue, claim.priority, claim.expires_us) == (b"old", "q", 3, clock() + 50)


def test_a_retry_may_clear_the_expiry(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, expires_in_us=50)])
    worker.run(Retry(expires_us=0))
    assert view(store, 1).expires_us is None
    clock.advance(5)
    assert worker.ids() == [uid(1)]


def test_a_changed_retry_is_still_the_same_task_to_a_repeated_push(store: Store, worker: Session) -> None:
    store.push([task(1, b"old")])
    worker.run(Retry(payload=b"new", queue="slow"))
    assert store.push([task(1, b"old")]) == ["dup"]
    assert store.push([task(1, b"new", queue="slow")]) == ["conflict"]


def test_a_snooze_spends_no_attempt(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.run(Snooze(3 * SECOND))
    seen = view(store, 1)
    assert (seen.state, seen.due_us, seen.releases, seen.failures) == ("scheduled", clock() + 3 * SECOND, 1, 0)
    clock.advance(3)
    assert worker.one().releases == 1


def test_released_goes_to_the_front(store: Store, worker: Session) -> None:
    store.push([task(1), task(2), task(3)])
    worker.run(Released())
    seen = view(store, 1)
    assert (seen.state, seen.releases, seen.failures, seen.session, seen.ran) == ("ready", 1, 0, None, False)
    assert worker.ids(10) == [uid(1), uid(2), uid(3)]


def test_released_stays_within_its_priority(store: Store, worker: Session) -> None:
    store.push([task(1, priority=5), task(2, priority=5)])
    claim = worker.one()
    store.push([task(3, priority=2)])
    worker.settle(claim, Released())
    assert worker.ids(10) == [uid(3), uid(1), uid(2)]


def test_an_unknown_name_is_parked(store: Store, worker: Session) -> None:
    store.push([task(1, name="strange")])
    worker.run(Parked())
    seen = view(store, 1)
    assert (seen.state, seen.releases, seen.failures, seen.ran) == ("parked", 1, 0, False)
    assert worker.claim() == []


def test_several_settlements_each_have_their_verdict(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(4)])
    a, b, c, d = worker.claim(4)
    store.revoke([c.id], terminate=True)
    outcomes = [
        settlement(a, Done(b"a")),
        settlement(c, Done(b"c")),
        settlement(b, Failed(b"b")),
        settlement(a, Done()),
    ]
    assert store.settle("s1", outcomes).verdicts == ("ok", "stale", "ok", "dup")
    assert [view(store, n).state for n in range(4)] == ["done", "dead", "cancelled", "running"]
    assert [h.id for h in worker.held()] == [d.id]


def test_settle_can_claim_in_the_same_trip(store: Store, worker: Session) -> None:
    store.push([task(1), task(2), task(3)])
    claim = worker.one()
    settled = store.settle("s1", [settlement(claim, Done())], worker.request(1))
    assert (settled.verdicts, [c.id for c in settled.claimed.claims]) == (("ok",), [uid(2)])


def test_settle_and_claim_may_get_back_what_was_released(store: Store, worker: Session) -> None:
    store.push([task(1), task(2)])
    claim = worker.one()
    settled = store.settle("s1", [settlement(claim, Released())], worker.request(1))
    assert [c.id for c in settled.claimed.claims] == [uid(1)]


def test_settle_and_claim_repeated_after_a_lost_reply(store: Store, worker: Session) -> None:
    store.push([task(1), task(2), task(3)])
    claim = worker.one()
    request = worker.request(1)
    first = store.settle("s1", [settlement(claim, Done(b"1"))], request)
    again = store.settle("s1", [settlement(claim, Done(b"1"))], request)
    assert (first.verdicts, again.verdicts) == (("ok",), ("dup",))
    assert first.claimed.claims == again.claimed.claims
    assert view(store, 3).state == "ready"


def test_settle_of_nothing_is_a_claim(store: Store, worker: Session) -> None:
    store.push([task(1)])
    settled = store.settle("s1", [], worker.request(1))
    assert (settled.verdicts, len(settled.claimed.claims)) == ((), 1)
    assert store.settle("s1", []).verdicts == ()


def test_what_follows_is_pushed_in_the_same_act(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.run(Done(b"1", (task(2, b"next"), task(3, b"later", delay_us=SECOND))))
    assert [view(store, n).state for n in (1, 2, 3)] == ["done", "ready", "scheduled"]
    assert worker.one().payload == b"next"


def test_what_follows_a_failure(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.run(Failed(b"no", "failed", (task(2, b"errback"),)))
    assert (view(store, 1).state, view(store, 2).state) == ("dead", "ready")


def test_what_follows_is_there_once(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    outcome = Done(b"1", (task(2),))
    assert [worker.settle(claim, outcome), worker.settle(claim, outcome)] == ["ok", "dup"]
    assert worker.ids(10) == [uid(2)]


def test_what_follows_may_be_there_already(store: Store, worker: Session) -> None:
    store.push([task(1), task(2, b"next")])
    claim = worker.one()
    assert worker.settle(claim, Done(b"1", (task(2, b"next"), task(3)))) == "ok"
    assert worker.ids(10) == [uid(2), uid(3)]


def test_nothing_follows_a_stale_answer(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    store.revoke([claim.id], terminate=True)
    assert worker.settle(claim, Done(b"1", (task(2),))) == "stale"
    assert gone(store, 2)


def test_a_chain_in_one_trip(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    settled = store.settle("s1", [settlement(claim, Done(b"", (task(2),)))], worker.request(1))
    assert [c.id for c in settled.claimed.claims] == [uid(2)]


def test_any_session_may_settle_under_the_token(store: Store, worker: Session) -> None:
    """The supervisor settles for its children: the token counts, not who presents it."""
    store.push([task(1)])
    claim = worker.one()
    assert Session(store, "supervisor").settle(claim, Done(b"1")) == "ok"
    assert (view(store, 1).state, worker.held()) == ("done", [])
