"""Seats: places that wait for a message, what fills them, and tasks that give their place to others."""

from __future__ import annotations

import pytest

from smallage.core.message import FOLLOW_ANY, Cancelled, Crashed, Done, Failed, Message, Replaced, Retry, settlement
from smallage.stores.base import TOMBSTONE_US, GroupBatch, Store, after_id
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, like_group, live, results, seat, task, uid, view

G, H = uid(100), uid(101)


def seated(store: Store, *numbers: int, body: Message | None = None, **env: object) -> None:
    """A sealed group whose members are seats."""
    members = tuple(seat(n, group=G, index=place, **env) for place, n in enumerate(numbers))
    assert store.group_push(GroupBatch(id=G, members=members, seal=True, body=body)) == "ok"


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_a_seat_waits_in_no_order(store: Store, worker: Session, clock: FakeClock) -> None:
    assert store.push([seat(1, delay_us=5, expires_in_us=9, queue="q")]) == ["ok"]
    seen = view(store, 1)
    assert (seen.state, seen.name, seen.queue) == ("waiting", "last", "q")
    assert (seen.due_us, seen.expires_us, seen.pushed_us) == (None, None, clock())
    clock.advance(60)
    worker.tick()
    assert worker.claim(1, "q") == []
    assert store.payload(uid(1)) is None
    assert store.counts()["q"] == {"waiting": 1}
    assert [found.id for found in store.find("waiting")] == [uid(1)]


def test_a_seat_again_is_a_dup(store: Store, worker: Session) -> None:
    """Whatever has become of it."""
    store.push([seat(1)])
    assert store.push([seat(1)]) == ["dup"]
    assert store.push([seat(1, name="other")]) == ["dup"]
    assert view(store, 1).name == "last"
    store.push([task(1)])
    assert store.push([seat(1)]) == ["dup"]
    worker.run(Done(b"1"))
    assert store.push([seat(1)]) == ["dup"]
    assert view(store, 1).state == "done"


def test_a_seat_over_an_ordinary_task_changes_nothing(store: Store, worker: Session) -> None:
    store.push([task(1, b"args")])
    assert store.push([seat(1)]) == ["dup"]
    assert worker.one().payload == b"args"


# -- filling ----------------------------------------------------------------------------------------------------------


