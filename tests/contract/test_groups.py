"""Groups: opened in steps, claimed by a cursor, counted by bits, followed by a body."""

from __future__ import annotations

import pytest

from smallage.core.message import (
    Cancelled,
    Crashed,
    Done,
    Failed,
    Message,
    Parked,
    Released,
    Retry,
    Snooze,
    member_id,
    settlement,
)
from smallage.stores.base import TOMBSTONE_US, GroupBatch, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, like_group, live, results, seat, task, uid, view

G = uid(100)


def rows(*numbers: int) -> tuple[bytes, ...]:
    return tuple(b"row-%d" % n for n in numbers)


def batch(offset: int, *numbers: int, seal: bool = False, payload: bytes = b"template") -> GroupBatch:
    return GroupBatch(id=G, template=task(0, payload), offset=offset, rows=rows(*numbers), seal=seal)


# -- building ---------------------------------------------------------------------------------------------------------


def test_a_group_in_one_step(store: Store, clock: FakeClock) -> None:
    like_group(store, rows=3)
    seen = store.group(G)
    assert seen is not None
    assert (seen.id, seen.total, seen.done, seen.failed, seen.cancelled, seen.running) == (G, 3, 0, 0, 0, 0)
    assert (seen.sealed, seen.revoked, seen.body, seen.opened_us, seen.ended_us) == (True, False, None, clock(), 0)


def test_an_unknown_group(store: Store) -> None:
    assert store.group(G) is None
    assert store.results(G, 0, 10) == []


def test_a_group_in_steps(store: Store, worker: Session) -> None:
    assert store.group_push(batch(0, 0, 1)) == "ok"
    assert worker.ids(10) == [member_id(G, 0), member_id(G, 1)]
    assert store.group_push(batch(2, 2)) == "ok"
    assert store.group_push(GroupBatch(id=G, seal=True)) == "ok"
    seen = store.group(G)
    assert seen is not None
    assert (seen.total, seen.sealed) == (3, True)
    assert worker.ids(10) == [member_id(G, 2)]


def test_steps_repeated_are_dups(store: Store, worker: Session) -> None:
    assert store.group_push(batch(0, 0, 1)) == "ok"
    assert store.group_push(batch(0, 0, 1)) == "dup"
    assert store.group_push(batch(2, 2)) == "ok"
    assert store.group_push(batch(0, 0, 1)) == "dup"
    assert store.group_push(GroupBatch(id=G, seal=True)) == "ok"
    assert store.group_push(GroupBatch(id=G, seal=True)) == "dup"
    assert store.group_push(batch(2, 2)) == "dup"
    assert len(worker.ids(10)) == 3


def test_a_whole_group_repeated_is_a_dup(store: Store, worker: Session) -> None:
    whole = GroupBatch(id=G, template=task(0, b"t"), rows=rows(0, 1), seal=True, body=task(1, b"body"))
    assert [store.group_push(whole), store.group_push(whole)] == ["ok", "dup"]
    for _ in range(2):
        worker.run(Done())
    assert store.group_push(whole) == "dup"
    assert worker.ids(10) == [uid(1)]


def test_a_gap_is_a_conflict(store: Store) -> None:
    assert store.group_push(batch(0, 0, 1)) == "ok"
    assert store.group_push(batch(3, 3)) == "conflict"
    seen = store.group(G)
    assert seen is not None
    assert seen.total == 2


def test_a_group_begins_at_place_zero(store: Store) -> None:
    assert store.group_push(batch(1, 1)) == "conflict"
    assert store.group(G) is None


def test_another_template_is_a_conflict(store: Store) -> None:
    assert store.group_push(batch(0, 0)) == "ok"
    assert store.group_push(batch(1, 1, payload=b"other")) == "conflict"


def test_an_addition_after_the_seal_is_a_conflict(store: Store) -> None:
    assert store.group_push(batch(0, 0, seal=True)) == "ok"
    assert store.group_push(batch(1, 1)) == "conflict"
    seen = store.group(G)
    assert seen is not None
    assert seen.total == 1


def test_an_empty_sealed_group_ends_at_once(store: Store, worker: Session, clock: FakeClock) -> None:
    assert store.group_push(GroupBatch(id=G, template=task(0), seal=True, body=task(1, b"body"))) == "ok"
    seen = store.group(G)
    assert seen is not None
    assert (seen.total, seen.ended, seen.sealed, seen.ended_us) == (0, 0, True, clock())
    assert worker.one().body_of == G


