"""Ends given to tasks that never run because of how another task ended."""

from __future__ import annotations

from typing import Any

import pytest

from smallage.core.message import DAY_US, FOLLOW_ANY, Done, End, Failed, Message, Replaced, settlement
from smallage.stores.base import MAX_THEN, TOMBSTONE_US, GroupBatch, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, like_group, results, seat, task, uid, view

G, H = uid(100), uid(101)


def upstream(n: int | str, **more: Any) -> End:
    """What a chain's later step gets when an earlier one failed."""
    return End(n if isinstance(n, str) else uid(n), "dead", result=b"error", reason="upstream", **more)


def failing(store: Store, worker: Session, *ends: End, then: tuple[Message, ...] = ()) -> None:
    """A task that fails, with these ends."""
    store.push([task(99, queue="first")])
    worker.run(Failed(b"error", then=then, ends=ends), "first")


def test_the_end_of_what_was_never_there(store: Store, worker: Session, clock: FakeClock) -> None:
    failing(store, worker, upstream(1, name="last", queue="q", keep_us=3 * DAY_US))
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.result, seen.name, seen.queue) == ("dead", "upstream", b"error", "last", "q")
    assert (seen.gen, seen.tok, seen.settled, seen.ran, seen.failures, seen.priority) == (1, 0, 0, False, 0, 0)
    assert (seen.pushed_us, seen.started_us, seen.ended_us) == (clock(), 0, clock())
    assert (seen.group, seen.ignored) == (None, False)
    assert store.payload(uid(1)) is None
    assert store.requeue([uid(1)]) == [False]
    clock.advance(us=2 * DAY_US)
    worker.tick()
    assert view(store, 1) == seen
    clock.advance(us=DAY_US)
    assert gone(store, 1)


@pytest.mark.parametrize(
    ("given", "reason", "result"),
    [
        (End(uid(1), "done", result=b"7"), None, b"7"),
        (End(uid(1), "cancelled", reason="revoked"), "revoked", None),
        (End(uid(1), "done", result=b"7", keep_us=0), None, None),
    ],
)
def test_other_ends(
    store: Store, worker: Session, clock: FakeClock, given: End, reason: str | None, result: bytes | None
) -> None:
    store.push([task(99)])
    worker.run(Done(None, (), (given,)))
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.result, seen.ran) == (given.state, reason, result, False)
    assert seen.ignored == (given.keep_us == 0)
    clock.advance(us=TOMBSTONE_US)
    assert gone(store, 1) == (given.keep_us == 0)


def test_watchers_hear_of_given_ends(store: Store, worker: Session) -> None:
    watch = store.watch()
    watch.add([uid(1)])
    failing(store, worker, upstream(1))
    assert watch.wait(30.0) == {uid(1)}
    watch.close()


def test_the_end_of_a_seat(store: Store, worker: Session) -> None:
    """It keeps its own name, queue and retention; a late message does not fill it."""
    store.push([seat(1, name="own", queue="q", keep_us=0, follow=FOLLOW_ANY)])
    failing(store, worker, upstream(1, name="other", queue="other"))
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.result, seen.name, seen.queue) == ("dead", "upstream", b"error", "own", "q")
    assert worker.claim(10, "q", "celery", "first") == [], "an end that was given has no follow-up"
    assert store.payload(uid(1)) is None
    assert store.requeue([uid(1)]) == [False]


def test_a_cancelled_seat_of_a_given_end_has_no_follow_up(store: Store, worker: Session) -> None:
    store.push([seat(1)])
    failing(store, worker, End(uid(1), "cancelled", reason="revoked"))
    assert store.push([task(1, follow=FOLLOW_ANY)]) == ["conflict"]
    assert worker.claim() == []