def test_a_message_fills_its_seat(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([seat(1, keep_us=7)])
    clock.advance(10)
    message = task(1, b"args", name="sum", queue="q", priority=3, expires_in_us=9 * SECOND, keep_us=SECOND)
    assert store.push([message]) == ["ok"]
    seen = view(store, 1)
    assert (seen.state, seen.name, seen.queue, seen.priority, seen.gen) == ("ready", "sum", "q", 3, 1)
    assert (seen.pushed_us, seen.expires_us) == (clock(), clock() + 9 * SECOND)
    assert store.payload(uid(1)) == (b"args", None)
    claim = worker.one("q")
    assert (claim.payload, claim.name, claim.releases, claim.pushed_us) == (b"args", "sum", 0, clock())
    assert (claim.keep_us, claim.expires_us) == (SECOND, seen.expires_us)
    assert worker.settle(claim, Done(b"1")) == "ok"
    assert view(store, 1).result == b"1"


def test_a_fill_may_have_a_countdown(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([seat(1)])
    clock.advance(10)
    store.push([task(1, delay_us=5 * SECOND)])
    assert (view(store, 1).state, view(store, 1).due_us) == ("scheduled", clock() + 5 * SECOND)
    clock.advance(5)
    assert worker.ids() == [uid(1)]


def test_the_fill_again_is_a_dup_and_another_is_a_conflict(store: Store, worker: Session) -> None:
    store.push([seat(1)])
    assert store.push([task(1), task(1)]) == ["ok", "dup"]
    assert store.push([task(1)]) == ["dup"]
    assert store.push([task(1, b"other"), task(2)]) == ["conflict", "ok"]
    assert gone(store, 2), "nothing of a batch with a conflict"
    assert worker.ids(10) == [uid(1)]


def test_a_batch_fills_nothing_when_one_conflicts(store: Store) -> None:
    store.push([seat(1), task(2)])
    assert store.push([task(1), task(2, b"other")]) == ["ok", "conflict"]
    assert view(store, 1).state == "waiting"


def test_a_filled_seat_rings(store: Store, worker: Session) -> None:
    store.push([seat(1)])
    assert worker.claim() == []
    store.push([task(1)])
    assert store.listen("s1", ("celery",), 5.0)


@pytest.mark.parametrize("outcome", [Done(b"r", (task(1, b"args"),)), Failed(b"e", "failed", (task(1, b"args"),))])
def test_then_fills_a_seat(store: Store, worker: Session, outcome: Done | Failed) -> None:
    store.push([seat(1), task(2)])
    worker.run(outcome)
    assert worker.one().payload == b"args"


def test_then_leaves_alone_what_is_there(store: Store, worker: Session) -> None:
    store.push([task(1, b"args"), task(2, queue="q"), task(3, queue="q")])
    worker.run(Done(None, (task(1, b"other"), task(4))), "q")
    assert [worker.one().payload, worker.one().id] == [b"args", uid(4)]
    worker.run(Done(None, (task(1, b"other"),)), "q")
    assert store.payload(uid(1)) == (b"args", None)


def test_then_may_bring_seats(store: Store, worker: Session) -> None:
    store.push([task(2)])
    worker.run(Done(None, (seat(1), task(1, b"args"))))
    assert worker.one().payload == b"args"


def test_group_and_index_count_by_group_push_only(store: Store, worker: Session) -> None:
    like_group(store, 100, rows=1)
    assert store.push([task(7, group=G, index=5)]) == ["ok"]
    seen = view(store, 7)
    assert (seen.group, seen.index) == (None, None)
    assert [claim.group for claim in worker.claim(2)] == [G, None]


# -- seats of groups --------------------------------------------------------------------------------------------------


def test_a_group_waits_for_its_seats(store: Store, worker: Session) -> None:
    seated(store, 1, 2, body=task(9, b"body"))
    assert [r.state for r in results(store, G)] == ["waiting", "waiting"]
    store.push([task(2, b"second")])  # without the group: its place is the seat's
    store.push([task(1, b"first", group=G, index=0)])
    claims = worker.claim(10)
    assert [(c.payload, c.group, c.index) for c in claims] == [(b"second", G, 1), (b"first", G, 0)]
    worker.settle(claims[0], Done(b"2"))
    worker.settle(claims[1], Done(b"1"))
    assert [(r.id, r.result) for r in results(store, G)] == [(uid(1), b"1"), (uid(2), b"2")]
    assert worker.one().body_of == G


def test_a_batch_with_seats_again_is_a_dup(store: Store, worker: Session) -> None:
    batch = GroupBatch(id=G, members=(seat(1, group=G, index=0), task(2, group=G, index=1)), seal=True)
    assert store.group_push(batch) == "ok"
    assert store.group_push(batch) == "dup"
    store.push([task(1, b"args")])
    assert store.group_push(batch) == "dup"
    worker.run(Done())
    worker.run(Done())
    assert store.group_push(batch) == "dup"


def test_a_seat_of_another_is_no_place_for_a_member(store: Store) -> None:
    store.push([seat(1)])
    assert store.group_push(GroupBatch(id=G, members=(task(1, group=G, index=0),))) == "conflict"
    assert store.group(G) is None


def test_a_body_fills_a_seat_and_waits_on(store: Store, worker: Session) -> None:
    """A chord within a group: the seat of the outer group is the inner one's body."""
    seated(store, 1, body=task(9, b"outer"))
    inner = GroupBatch(id=H, template=task(0), rows=(b"r",), seal=True, body=task(1, b"inner", delay_us=SECOND))
    assert store.group_push(inner) == "ok"
    seen = view(store, 1)
    assert (seen.state, seen.group, seen.index, seen.due_us) == ("waiting", G, 0, None)
    assert store.payload(uid(1)) == (b"inner", None)
    assert store.group_push(inner) == "dup"
    assert store.push([task(1, b"else")]) == ["conflict"], "a body that waits is no seat"
    worker.run(Done(b"row"))
    assert view(store, 1).state == "scheduled"


def test_the_body_in_a_seat_is_counted_by_the_outer_group(store: Store, worker: Session) -> None:
    seated(store, 1, body=task(9, b"outer"))
    store.group_push(GroupBatch(id=H, seal=True, body=task(1, b"inner")))
    claim = worker.one()
    assert (claim.id, claim.body_of, claim.group, claim.index) == (uid(1), H, G, 0)
    worker.settle(claim, Done(b"x"))
    assert worker.one().body_of == G


def test_group_revoke_cancels_seats(store: Store, worker: Session) -> None:
    seated(store, 1, 2, body=task(9, b"body"))
    store.push([task(1)])
    assert store.group_revoke(G) == 2
    assert [r.state for r in results(store, G)] == ["cancelled", "cancelled"]
    assert worker.ids(10) == [uid(9)]


def test_purge_leaves_seats_alone(store: Store) -> None:
    seated(store, 1)
    store.push([seat(2)])
    assert store.purge("celery") == 0
    assert [view(store, n).state for n in (1, 2)] == ["waiting", "waiting"]


# -- cancelled seats --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", [False, True])
def test_nobody_sits_down_in_a_cancelled_seat(store: Store, worker: Session, member: bool) -> None:
    if member:
        seated(store, 1)
    else:
        store.push([seat(1)])
    assert store.revoke([uid(1)]) == ["cancelled"]
    before = view(store, 1)
    assert (before.state, before.reason, before.ran) == ("cancelled", "revoked", False)
    assert worker.claim() == [], "a seat has no follow-up of its own"
    assert store.push([task(1, b"args")]) == ["ok"]
    assert store.push([task(1, b"args")]) == ["dup"]
    assert store.push([task(1, b"other")]) == ["conflict"]
    assert worker.claim() == []
    assert view(store, 1) == before
    assert store.requeue([uid(1)]) == [False]


@pytest.mark.parametrize("verb", ["push", "then"])
def test_what_follows_the_message_of_a_cancelled_seat_follows(store: Store, worker: Session, verb: str) -> None:
    store.push([seat(1)])
    store.revoke([uid(1)])
    message = task(1, b"args", name="sum", queue="q", follow=FOLLOW_ANY)
    if verb == "push":
        store.push([message])
    else:
        store.push([task(2)])
        worker.run(Done(None, (message,)))
    claim = worker.one("q")
    assert (claim.id, claim.after, claim.reason) == (after_id(uid(1), 1), uid(1), "revoked")
    assert (claim.name, claim.payload, claim.group) == ("sum", b"args", None)
    worker.settle(claim, Done())
    assert store.push([message]) == ["dup"]
    assert worker.claim(1, "q") == [], "once"


def test_a_body_for_a_cancelled_seat(store: Store, worker: Session, clock: FakeClock) -> None:
    seated(store, 1)
    store.revoke([uid(1)])
    inner = GroupBatch(
        id=H, template=task(0), rows=(b"r",), seal=True, body=task(1, b"b", follow=FOLLOW_ANY), keep_us=0
    )
    assert store.group_push(inner) == "ok"
    assert store.group_push(inner) == "dup"
    follow_up, row = worker.claim(10)
    assert (follow_up.after, row.group) == (uid(1), H)
    worker.settle(row, Done())
    ended = store.group(H)
    assert ended is not None
    assert ended.ended_us == clock()
    assert view(store, 1).state == "cancelled"
    clock.advance(us=TOMBSTONE_US)
    assert store.group(H) is None, "the group does not wait for a body that will never be"


# -- giving the place to others ---------------------------------------------------------------------------------------


def test_a_replaced_task_waits(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, b"args", expires_in_us=99 * SECOND)])
    claim = worker.one()
    store.progress(claim, b"half")
    assert worker.settle(claim, Replaced((task(2, b"first"),))) == "ok"
    seen = view(store, 1)
    assert (seen.state, seen.releases, seen.ran, seen.session, seen.progress) == ("waiting", 1, False, None, None)
    assert (seen.settled, seen.tok, seen.expires_us, seen.due_us) == (claim.tok, claim.tok, None, None)
    assert store.payload(uid(1)) is None
    assert worker.held() == []
    assert worker.settle(claim, Replaced((task(3),))) == "dup"
    clock.advance(500)
    second = worker.one()
    assert second.payload == b"first"
    assert worker.settle(second, Done(b"1", (task(1, b"last", name="sum"),))) == "ok"
    third = worker.one()
    assert (third.id, third.gen, third.payload, third.name, third.releases) == (uid(1), 1, b"last", "sum", 1)
    assert third.tok > claim.tok
    assert third.expires_us is None
    assert worker.settle(claim, Done(b"late")) == "dup"
    assert worker.settle(third, Done(b"end")) == "ok"
    assert worker.settle(claim, Done(b"late")) == "stale"
    assert view(store, 1).result == b"end"