def test_an_open_group_does_not_end(store: Store, worker: Session) -> None:
    store.group_push(batch(0, 0))
    worker.run(Done())
    seen = store.group(G)
    assert seen is not None
    assert (seen.done, seen.ended_us) == (1, 0)


def test_the_seal_ends_a_group_whose_members_are_done(store: Store, worker: Session, clock: FakeClock) -> None:
    store.group_push(batch(0, 0))
    worker.run(Done())
    clock.advance(1)
    assert store.group_push(GroupBatch(id=G, seal=True, body=task(1))) == "ok"
    seen = store.group(G)
    assert seen is not None
    assert seen.ended_us == clock()
    assert worker.ids() == [uid(1)]


# -- claiming members -------------------------------------------------------------------------------------------------


def test_members_carry_template_and_row(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=2, name="mul", queue="q", priority=4, expires_in_us=60 * SECOND)
    claim = worker.one("q")
    assert (claim.id, claim.group, claim.index) == (member_id(G, 0), G, 0)
    assert (claim.payload, claim.row, claim.name, claim.queue, claim.priority) == (b"template", b"row-0", "mul", "q", 4)
    assert (claim.gen, claim.expires_us, claim.pushed_us) == (1, clock() + 60 * SECOND, clock())
    assert worker.one("q").index == 1
    assert worker.claim(1, "q") == []


def test_an_unclaimed_member_reads_as_ready(store: Store, worker: Session) -> None:
    like_group(store, rows=2, name="mul", priority=4)
    seen = view(store, member_id(G, 1))
    assert (seen.state, seen.name, seen.priority, seen.group, seen.index) == ("ready", "mul", 4, G, 1)
    assert store.payload(member_id(G, 1)) == (b"template", b"row-1")
    assert store.state([member_id(G, 2)]) == [None]


