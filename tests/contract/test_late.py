"""Members that join a sealed group, and tasks pushed beside a group's members."""

from __future__ import annotations

import pytest

from smallage.core.message import Done, End, Failed, Message, Released, Replaced
from smallage.stores.base import MAX_PUSH, GroupBatch, GroupView, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, like_group, results, seat, task, uid, view

G = uid(100)


def late(*messages: Message, also: tuple[Message, ...] = ()) -> GroupBatch:
    return GroupBatch(id=G, members=messages, late=True, also=also)


def unlike_group(store: Store, *numbers: int) -> None:
    members = tuple(task(n, group=G, index=place) for place, n in enumerate(numbers))
    assert store.group_push(GroupBatch(id=G, members=members, seal=True, body=task(9, b"body"))) == "ok"


def counters(store: Store) -> GroupView:
    seen = store.group(G)
    assert seen is not None
    return seen


# -- late members -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("like", [True, False])
def test_a_member_joins(store: Store, worker: Session, like: bool) -> None:
    """A task of a chord's header adds another."""
    if like:
        like_group(store, rows=2, body=task(9, b"body"))
    else:
        unlike_group(store, 1, 2)
    first, second = worker.claim(2)
    assert store.group_push(late(task(5, b"more", name="mul", group=uid(77), index=0))) == "ok"
    assert counters(store).total == 3
    worker.settle(first, Done(b"0"))
    worker.settle(second, Done(b"1"))
    assert counters(store).ended_us == 0
    claim = worker.one()
    assert (claim.id, claim.payload, claim.row, claim.group, claim.index) == (uid(5), b"more", None, G, 2)
    worker.settle(claim, Done(b"2"))
    assert [(r.index, r.id, r.result) for r in results(store, G)] == [
        (0, first.id, b"0"), (1, second.id, b"1"), (2, uid(5), b"2"),
    ]  # fmt: skip
    assert [r.id for r in results(store, G, 2, 5)] == [uid(5)]
    assert (counters(store).total, counters(store).done) == (3, 3)
    assert worker.one().body_of == G