def test_a_task_may_fill_its_own_place_at_once(store: Store, worker: Session) -> None:
    store.push([task(1, b"one")])
    worker.run(Replaced((task(1, b"two"),)))
    assert worker.one().payload == b"two"


def test_a_task_may_be_replaced_by_its_like(store: Store, worker: Session) -> None:
    """Polling: the same signature again and again."""
    store.push([task(1)])
    for n in range(3):
        assert worker.run(Replaced((task(1),))).releases == n
    assert store.push([task(1)]) == ["dup"]
    worker.run(Done())
    assert view(store, 1).state == "done"


def test_the_push_of_a_replaced_task_again_is_a_dup(store: Store, worker: Session) -> None:
    store.push([task(1, b"args")])
    worker.run(Replaced())
    assert store.push([task(1, b"args")]) == ["dup"]
    assert view(store, 1).state == "waiting"


def test_a_new_run_takes_over_the_deliveries(store: Store, worker: Session, clock: FakeClock) -> None:
    """failures, crashes and losses are the old run's: the new one has its whole budget."""
    store.push([task(1, max_crashes=1, max_lost=1)])
    worker.run(Retry())
    worker.run(Crashed(b"x"))
    lost = Session(store, "s2").one()
    assert lost.crashes == 1
    live(store, clock, 1, "s1", dead=("s2",))
    clock.advance(1)
    claim = worker.one()
    assert (claim.failures, claim.crashes, claim.lost, claim.releases) == (1, 1, 1, 0)
    worker.settle(claim, Replaced((task(1, b"new", max_crashes=1),)))
    seen = view(store, 1)
    assert (seen.failures, seen.crashes, seen.lost, seen.releases) == (0, 0, 0, 4)
    assert worker.run(Crashed(b"y")).releases == 4
    assert view(store, 1).state == "ready"
    assert worker.one().payload == b"new"