@pytest.mark.parametrize("state", ["done", "dead", "cancelled"])
def test_a_seat_that_was_ended_counts_for_its_group(store: Store, worker: Session, state: Any) -> None:
    members = (seat(1, group=G, index=0), task(2, group=G, index=1))
    store.group_push(GroupBatch(id=G, members=members, seal=True, body=task(9, b"body")))
    worker.run(Done())
    failing(store, worker, End(uid(1), state, result=b"r", reason=None if state == "done" else "upstream"))
    assert [r.state for r in results(store, G)] == [state, "done"]
    seen = store.group(G)
    assert seen is not None
    assert (seen.done, seen.failed, seen.cancelled) == (1 + (state == "done"), state == "dead", state == "cancelled")
    assert worker.one().body_of == G


def test_a_failed_seat_is_not_retried_with_its_group(store: Store, worker: Session) -> None:
    """There is nothing to run: the step that failed is to be requeued."""
    store.group_push(GroupBatch(id=G, members=(seat(1, group=G, index=0),), seal=True))
    failing(store, worker, upstream(1))
    assert store.group_retry(G) == 0
    assert view(store, 1).state == "dead"


def test_the_end_of_a_waiting_body(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=1, body=task(9, b"body"), keep_us=0)
    failing(store, worker, upstream(9))
    assert (view(store, 9).state, view(store, 9).reason) == ("dead", "upstream")
    worker.run(Done())
    assert worker.claim() == []
    assert store.payload(uid(9)) == (b"body", None)
    clock.advance(us=TOMBSTONE_US)
    assert store.group(G) is None


def test_a_dead_body_waits_again_with_its_group(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(9, b"body"))
    failing(store, worker, upstream(9))
    worker.run(Failed(b"e"))
    assert store.group_retry(G) == 1
    assert view(store, 9).state == "waiting"
    worker.run(Done())
    assert worker.one().body_of == G


def test_the_end_of_a_replaced_task(store: Store, worker: Session) -> None:
    store.push([task(1, b"args")])
    worker.run(Replaced((task(2),)))
    worker.run(Failed(b"e", ends=(upstream(1),)))
    assert (view(store, 1).state, view(store, 1).result, view(store, 1).releases) == ("dead", b"error", 1)
    assert store.requeue([uid(1)]) == [False]


def test_the_end_of_a_replaced_like_member(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(9, b"body"))
    worker.run(Replaced((task(2),)))
    worker.run(Failed(b"e", ends=(upstream(f"{G}.0"),)))
    assert [(r.state, r.reason, r.result) for r in results(store, G)] == [("dead", "upstream", b"error")]
    assert worker.one().body_of == G


def test_an_end_changes_nothing_that_runs_or_is_over(store: Store, worker: Session) -> None:
    like_group(store, rows=2, queue="rows")
    worker.one("rows")
    store.push([task(1), task(2), task(3, delay_us=SECOND), task(4, queue="later"), seat(5)])
    worker.run(Done(b"1"))
    worker.one()
    store.revoke([uid(5)])
    ids = [*(uid(n) for n in range(1, 6)), f"{G}.0", f"{G}.1", f"{G}.7", f"{H}.0"]
    before = store.state(ids)
    failing(store, worker, *(upstream(i) for i in ids))
    assert store.state(ids) == before
    assert before[-1] is None, "no record for the id of a like member"


def test_a_stale_settlement_ends_nothing(store: Store, worker: Session) -> None:
    store.push([seat(1), task(2)])
    claim = worker.one()
    store.revoke([uid(2)], terminate=True)
    assert worker.settle(claim, Failed(b"e", ends=(upstream(1), upstream(3)))) == "stale"
    assert (view(store, 1).state, gone(store, 3)) == ("waiting", True)


def test_ends_come_before_then(store: Store, worker: Session) -> None:
    store.push([seat(1)])
    failing(store, worker, upstream(1), then=(task(1, b"args"),))
    assert worker.one().payload == b"args", "dead in no group: the message takes its place"