def test_it_rings(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    worker.one()
    assert worker.claim() == []
    store.group_push(late(task(5)))
    assert store.listen("s1", ("celery",), 5.0)


def test_watchers_of_the_group_hear(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    seq = counters(store).seq
    watch = store.watch()
    watch.add([G])
    store.group_push(late(task(5)))
    assert watch.wait(30.0) == {G}
    assert counters(store).seq > seq
    watch.close()


def test_again_is_a_dup(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    worker.one()
    assert store.group_push(late(task(5), task(5), task(6))) == "ok"
    assert store.group_push(late(task(6), task(5))) == "dup"
    assert store.group_push(late(task(5, b"other"))) == "dup", "whatever it carries: the id is a member's"
    assert store.group_push(late(task(6), task(7))) == "ok"
    assert [r.id for r in results(store, G)] == [f"{G}.0", uid(5), uid(6), uid(7)]
    assert worker.ids(10) == [uid(5), uid(6), uid(7)]
    assert store.group_push(late(task(f"{G}.0"))) == "dup"


def test_a_late_member_that_was_replaced_is_still_a_dup(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    worker.one()
    store.group_push(late(task(5)))
    worker.run(Replaced((task(5, b"new"),)))
    assert store.group_push(late(task(5))) == "dup"
    worker.run(Done(b"r"))
    assert store.group_push(late(task(5))) == "dup"
    assert counters(store).total == 2


def test_nobody_joins_a_group_that_is_unknown_open_or_over(store: Store, worker: Session) -> None:
    assert store.group_push(late(task(5))) == "conflict"
    assert store.group(G) is None
    like_group(store, rows=1, seal=False)
    assert store.group_push(late(task(5))) == "conflict"
    store.group_push(GroupBatch(id=G, seal=True))
    worker.run(Done())
    assert store.group_push(late(task(5))) == "conflict"
    assert (gone(store, 5), counters(store).total) == (True, 1)


def test_an_id_of_another_task(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    like_group(store, 101, rows=1)
    store.push([task(5), seat(6)])
    for taken in (uid(5), uid(6), f"{uid(101)}.0"):
        assert store.group_push(late(task(7), task(taken), also=(task(8),))) == "conflict"
    assert [gone(store, n) for n in (7, 8)] == [True, True]
    assert counters(store).total == 1


def test_the_id_of_what_never_ran(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    worker.run(Failed(b"e", ends=(End(uid(5), "dead", reason="upstream"),)))
    assert store.group_push(late(task(5, b"args"))) == "ok"
    claims = worker.claim(10)
    assert [(c.payload, c.index) for c in claims] == [(b"template", 1), (b"args", 2)]


def test_late_means_members_only(store: Store) -> None:
    like_group(store, rows=1)
    for odd in (
        GroupBatch(id=G, rows=(b"r",), template=task(0), late=True),
        GroupBatch(id=G, members=(task(5),), seal=True, late=True),
        GroupBatch(id=G, members=(task(5),), body=task(6), late=True),
    ):
        with pytest.raises(ValueError, match="late"):
            store.group_push(odd)
    assert counters(store).total == 1


def test_a_late_member_of_a_revoked_group(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    claim = worker.one()
    store.group_revoke(G)
    assert store.group_push(late(task(5))) == "ok"
    assert view(store, 5).state == "cancelled"
    worker.settle(claim, Done())
    assert (counters(store).done, counters(store).cancelled, counters(store).total) == (1, 1, 2)
    assert counters(store).ended_us


def test_late_members_are_revoked_and_purged_with_their_group(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    worker.one()
    store.group_push(late(task(5), task(6, queue="q")))
    assert store.purge("q") == 1
    assert store.group_revoke(G) == 1
    assert [r.state for r in results(store, G)] == ["running", "cancelled", "cancelled"]


def test_late_members_are_retried_with_their_group(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(9, b"body"))
    first = worker.one()
    store.group_push(late(task(5)))
    worker.settle(first, Failed(b"e"))
    worker.run(Failed(b"e"))
    assert store.group_retry(G) == 2
    assert {c.id for c in worker.claim(10)} == {f"{G}.0", uid(5)}


def test_late_members_keep_results_as_others_do(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, rows=1, keep_us=600 * SECOND)
    first = worker.one()
    store.group_push(late(task(5, keep_us=SECOND)))
    worker.run(Done(b"late"))
    clock.advance(30)
    store.tick([])
    worker.settle(first, Done(b"first"))
    clock.advance(599)
    store.tick([])
    assert [r.result for r in results(store, G)] == [b"first", b"late"]
    clock.advance(1)
    store.tick([])
    assert (store.group(G), gone(store, 5)) == (None, True)


def test_a_late_seat(store: Store, worker: Session) -> None:
    """A chain that is added to a chord: its first step beside it."""
    like_group(store, rows=1, body=task(9, b"body"))
    first = worker.one()
    batch = late(seat(5), also=(task(6, b"step"),))
    assert store.group_push(batch) == "ok"
    worker.settle(first, Done())
    worker.run(Done(None, (task(5, b"last"),)))
    assert store.group_push(batch) == "dup"
    claim = worker.one()
    assert (claim.payload, claim.index) == (b"last", 1)
    worker.settle(claim, Done())
    assert worker.one().body_of == G


# -- beside the members -----------------------------------------------------------------------------------------------


def test_also_is_pushed_with_the_members(store: Store, worker: Session) -> None:
    batch = GroupBatch(
        id=G,
        members=(seat(1, group=G, index=0), task(2, b"member", group=G, index=1)),
        also=(task(3, b"step", group=G, index=0),),
        seal=True,
    )
    assert store.group_push(batch) == "ok"
    assert (view(store, 3).group, counters(store).total) == (None, 2)
    assert [c.payload for c in worker.claim(10)] == [b"member", b"step"]


def test_also_beside_rows(store: Store, worker: Session) -> None:
    batch = GroupBatch(id=G, template=task(0), rows=(b"r",), also=(task(3, b"step"),))
    assert store.group_push(batch) == "ok"
    assert [c.id for c in worker.claim(10)] == [f"{G}.0", uid(3)]


def test_a_dup_pushes_nothing_of_it(store: Store, worker: Session) -> None:
    batch = GroupBatch(id=G, members=(seat(1, group=G, index=0),), also=(task(3, keep_us=0),), seal=True)
    store.group_push(batch)
    worker.run(Done())
    store.forget([uid(3)])
    assert store.group_push(batch) == "dup"
    assert gone(store, 3)


def test_a_conflict_pushes_nothing_of_it(store: Store) -> None:
    store.push([task(1)])
    assert store.group_push(GroupBatch(id=G, members=(task(1, group=G, index=0),), also=(task(3),))) == "conflict"
    assert gone(store, 3)


def test_also_leaves_alone_what_is_there(store: Store, worker: Session) -> None:
    store.push([task(3, b"before"), seat(4)])
    batch = GroupBatch(
        id=G,
        members=(seat(1, group=G, index=0), seat(2, group=G, index=1)),
        also=(task(3, b"other"), task(4, b"fill"), task(5, b"new"), task(5, b"twice")),
    )
    assert store.group_push(batch) == "ok"
    assert [c.payload for c in worker.claim(10)] == [b"before", b"fill", b"new"]


def test_also_rings_other_queues(store: Store, worker: Session) -> None:
    assert worker.claim(1, "q") == []
    store.group_push(GroupBatch(id=G, members=(seat(1, group=G, index=0),), also=(task(3, queue="q"),)))
    assert store.listen("s1", ("q",), 5.0)


def test_also_counts_for_the_size_of_a_batch(store: Store) -> None:
    also = tuple(task(n) for n in range(1_000, 1_000 + MAX_PUSH))
    with pytest.raises(ValueError, match="split the batch"):
        store.group_push(GroupBatch(id=G, members=(seat(1, group=G, index=0),), also=also))
    assert store.group(G) is None
    assert store.group_push(GroupBatch(id=G, members=(seat(1, group=G, index=0),), also=also[1:])) == "ok"


def test_a_member_that_is_handed_back_stands_before_late_ones(store: Store, worker: Session) -> None:
    like_group(store, rows=1)
    claim = worker.one()
    store.group_push(late(task(5)))
    worker.settle(claim, Released())
    assert worker.ids(10) == [f"{G}.0", uid(5)]