def test_a_replaced_task_that_was_revoked_meanwhile(store: Store, worker: Session) -> None:
    store.push([task(1, follow=FOLLOW_ANY)])
    claim = worker.one()
    assert store.revoke([uid(1)]) == ["running"]
    assert worker.settle(claim, Replaced((task(2), task(1, b"x")))) == "ok"
    seen = view(store, 1)
    assert (seen.state, seen.reason, seen.releases, seen.ran) == ("cancelled", "revoked", 1, False)
    assert gone(store, 2), "nothing of what was to replace it"
    assert worker.one().after == uid(1)
    assert store.push([task(1, b"x")]) == ["conflict"], "it is no seat"


def test_a_replaced_task_in_a_revoked_group(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    claim = worker.one()
    store.group_revoke(G)
    assert worker.settle(claim, Replaced((task(2),))) == "ok"
    assert [r.state for r in results(store, G)] == ["cancelled"]
    assert gone(store, 2)


def test_a_replaced_task_can_be_cancelled(store: Store, worker: Session) -> None:
    store.push([task(1, follow=FOLLOW_ANY)])
    worker.run(Replaced((task(2),)))
    assert store.revoke([uid(1)]) == ["cancelled"]
    assert worker.ids(10) == [uid(2)], "what follows it is the replacement's to say"
    assert store.push([task(1, b"last", follow=FOLLOW_ANY)]) == ["ok"]
    assert worker.one().after == uid(1)


def test_a_replaced_task_outlives_its_worker(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1)])
    worker.run(Replaced())
    assert live(store, clock, 1, "other", dead=("s1",)) == []
    assert view(store, 1).state == "waiting"


@pytest.mark.parametrize("like", [True, False])
def test_a_replaced_member_keeps_its_place(store: Store, worker: Session, like: bool) -> None:
    if like:
        like_group(store, rows=2, body=task(9, b"body"))
    else:
        members = tuple(task(n, group=G, index=n) for n in range(2))
        store.group_push(GroupBatch(id=G, members=members, seal=True, body=task(9, b"body")))
    first, second = worker.claim(2)
    worker.settle(second, Done(b"1"))
    worker.settle(first, Replaced((task(5, b"step"),)))
    seen = store.group(G)
    assert seen is not None
    assert (seen.total, seen.done, seen.running, seen.ended_us) == (2, 1, 0, 0)
    worker.run(Done(None, (task(first.id, b"last", name="sum", keep_us=SECOND),)))
    claim = worker.one()
    assert (claim.id, claim.group, claim.index, claim.payload, claim.row) == (first.id, G, 0, b"last", None)
    worker.settle(claim, Done(b"0"))
    assert [r.result for r in results(store, G)] == [b"0", b"1"]
    assert (view(store, first.id).name, view(store, first.id).releases) == ("sum", 1)
    assert worker.one().body_of == G