def test_more_than_a_settlement_carries(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    ends = tuple(upstream(n) for n in range(1_000, 1_000 + MAX_THEN))
    with pytest.raises(ValueError, match="at most"):
        worker.settle(claim, Failed(b"e", then=(task(2),), ends=ends))
    assert view(store, 1).state == "running"
    assert worker.settle(claim, Failed(b"e", ends=ends)) == "ok"
    assert view(store, 999 + MAX_THEN).state == "dead"


# -- taking the place of what never ran -------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["push", "then", "member", "body", "seat"])
def test_a_step_that_never_ran_can_come_after_all(store: Store, worker: Session, verb: str) -> None:
    """The failed step was requeued and went well this time."""
    failing(store, worker, upstream(1, keep_us=0))
    message = task(1, b"args", keep_us=DAY_US)
    match verb:
        case "push":
            assert store.push([message]) == ["ok"]
            assert store.push([message]) == ["dup"]
        case "then":
            store.requeue([uid(99)])
            worker.run(Done(None, (message,)), "first")
        case "member":
            member = task(1, b"args", group=G, index=0)
            assert store.group_push(GroupBatch(id=G, members=(member,), seal=True)) == "ok"
        case "body":
            assert store.group_push(GroupBatch(id=G, seal=True, body=message)) == "ok"
        case _:
            member = seat(1, group=G, index=0)
            assert store.group_push(GroupBatch(id=G, members=(member,), seal=True)) == "ok"
            assert view(store, 1).state == "waiting"
            assert store.push([message]) == ["ok"]
    claim = worker.one()
    assert (claim.id, claim.gen, claim.payload, claim.body_of) == (uid(1), 1, b"args", G if verb == "body" else None)
    assert (claim.group, claim.index) == ((G, 0) if verb in ("member", "seat") else (None, None))
    worker.settle(claim, Done(b"1"))
    assert (view(store, 1).state, view(store, 1).result) == ("done", b"1")


@pytest.mark.parametrize("reason", ["upstream", "expired"])
@pytest.mark.parametrize("by_push", [False, True])
def test_a_member_that_never_ran_comes_back_to_its_group(
    store: Store, worker: Session, reason: Any, by_push: bool
) -> None:
    """The step before it failed and was sent round again: the group counts it as open, a dead body waits once more."""
    members = (seat(1, group=G, index=0), task(2, group=G, index=1))
    store.group_push(GroupBatch(id=G, members=members, seal=True, body=task(9, b"body")))
    worker.run(Done(b"2"))
    failing(store, worker, End(uid(1), "dead", result=b"error", reason=reason))
    worker.run(Failed(b"a member failed"))
    message = task(1, b"args", queue="later", follow=FOLLOW_ANY)
    if by_push:
        assert store.push([message]) == ["ok"]
    else:
        store.push([task(98, queue="first")])
        worker.run(Done(None, (message,)), "first")
    seen, counts = view(store, 1), store.group(G)
    assert counts is not None
    assert (seen.state, seen.gen, seen.group, seen.index, seen.queue) == ("ready", 2, G, 0, "later")
    assert (seen.reason, seen.result, seen.ended_us, seen.ran) == (None, None, 0, False)
    assert (counts.failed, counts.done, counts.ended_us, view(store, 9).state) == (0, 1, 0, "waiting")
    assert (view(store, 9).gen, store.counts()[""]["dead"]) == (2, 1)
    assert worker.run(Done(b"1"), "later").payload == b"args"
    assert [r.result for r in results(store, G)] == [b"1", b"2"]
    assert worker.one().body_of == G


def test_a_member_that_never_ran_comes_back_late(store: Store, worker: Session, clock: FakeClock) -> None:
    """A message with a delay; and a body that has run stays as it is."""
    store.group_push(GroupBatch(id=G, members=(seat(1, group=G, index=0),), seal=True, body=task(9, b"body")))
    failing(store, worker, upstream(1))
    worker.run(Done(b"body ran"))
    assert store.push([task(1, b"args", delay_us=5 * SECOND)]) == ["ok"]
    assert (view(store, 1).state, view(store, 9).state) == ("scheduled", "done")
    clock.advance(5)
    worker.tick()
    worker.run(Failed(b"now it fails itself"))
    assert store.push([task(1, b"more")]) == ["conflict"]
    assert (view(store, 1).reason, view(store, 9).result, worker.claim()) == ("failed", b"body ran", [])


def test_a_member_that_never_ran_comes_back_as_the_body_of_a_group(store: Store, worker: Session) -> None:
    store.group_push(GroupBatch(id=G, members=(seat(1, group=G, index=0),), seal=True))
    failing(store, worker, upstream(1))
    assert store.group_push(GroupBatch(id=H, members=(task(2, group=H, index=0),), seal=True, body=task(1))) == "ok"
    counts = store.group(G)
    assert counts is not None
    assert (view(store, 1).state, counts.failed, counts.ended_us) == ("waiting", 0, 0)
    worker.run(Done(b"2"))
    assert worker.run(Done(b"1")).body_of == H
    assert [r.result for r in results(store, G)] == [b"1"]


def test_a_replaced_member_that_died_comes_back(store: Store, worker: Session) -> None:
    store.group_push(GroupBatch(id=G, members=(task(1, group=G, index=0),), seal=True))
    worker.run(Replaced())
    failing(store, worker, upstream(1))
    assert store.push([task(1, b"again")]) == ["ok"]
    seen = view(store, 1)
    assert (seen.state, seen.gen, seen.settled, seen.releases, seen.failures) == ("ready", 2, 0, 0, 0)
    worker.run(Done(b"1"))


def test_a_seat_that_died_is_not_brought_back_by_a_seat(store: Store, worker: Session) -> None:
    members = (seat(1, group=G, index=0),)
    store.group_push(GroupBatch(id=G, members=members, seal=True))
    failing(store, worker, upstream(1))
    assert store.push([seat(1, name="other")]) == ["dup"]
    assert store.group_push(GroupBatch(id=G, members=members, seal=True)) == "dup"
    assert view(store, 1).state == "dead"


def test_a_step_behind_an_expired_one_makes_room(store: Store, worker: Session) -> None:
    failing(store, worker, End(uid(1), "dead", reason="expired"))
    assert store.push([task(1, b"args")]) == ["ok"]
    assert (view(store, 1).state, view(store, 1).gen) == ("ready", 1)


def test_a_task_that_expired_itself_keeps_its_place(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, b"args", expires_in_us=SECOND)])
    clock.advance(2)
    assert worker.claim() == []
    assert store.push([task(1, b"other")]) == ["conflict"]
    assert (view(store, 1).state, view(store, 1).reason) == ("dead", "expired")


def test_a_task_that_failed_itself_keeps_its_place(store: Store, worker: Session) -> None:
    store.push([task(1, b"args")])
    worker.run(Failed(b"e"))
    failing(store, worker, upstream(1), then=(task(1, b"other"),))
    assert (view(store, 1).reason, worker.claim()) == ("failed", [])


def test_a_replaced_task_that_died_does_not_run_again_by_its_own_push(store: Store, worker: Session) -> None:
    store.push([task(1, b"args")])
    worker.run(Replaced())
    failing(store, worker, upstream(1))
    assert store.push([task(1, b"args")]) == ["dup"]
    assert view(store, 1).state == "dead"


def test_ends_of_many_settlements_at_once(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(5)])
    claims = worker.claim(5)
    given = [settlement(c, Failed(b"e", ends=(upstream(50 + n), upstream(60 + n)))) for n, c in enumerate(claims)]
    assert store.settle("s1", given).verdicts == ("ok",) * 5
    assert all(view(store, 50 + n).state == view(store, 60 + n).state == "dead" for n in range(5))
    assert store.counts()[""]["dead"] == 15