def test_a_claimed_member_runs(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    claim = worker.one()
    seen = view(store, member_id(G, 0))
    assert (seen.state, seen.session, seen.tok, seen.group, seen.index) == ("running", "s1", claim.tok, G, 0)
    group = store.group(G)
    assert group is not None
    assert group.running == 1


def test_members_take_their_turn_in_the_queue(store: Store, worker: Session) -> None:
    store.push([task(1)])
    like_group(store, rows=2)
    store.push([task(2)])
    assert worker.ids(10) == [uid(1), member_id(G, 0), member_id(G, 1), uid(2)]


def test_priority_of_a_group(store: Store, worker: Session) -> None:
    store.push([task(1, priority=5)])
    like_group(store, rows=2, priority=2)
    store.push([task(2, priority=1)])
    assert worker.ids(10) == [uid(2), member_id(G, 0), member_id(G, 1), uid(1)]


def test_two_groups_are_served_one_after_the_other(store: Store, worker: Session) -> None:
    like_group(store, 100, rows=3)
    like_group(store, 200, rows=3)
    got = worker.ids(2) + worker.ids(2) + worker.ids(2)
    assert got == [member_id(uid(100), n) for n in range(3)] + [member_id(uid(200), n) for n in range(3)]


def test_a_lost_claim_of_members_is_repeated(store: Store, worker: Session) -> None:
    like_group(store, rows=5)
    request = worker.request(3)
    first = store.claim("s1", request).claims
    assert store.claim("s1", request).claims == first
    assert [c.index for c in worker.claim(10)] == [3, 4]


def test_a_delayed_group_waits(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=2, delay_us=5 * SECOND)
    assert worker.claim(10) == []
    clock.advance(5)
    worker.tick()
    assert worker.ids(10) == [member_id(G, 0), member_id(G, 1)]


def test_members_of_a_paused_queue_wait(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    store.pause("celery")
    assert worker.claim(10) == []
    store.resume("celery")
    assert len(worker.claim(10)) == 2


def test_a_member_is_never_a_dup_of_a_pushed_task(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    twin = task(member_id(G, 0), b"template")
    assert store.push([twin]) == ["conflict"]
    claim = worker.one()
    assert store.push([twin]) == ["conflict"]
    worker.settle(claim, Failed(b"no"))
    assert store.push([twin]) == ["conflict"]


def test_a_pushed_task_may_not_take_a_members_id(store: Store) -> None:
    like_group(store, rows=2)
    assert store.push([task(member_id(G, 1), b"intruder")]) == ["conflict"]
    assert view(store, member_id(G, 1)).group == G


# -- counting ---------------------------------------------------------------------------------------------------------


def test_ends_are_counted_by_kind(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=5)
    worker.run(Done(b"0"))
    worker.run(Failed(b"no"))
    worker.run(Cancelled(b"stop"))
    worker.one()
    seen = store.group(G)
    assert seen is not None
    assert (seen.done, seen.failed, seen.cancelled, seen.running, seen.ended) == (1, 1, 1, 1, 3)
    assert seen.ended_us == 0


def test_the_group_ends_with_its_last_member(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=2)
    worker.run(Done())
    clock.advance(1)
    worker.run(Done())
    seen = store.group(G)
    assert seen is not None
    assert (seen.done, seen.ended_us) == (2, clock())


def test_repeats_do_not_count(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    claim = worker.run(Done(b"0"))
    before = store.group(G)
    assert [worker.settle(claim, Done(b"0")) for _ in range(3)] == ["dup"] * 3
    assert store.group(G) == before


def test_seq_rises_with_every_change(store: Store, worker: Session) -> None:
    like_group(store, rows=3)
    seqs = []
    for _ in range(3):
        worker.run(Done())
        seen = store.group(G)
        assert seen is not None
        seqs.append(seen.seq)
    assert seqs == sorted(set(seqs))


def test_retries_are_counted_and_members_come_back(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=2)
    worker.run(Retry(delay_us=SECOND, note=b"later"))
    seen = view(store, member_id(G, 0))
    assert (seen.state, seen.failures, seen.progress) == ("scheduled", 1, b"later")
    group = store.group(G)
    assert group is not None
    assert (group.retried, group.running, group.ended) == (1, 0, 0)
    worker.run(Done(b"1"))
    clock.advance(1)
    claim = worker.one()
    assert (claim.index, claim.failures, claim.payload, claim.row) == (0, 1, b"template", b"row-0")
    worker.settle(claim, Done(b"0"))
    assert [(r.index, r.state, r.result) for r in results(store, G)] == [(0, "done", b"0"), (1, "done", b"1")]


def test_a_retried_member_may_carry_a_payload_of_its_own(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    worker.run(Retry(payload=b"complete"))
    claim = worker.one()
    assert (claim.payload, claim.row, claim.group, claim.index) == (b"complete", None, G, 0)


@pytest.mark.parametrize("outcome", [Released(), Snooze(SECOND), Crashed(), Parked()], ids=lambda o: type(o).__name__)
def test_members_that_go_back_to_wait_come_again(
    store: Store, worker: Session, clock: FakeClock, outcome: Released | Snooze | Crashed | Parked
) -> None:
    like_group(store, rows=1)
    first = worker.run(outcome)
    store.unpark()
    clock.advance(2)
    second = worker.one()
    assert (second.id, second.row, second.index) == (first.id, b"row-0", 0)
    assert worker.settle(second, Done(b"1")) == "ok"
    seen = store.group(G)
    assert seen is not None
    assert (seen.done, seen.running) == (1, 0)


def test_members_of_a_lost_session_are_taken_back(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=3)
    stale = worker.one()
    other = Session(store, "s2")
    assert live(store, clock, 40, "s2") == [member_id(G, 0)]
    assert worker.settle(stale, Done(b"zombie")) == "stale"
    assert other.ids(10) == [member_id(G, n) for n in range(3)]
    assert view(store, member_id(G, 0)).lost == 1


def test_expired_members_are_failed_members(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=3, expires_in_us=SECOND, body=task(1))
    worker.run(Done(b"0"))
    clock.advance(2)
    got = worker.ids(10)
    seen = store.group(G)
    assert seen is not None
    assert (seen.done, seen.failed) == (1, 2)
    assert got == [uid(1)] or worker.ids(10) == [uid(1)]
    assert [(r.state, r.reason) for r in results(store, G)] == [
        ("done", None),
        ("dead", "expired"),
        ("dead", "expired"),
    ]


# -- results ----------------------------------------------------------------------------------------------------------


def test_results_come_in_order_of_place(store: Store, worker: Session) -> None:
    like_group(store, rows=4)
    a, b, c, _ = worker.claim(4)
    worker.settle(c, Done(b"2"))
    worker.settle(a, Failed(b"error"))
    worker.settle(b, Cancelled(b"stop"))
    got = [(r.index, r.id, r.state, r.result, r.reason) for r in results(store, G)]
    assert got == [
        (0, member_id(G, 0), "dead", b"error", "failed"),
        (1, member_id(G, 1), "cancelled", b"stop", "revoked"),
        (2, member_id(G, 2), "done", b"2", None),
        (3, member_id(G, 3), "running", None, None),
    ]


def test_results_come_in_pages(store: Store, worker: Session) -> None:
    like_group(store, rows=250)
    for _ in range(3):
        for claim in worker.claim(100):
            worker.settle(claim, Done(b"%d" % (claim.index or 0)))
    pages = [results(store, G, offset, 90) for offset in (0, 90, 180, 270)]
    assert [len(p) for p in pages] == [90, 90, 70, 0]
    assert [r.result for p in pages for r in p] == [b"%d" % n for n in range(250)]


def test_a_single_members_result(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    worker.run(Done(b"zero"))
    seen = view(store, member_id(G, 0))
    assert (seen.state, seen.result, seen.group, seen.index) == ("done", b"zero", G, 0)


def test_2500_members_in_steps(store: Store, worker: Session) -> None:
    for offset in (0, 1_000, 2_000):
        numbers = range(offset, min(offset + 1_000, 2_500))
        assert store.group_push(batch(offset, *numbers)) == "ok"
    assert store.group_push(GroupBatch(id=G, seal=True, body=task(1, b"body"))) == "ok"
    done = 0
    while members := [c for c in worker.claim(100) if c.group]:
        outcomes = [Failed(b"no") if c.index == 1_234 else Done(c.row) for c in members]
        verdicts = store.settle("s1", [settlement(c, o) for c, o in zip(members, outcomes, strict=True)]).verdicts
        assert set(verdicts) == {"ok"}
        done += len(members)
    seen = store.group(G)
    assert seen is not None
    assert (done, seen.total, seen.done, seen.failed) == (2_500, 2_500, 2_499, 1)
    page = results(store, G, 1_230, 10)
    assert [r.result for r in page] == [b"no" if n == 1_234 else b"row-%d" % n for n in range(1_230, 1_240)]
    assert [h.id for h in worker.held()] == [uid(1)]


# -- the body ---------------------------------------------------------------------------------------------------------


def test_the_body_waits_for_the_last_member(store: Store, worker: Session) -> None:
    like_group(store, rows=2, body=task(1, b"body", queue="bodies"))
    assert view(store, 1).state == "waiting"
    seen = store.group(G)
    assert seen is not None
    assert seen.body == uid(1)
    worker.run(Done())
    assert view(store, 1).state == "waiting"
    worker.run(Done())
    assert view(store, 1).state == "ready"
    claim = worker.one("bodies")
    assert (claim.payload, claim.body_of, claim.group) == (b"body", G, None)


@pytest.mark.parametrize("outcome", [Failed(b"no"), Cancelled()], ids=["failed", "cancelled"])
def test_the_body_runs_however_the_members_ended(store: Store, worker: Session, outcome: Failed | Cancelled) -> None:
    like_group(store, rows=1, body=task(1))
    worker.run(outcome)
    assert worker.one().body_of == G


def test_the_body_is_pushed_once(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(1))
    claim = worker.one()
    assert [worker.settle(claim, Done()), worker.settle(claim, Done())] == ["ok", "dup"]
    assert worker.ids(10) == [uid(1)]


def test_a_body_can_be_claimed_with_the_last_settle(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(1))
    settled = store.settle("s1", [settlement(worker.one(), Done())], worker.request(1))
    assert [c.id for c in settled.claimed.claims] == [uid(1)]


def test_a_delayed_body_is_scheduled_when_its_time_comes(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=1, body=task(1, delay_us=5 * SECOND))
    clock.advance(10)
    worker.tick()
    worker.run(Done())
    assert (view(store, 1).state, view(store, 1).due_us) == ("scheduled", clock() + 5 * SECOND)


def test_a_bodys_time_counts_from_its_release(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=1, body=task(1, expires_in_us=5 * SECOND))
    assert (view(store, 1).due_us, view(store, 1).expires_us) == (None, None)
    clock.advance(100)
    worker.run(Done())
    assert view(store, 1).expires_us == clock() + 5 * SECOND
    assert worker.ids() == [uid(1)]


def test_a_waiting_body_can_be_revoked(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(1))
    assert store.revoke([uid(1)]) == ["cancelled"]
    worker.run(Done())
    assert worker.claim() == []
    assert view(store, 1).state == "cancelled"


def test_a_retried_body_is_still_a_body(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(1))
    worker.run(Done(b"0"))
    worker.run(Retry())
    assert worker.one().body_of == G
    assert results(store, G)[0].result == b"0"


def test_results_stay_while_the_body_has_not_ended(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=1, keep_us=60 * SECOND, body=task(1, keep_us=60 * SECOND))
    worker.run(Done(b"0"))
    body = worker.one()
    live(store, clock, 300, "s1")
    assert results(store, G)[0].result == b"0"
    worker.settle(body, Done())
    live(store, clock, 300, "s1")
    assert store.group(G) is None
    assert results(store, G) == []


def test_a_group_lives_a_minute_at_least(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=2, keep_us=0)
    worker.run(Done(b"0"))
    worker.run(Failed(b"no"))
    clock.advance(us=TOMBSTONE_US - 1)
    assert [(r.state, r.result) for r in results(store, G)] == [("done", None), ("dead", b"no")]
    clock.advance(us=1)
    assert store.group(G) is None
    assert store.state([member_id(G, 0), member_id(G, 1)]) == [None, None]


def test_a_group_id_can_be_used_again_after_its_life(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=2, keep_us=0)
    worker.run(Done(b"0"))
    worker.run(Failed(b"no"))
    clock.advance(us=TOMBSTONE_US)
    like_group(store, rows=3)
    assert [r.state for r in results(store, G)] == ["ready"] * 3
    assert worker.ids(10) == [member_id(G, n) for n in range(3)]


def test_a_group_stays_while_its_requeued_body_runs(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=1, keep_us=60 * SECOND, body=task(1))
    worker.run(Done(b"0"))
    worker.run(Failed(b"no"))
    assert store.requeue([uid(1)]) == [True]
    body = worker.one()
    assert body.body_of == G
    live(store, clock, 300, "s1")
    assert results(store, G)[0].result == b"0"
    worker.settle(body, Done())
    clock.advance(60)
    assert store.group(G) is None


def test_a_forgotten_group_is_gone_whole(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    worker.run(Done(b"0"))
    assert store.forget([G]) == 0
    worker.run(Failed(b"no"))
    assert store.forget([member_id(G, 0), member_id(G, 1)]) == 0
    assert store.forget([G]) == 1
    assert store.group(G) is None
    assert store.state([member_id(G, 0), member_id(G, 1)]) == [None, None]


def test_a_group_is_pruned_after_its_time(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=2, keep_us=60 * SECOND)
    worker.run(Done(b"0"))
    worker.run(Failed(b"no"))
    live(store, clock, 50, "s1")
    assert len(results(store, G)) == 2
    live(store, clock, 200, "s1")
    assert store.group(G) is None
    assert store.state([member_id(G, 0), member_id(G, 1)]) == [None, None]


# -- group_revoke and group_retry -------------------------------------------------------------------------------------


def test_group_revoke_ends_what_has_not_started(store: Store, worker: Session) -> None:
    like_group(store, rows=5, body=task(1))
    worker.run(Done(b"0"))
    worker.run(Retry(delay_us=SECOND))
    running = worker.one()
    assert store.group_revoke(G) == 3
    seen = store.group(G)
    assert seen is not None
    assert (seen.done, seen.cancelled, seen.running, seen.revoked) == (1, 3, 1, True)
    assert [r.state for r in results(store, G)] == ["done", "cancelled", "running", "cancelled", "cancelled"]
    assert worker.settle(running, Done(b"2")) == "ok"
    assert worker.ids(10) == [uid(1)]


@pytest.mark.parametrize(
    "outcome", [Retry(), Snooze(SECOND), Released(), Crashed(), Parked()], ids=lambda o: str(o)[:5]
)
def test_members_of_a_revoked_group_do_not_wait_again(
    store: Store, worker: Session, outcome: Retry | Snooze | Released | Crashed | Parked
) -> None:
    like_group(store, rows=1)
    claim = worker.one()
    assert store.group_revoke(G) == 0
    assert worker.settle(claim, outcome) == "ok"
    seen = store.group(G)
    assert seen is not None
    assert (view(store, claim.id).state, seen.cancelled, seen.running) == ("cancelled", 1, 0)


def test_members_of_a_revoked_group_are_not_taken_back_to_wait(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    claim = worker.one()
    store.group_revoke(G)
    store.tick([], ["s1"])
    assert view(store, claim.id).state == "cancelled"
    seen = store.group(G)
    assert seen is not None
    assert (seen.cancelled, seen.running) == (2, 0)


def test_group_revoke_with_terminate_ends_all(store: Store, worker: Session) -> None:
    like_group(store, rows=3)
    claim = worker.one()
    assert store.group_revoke(G, terminate=True) == 3
    assert worker.settle(claim, Done()) == "stale"
    seen = store.group(G)
    assert seen is not None
    assert (seen.cancelled, seen.running, seen.revoked) == (3, 0, True)
    assert worker.held() == []


def test_group_revoke_twice(store: Store) -> None:
    like_group(store, rows=3)
    assert [store.group_revoke(G), store.group_revoke(G)] == [3, 0]
    assert store.group_revoke(uid(9)) == 0


def test_a_group_that_has_ended_is_not_revoked(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    worker.run(Done())
    assert store.group_revoke(G) == 0
    seen = store.group(G)
    assert seen is not None
    assert seen.revoked is False


def test_what_is_added_to_a_revoked_group_is_cancelled(store: Store, worker: Session) -> None:
    store.group_push(batch(0, 0))
    assert store.group_revoke(G) == 1
    assert store.group_push(batch(1, 1, 2)) == "ok"
    store.group_push(GroupBatch(id=G, seal=True, body=task(1)))
    seen = store.group(G)
    assert seen is not None
    assert (seen.total, seen.cancelled) == (3, 3)
    assert worker.ids(10) == [uid(1)]


def test_unlike_members_added_to_a_revoked_group_are_cancelled(store: Store, worker: Session) -> None:
    store.group_push(unlike(1, seal=False))
    assert store.group_revoke(G) == 1
    assert store.group_push(unlike(2, offset=1)) == "ok"
    assert [view(store, n).state for n in (1, 2)] == ["cancelled", "cancelled"]
    assert worker.claim(10) == []


def test_a_single_unclaimed_member_can_be_revoked(store: Store, worker: Session) -> None:
    like_group(store, rows=3)
    assert store.revoke([member_id(G, 1), member_id(G, 3)]) == ["cancelled", "unknown"]
    assert view(store, member_id(G, 1)).state == "cancelled"
    assert worker.ids(10) == [member_id(G, 0), member_id(G, 2)]
    assert store.revoke([member_id(G, 0), member_id(G, 1)]) == ["running", "ended"]
    seen = store.group(G)
    assert seen is not None
    assert (seen.cancelled, seen.running) == (1, 2)


def test_rows_added_after_a_revoked_last_row_are_claimed(store: Store, worker: Session) -> None:
    assert store.group_push(batch(0, 0, 1)) == "ok"
    store.revoke([member_id(G, 1)])
    assert worker.ids(10) == [member_id(G, 0)]
    assert store.group_push(batch(2, 2)) == "ok"
    assert worker.ids(10) == [member_id(G, 2)]


def test_rows_added_to_a_delayed_group_come_with_it(store: Store, worker: Session, clock: FakeClock) -> None:
    first = GroupBatch(id=G, template=task(0, b"t", delay_us=5 * SECOND), rows=rows(0))
    assert store.group_push(first) == "ok"
    assert view(store, member_id(G, 0)).state == "scheduled"
    clock.advance(5)
    assert store.group_push(GroupBatch(id=G, offset=1, rows=rows(1))) == "ok"
    assert worker.ids(10) == [member_id(G, 0), member_id(G, 1)]


def test_revoking_the_last_member_ends_the_group(store: Store, worker: Session) -> None:
    like_group(store, rows=2, body=task(1))
    worker.run(Done())
    store.revoke([member_id(G, 1)])
    assert worker.ids(10) == [uid(1)]


def test_group_retry_runs_failed_members_again(store: Store, worker: Session) -> None:
    like_group(store, rows=3)
    worker.run(Failed(b"no"))
    worker.run(Done(b"1"))
    worker.run(Failed(b"no"))
    assert store.group_retry(G) == 2
    seen = store.group(G)
    assert seen is not None
    assert (seen.done, seen.failed, seen.ended_us) == (1, 0, 0)
    claims = worker.claim(10)
    assert [(c.index, c.gen, c.row, c.failures) for c in claims] == [(0, 2, b"row-0", 0), (2, 2, b"row-2", 0)]
    for claim in claims:
        assert worker.settle(claim, Done(b"again")) == "ok"
    seen = store.group(G)
    assert seen is not None
    assert (seen.done, seen.failed) == (3, 0)
    assert [r.result for r in results(store, G)] == [b"again", b"1", b"again"]


def test_group_retry_before_the_end_keeps_the_body_waiting(store: Store, worker: Session) -> None:
    like_group(store, rows=2, body=task(1))
    worker.run(Failed(b"no"))
    assert store.group_retry(G) == 1
    worker.run(Done(b"1"))
    assert view(store, 1).state == "waiting"
    worker.run(Done(b"0"))
    assert worker.ids(10) == [uid(1)]


def test_group_retry_does_not_run_a_body_twice(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(1))
    worker.run(Failed(b"no"))
    worker.run(Done(b"body ran"))
    assert store.group_retry(G) == 1
    worker.run(Done(b"0"))
    assert worker.claim(10) == []
    assert (view(store, 1).state, view(store, 1).result) == ("done", b"body ran")


def test_group_retry_makes_a_dead_body_wait_again(store: Store, worker: Session) -> None:
    """A chord's body fails because members failed; retried, it runs once they are well."""
    like_group(store, rows=1, body=task(1, b"body"))
    worker.run(Failed(b"no"))
    worker.run(Failed(b"a member failed"))
    assert store.group_retry(G) == 1
    seen = view(store, 1)
    assert (seen.state, seen.gen, seen.result, seen.reason, seen.ended_us) == ("waiting", 2, None, None, 0)
    assert worker.run(Done(b"0")).index == 0
    claim = worker.one()
    assert (claim.id, claim.gen, claim.payload, claim.body_of) == (uid(1), 2, b"body", G)


@pytest.mark.parametrize("by_requeue", [False, True])
def test_a_body_that_waits_again_is_open_again_in_its_own_group(
    store: Store, worker: Session, by_requeue: bool
) -> None:
    """A chord in a chord: the inner one's body is a member of the outer one, whose body waits again too."""
    outer, inner = uid(200), uid(201)
    store.group_push(GroupBatch(id=outer, members=(seat(1, group=outer, index=0),), seal=True, body=task(2, b"outer")))
    store.group_push(GroupBatch(id=inner, members=(task(3, group=inner, index=0),), seal=True, body=task(1, b"inner")))
    for _ in range(3):
        worker.run(Failed(b"no"))
    assert [view(store, n).state for n in (1, 2, 3)] == ["dead"] * 3
    assert (store.requeue([uid(3)]) == [True]) if by_requeue else (store.group_retry(inner) == 1)
    counts = store.group(outer)
    assert counts is not None
    assert (counts.failed, counts.ended, counts.ended_us) == (0, 0, 0)
    assert [view(store, n).state for n in (1, 2, 3)] == ["waiting", "waiting", "ready"]
    assert store.audit() == []
    for expected in (uid(3), uid(1), uid(2)):
        assert worker.run(Done(b"yes")).id == expected
    assert [r.result for r in results(store, outer)] == [b"yes"]
    assert worker.claim() == []


def test_group_retry_calls_back_a_body_that_has_not_started(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(1))
    worker.run(Failed(b"no"))
    assert view(store, 1).state == "ready"
    assert store.group_retry(G) == 1
    assert view(store, 1).state == "waiting"
    assert worker.run(Done(b"0")).group == G
    assert worker.ids(10) == [uid(1)]


def test_group_retry_takes_back_a_group_revoke(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    worker.run(Failed(b"no"))
    assert store.group_revoke(G) == 1
    assert store.group_retry(G) == 1
    worker.run(Retry())
    seen = store.group(G)
    assert seen is not None
    assert (view(store, member_id(G, 0)).state, seen.revoked, seen.cancelled) == ("ready", False, 1)


def test_group_retry_of_a_sound_group_does_nothing(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    worker.run(Done())
    assert store.group_retry(G) == 0
    assert store.group_retry(uid(9)) == 0
    assert worker.claim() == []


def test_an_old_answer_to_a_retried_member_is_stale(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    first = worker.run(Failed(b"no"))
    store.group_retry(G)
    assert worker.settle(first, Failed(b"no")) == "stale"
    second = worker.one()
    assert worker.settle(first, Done(b"zombie")) == "stale"
    assert worker.settle(second, Done(b"new")) == "ok"
    assert results(store, G)[0].result == b"new"


def test_purge_cancels_unclaimed_members(store: Store, worker: Session) -> None:
    like_group(store, rows=4, body=task(1, queue="bodies"))
    running = worker.one()
    assert store.purge("celery") == 3
    seen = store.group(G)
    assert seen is not None
    assert (seen.cancelled, seen.running) == (3, 1)
    worker.settle(running, Done())
    assert worker.one("bodies").body_of == G


# -- unlike members ---------------------------------------------------------------------------------------------------


def unlike(*numbers: int, seal: bool = True, body: Message | None = None, offset: int = 0) -> GroupBatch:
    members = tuple(
        task(n, b"own-%d" % n, name=f"t{n}", group=G, index=offset + place) for place, n in enumerate(numbers)
    )
    return GroupBatch(id=G, offset=offset, members=members, seal=seal, body=body)


def test_unlike_members_are_tasks_of_their_own(store: Store, worker: Session) -> None:
    assert store.group_push(unlike(1, 2, body=task(9))) == "ok"
    a, b = worker.claim(10)
    assert (a.id, a.payload, a.row, a.name, a.group, a.index) == (uid(1), b"own-1", None, "t1", G, 0)
    assert (b.id, b.index) == (uid(2), 1)
    worker.settle(a, Done(b"a"))
    worker.settle(b, Failed(b"b"))
    assert [(r.index, r.id, r.state, r.result) for r in results(store, G)] == [
        (0, uid(1), "done", b"a"),
        (1, uid(2), "dead", b"b"),
    ]
    assert worker.one().body_of == G


def test_unlike_members_repeat_and_conflict(store: Store, worker: Session) -> None:
    assert store.group_push(unlike(1, 2, seal=False)) == "ok"
    assert store.group_push(unlike(1, 2, seal=False)) == "dup"
    assert store.group_push(unlike(3, offset=2)) == "ok"
    assert store.group_push(unlike(4, offset=3)) == "conflict"
    assert len(worker.claim(10)) == 3


def test_an_unlike_member_with_a_taken_id_is_a_conflict(store: Store, worker: Session) -> None:
    store.push([task(2, b"somebody else's")])
    assert store.group_push(unlike(1, 2)) == "conflict"
    assert worker.ids(10) == [uid(2)]


def test_a_member_that_is_a_task_already_is_a_conflict(store: Store, worker: Session) -> None:
    """Equal or not: it would end without being counted."""
    store.push([task(1, b"own-1", name="t1")])
    assert store.group_push(unlike(1)) == "conflict"
    assert store.group(G) is None


def test_a_group_has_one_kind(store: Store) -> None:
    assert store.group_push(unlike(1, seal=False)) == "ok"
    assert store.group_push(GroupBatch(id=G, template=task(0), offset=1, rows=(b"x",))) == "conflict"


def test_unlike_members_retry_and_revoke(store: Store, worker: Session) -> None:
    store.group_push(unlike(1, 2, 3, body=task(9)))
    worker.run(Retry())
    worker.run(Failed(b"no"))
    assert store.group_retry(G) == 1
    assert store.group_revoke(G) == 3
    seen = store.group(G)
    assert seen is not None
    assert (seen.cancelled, seen.failed, seen.retried) == (3, 0, 1)
    assert worker.ids(10) == [uid(9)]


def test_unlike_members_with_ignored_results_still_count(store: Store, worker: Session, clock: FakeClock) -> None:
    members = tuple(task(n, group=G, index=n, keep_us=0) for n in range(2))
    store.group_push(GroupBatch(id=G, members=members, seal=True, body=task(9)))
    for _ in range(2):
        worker.run(Done(b"x"))
    seen = store.group(G)
    assert seen is not None
    assert seen.done == 2
    assert worker.ids(10) == [uid(9)]


def test_members_with_ignored_results_still_count(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=2, keep_us=0, body=task(9))
    for _ in range(2):
        worker.run(Done(b"x"))
    assert worker.ids(10) == [uid(9)]
    live(store, clock, 100, "s1")
    assert store.group(G) is not None, "the body has not ended"