def test_a_replaced_member_that_died_can_be_retried_with_its_group(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    claim = worker.run(Replaced((task(f"{G}.0", b"new", name="sum"),)))
    worker.run(Failed(b"e"))
    assert store.group_retry(G) == 1
    again = worker.one()
    assert (again.id, again.gen, again.payload, again.name) == (claim.id, 2, b"new", "sum")


def test_a_cancelled_replaced_member_still_has_its_follow_up(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    claim = worker.run(Replaced())
    assert store.revoke([claim.id]) == ["cancelled"]
    ended = store.group(G)
    assert ended is not None
    assert ended.cancelled == 1
    assert store.push([task(claim.id, b"last", follow=FOLLOW_ANY)]) == ["ok"]
    assert worker.one().after == claim.id


def test_a_replaced_body_is_a_body_no_more(store: Store, worker: Session, clock: FakeClock) -> None:
    store.group_push(GroupBatch(id=G, seal=True, body=task(1, b"body"), keep_us=0))
    assert worker.run(Replaced((task(2),))).body_of == G
    clock.advance(us=TOMBSTONE_US)
    worker.tick()
    assert store.group(G) is None
    worker.run(Done(None, (task(1, b"last"),)))
    claim = worker.one()
    assert (claim.payload, claim.body_of) == (b"last", None)
    worker.settle(claim, Done(b"x"))
    assert view(store, 1).result == b"x"


def test_a_body_replaced_after_its_group_was_forgotten(store: Store, worker: Session) -> None:
    store.group_push(GroupBatch(id=G, seal=True, body=task(1, b"body")))
    claim = worker.one()
    assert claim.body_of == G
    store.forget([G])
    assert store.group(G) is None
    assert worker.settle(claim, Replaced((task(1, b"two"),))) == "ok"
    assert worker.one().body_of is None


def test_a_retried_group_does_not_call_its_replaced_body_back(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(1, b"body"))
    worker.run(Failed(b"e"))
    worker.run(Replaced())
    assert store.group_retry(G) == 1
    worker.run(Done())
    assert worker.claim() == []
    assert view(store, 1).state == "waiting"


def test_a_body_replaced_by_a_chord(store: Store, worker: Session) -> None:
    store.group_push(GroupBatch(id=G, seal=True, body=task(1, b"body")))
    worker.run(Replaced((task(2, b"expand"),)))
    claim = worker.one()
    chord = GroupBatch(id=H, template=task(0), rows=(b"r",), seal=True, body=task(1, b"second"))
    assert store.group_push(chord) == "ok"
    worker.settle(claim, Done())
    assert store.group_push(chord) == "dup"
    worker.run(Done(b"row"))
    claim = worker.one()
    assert (claim.id, claim.body_of, claim.releases) == (uid(1), H, 1)


def test_the_settlement_of_a_replaced_task_claims_next(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    settled = store.settle("s1", [settlement(claim, Replaced((task(2),)))], worker.request())
    assert settled.verdicts == ("ok",)
    assert [c.id for c in settled.claimed.claims] == [uid(2)]


@pytest.mark.parametrize("outcome", [Done(b"late"), Failed(b"late"), Cancelled(), Retry(), Replaced((task(3),))])
def test_who_lost_the_task_replaces_nothing(
    store: Store, worker: Session, clock: FakeClock, outcome: Done | Failed | Cancelled | Retry | Replaced
) -> None:
    store.push([task(1)])
    first = worker.one()
    live(store, clock, 1, "other", dead=("s1",))
    second = Session(store, "s2").one()
    assert worker.settle(first, Replaced((task(2),))) == "stale"
    assert gone(store, 2)
    assert worker.settle(second, Replaced()) == "ok"
    assert worker.settle(first, outcome) == "stale"
    assert (view(store, 1).state, gone(store, 3)) == ("waiting", True)
