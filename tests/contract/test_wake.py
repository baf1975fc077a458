"""Waking: bells for workers, watches for those who wait for results, inboxes for supervisors."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable

import pytest

from smallage.core.message import Cancelled, Crashed, Done, Failed, Outcome, Released, Retry, member_id
from smallage.stores.base import Mailbox, Order, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, like_group, task, uid

LONG = 20.0
"""Seconds no test waits in full: what it waits for comes first, or the test fails."""


def quiet(store: Store, session: str = "s1", *queues: str) -> None:
    """Take the bells that have rung so far."""
    while store.listen(session, queues or ("celery",), 0.0):
        pass


def rings(store: Store, act: Callable[[], object], *queues: str) -> bool:
    quiet(store, "s1", *queues)
    act()
    return store.listen("s1", queues or ("celery",), LONG)


def test_a_push_rings(store: Store, worker: Session) -> None:
    assert rings(store, lambda: store.push([task(1)]))


def test_a_bell_rung_before_the_call_counts(store: Store, worker: Session) -> None:
    store.push([task(1)])
    assert store.listen("s1", ("celery",), LONG)


def test_a_quiet_store_lets_the_listener_go(store: Store, worker: Session) -> None:
    quiet(store)
    assert store.listen("s1", ("celery",), 0.01) is False


def test_any_of_several_queues(store: Store, worker: Session) -> None:
    assert rings(store, lambda: store.push([task(1, queue="b")]), "a", "b")


def test_a_nearer_due_time_rings(store: Store, worker: Session) -> None:
    store.push([task(1, delay_us=100 * SECOND)])
    assert rings(store, lambda: store.push([task(2, delay_us=10 * SECOND)]))


def test_a_body_released_on_the_way_of_an_empty_claim_rings(store: Store, worker: Session, clock: FakeClock) -> None:
    like_group(store, 1, expires_in_us=SECOND, body=task(91))
    clock.advance(2)
    if not worker.claim():  # or the same claim has found the body already
        assert store.listen("s1", ("celery",), LONG)
        assert worker.ids() == [uid(91)]


@pytest.mark.parametrize("outcome", [Released(), Retry(), Crashed()], ids=lambda o: type(o).__name__)
def test_what_goes_back_to_ready_rings(store: Store, worker: Session, outcome: Outcome) -> None:
    store.push([task(1)])
    claim = worker.one()
    assert rings(store, lambda: worker.settle(claim, outcome))


def test_children_ring(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    assert rings(store, lambda: worker.settle(claim, Done(b"", (task(2, queue="next"),))), "next")


def test_a_body_rings(store: Store, worker: Session) -> None:
    like_group(store, rows=1, body=task(1, queue="bodies"))
    claim = worker.one()
    assert rings(store, lambda: worker.settle(claim, Done()), "bodies")


def test_promotion_rings(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, delay_us=SECOND)])
    clock.advance(2)
    assert rings(store, worker.tick)


def test_taking_back_rings(store: Store, worker: Session) -> None:
    store.push([task(1)])
    Session(store, "s2").one()
    assert rings(store, lambda: store.tick(["s1"], ["s2"]))


def test_leaving_rings(store: Store, worker: Session) -> None:
    store.push([task(1)])
    Session(store, "s2").one()
    assert rings(store, lambda: store.leave("s2"))


def test_groups_ring(store: Store, worker: Session) -> None:
    assert rings(store, lambda: like_group(store, rows=2))


def test_operators_ring(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.run(Failed())
    assert rings(store, lambda: store.requeue([uid(1)]))
    like_group(store, rows=1)
    worker.one()
    worker.run(Failed())
    assert rings(store, lambda: store.group_retry(uid(100)))


def test_resuming_rings(store: Store, worker: Session) -> None:
    store.pause("celery")
    store.push([task(1)])
    assert rings(store, lambda: store.resume("celery"))


def test_a_bell_wakes_a_listener_in_another_thread(store: Store, worker: Session) -> None:
    quiet(store)
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(store.listen("s1", ("celery",), LONG)))
    thread.start()
    store.push([task(1)])
    thread.join(LONG)
    assert heard == [True]


def test_a_nudge_ends_the_listening(store: Store, worker: Session) -> None:
    quiet(store)
    thread = threading.Thread(target=lambda: store.listen("s1", ("celery",), 600.0), daemon=True)
    thread.start()
    while thread.is_alive():
        store.nudge("s1")
        thread.join(0.01)
    assert not thread.is_alive()


def test_every_worker_hears_of_enough_work(store: Store, worker: Session) -> None:
    """Two listeners, two tasks: neither sleeps while there is something for it."""
    Session(store, "s2")
    quiet(store, "s1")
    quiet(store, "s2")
    got: list[str] = []

    def work(name: str) -> None:
        session = Session(store, name)
        while not (ids := session.ids(1)):
            store.listen(name, ("celery",), LONG)
        got.extend(ids)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("s1", "s2")]
    for thread in threads:
        thread.start()
    store.push([task(1), task(2)])
    for thread in threads:
        thread.join(LONG)
    assert sorted(got) == [uid(1), uid(2)]


# -- watches ----------------------------------------------------------------------------------------------------------


def sees(store: Store, watched: str, act: Callable[[], object]) -> None:
    """After `act`, a watch on `watched` reports it."""
    watch = store.watch()
    try:
        watch.add([watched])
        act()
        while watched not in (told := watch.wait(LONG)):
            assert told, f"nothing was said of {watched}"
    finally:
        watch.close()


@pytest.mark.parametrize("outcome", [Done(b"1"), Failed(b"no"), Cancelled()], ids=lambda o: type(o).__name__)
def test_ends_are_told_to_watchers(store: Store, worker: Session, outcome: Outcome) -> None:
    store.push([task(1)])
    claim = worker.one()
    sees(store, uid(1), lambda: worker.settle(claim, outcome))


def test_revokes_are_told(store: Store) -> None:
    store.push([task(1)])
    sees(store, uid(1), lambda: store.revoke([uid(1)]))


def test_expiry_is_told(store: Store, worker: Session, clock: FakeClock) -> None:
    store.push([task(1, expires_in_us=1)])
    clock.advance(1)
    sees(store, uid(1), lambda: worker.claim())


def test_a_spent_budget_is_told(store: Store, worker: Session) -> None:
    store.push([task(1, max_lost=0)])
    worker.one()
    sees(store, uid(1), lambda: store.tick([], ["s1"]))


def test_progress_is_told(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    sees(store, uid(1), lambda: store.progress(claim, b"half"))


def test_ignored_results_are_told(store: Store, worker: Session) -> None:
    store.push([task(1, keep_us=0)])
    claim = worker.one()
    sees(store, uid(1), lambda: worker.settle(claim, Done()))


def test_members_and_their_groups_are_told(store: Store, worker: Session) -> None:
    like_group(store, rows=2)
    a, b = worker.claim(2)
    sees(store, uid(100), lambda: worker.settle(a, Done()))
    sees(store, member_id(uid(100), 1), lambda: worker.settle(b, Done()))


def test_what_is_seen_is_there(store: Store, worker: Session) -> None:
    """Whoever hears of the end reads the result."""
    store.push([task(1)])
    claim = worker.one()
    watch = store.watch()
    watch.add([uid(1)])
    results: list[bytes | None] = []

    def wait() -> None:
        while uid(1) not in watch.wait(LONG):
            pass
        (seen,) = store.state([uid(1)])
        results.append(seen.result if seen else None)

    thread = threading.Thread(target=wait)
    thread.start()
    worker.settle(claim, Done(b"42"))
    thread.join(LONG)
    watch.close()
    assert results == [b"42"]


def test_a_watch_times_out(store: Store) -> None:
    watch = store.watch()
    watch.add([uid(1)])
    while watch.wait(0.01):
        pass  # spurious words are allowed; an end of them is required
    watch.close()
    watch.close()


def test_a_watch_can_be_woken(store: Store) -> None:
    watch = store.watch()
    thread = threading.Thread(target=lambda: watch.wait(600.0), daemon=True)
    thread.start()
    while thread.is_alive():
        watch.wake()
        thread.join(0.01)
    watch.close()
    assert not thread.is_alive()


@pytest.mark.parametrize("first", [(uid(9),), ()], ids=["with an id", "with none yet"])
def test_ids_can_be_added_while_a_thread_waits(store: Store, worker: Session, first: tuple[str, ...]) -> None:
    store.push([task(1)])
    claim = worker.one()
    watch = store.watch()
    if first:
        watch.add(first)
    heard = threading.Event()

    def wait() -> None:
        while uid(1) not in watch.wait(LONG):
            pass
        heard.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    watch.add([uid(1)])
    worker.settle(claim, Done())
    assert heard.wait(LONG)
    thread.join(LONG)
    watch.close()


def test_discarded_ids_are_not_told(store: Store, worker: Session) -> None:
    store.push([task(1), task(2)])
    a, b = worker.claim(2)
    watch = store.watch()
    watch.add([uid(1), uid(2)])
    watch.discard([uid(1)])
    worker.settle(a, Done())
    worker.settle(b, Done())
    told: set[str] = set()
    while uid(2) not in told:
        told |= watch.wait(LONG)
    assert uid(1) not in told
    watch.close()


# -- inboxes ----------------------------------------------------------------------------------------------------------


def take(box: Mailbox, count: int = 1) -> list[Order]:
    """The next orders, once the descriptor says so."""
    orders: list[Order] = []
    while len(orders) < count:
        readable, _, _ = select.select([box.fileno()], [], [], LONG)
        assert readable, "no order came"
        orders += box.take()
    return orders


def test_an_order_reaches_the_inbox_of_its_session(store: Store) -> None:
    box = store.mailbox("sup")
    Session(store, "s1", inbox="sup")
    order = Order("s1", "ping", text="hello")
    assert store.control(order) is True
    assert take(box) == [order]
    assert box.take() == []
    box.close()
    box.close()


def test_orders_before_the_opening_are_kept(store: Store) -> None:
    Session(store, "s1", inbox="sup")
    assert store.control(Order("s1", "first")) is True
    assert store.control(Order("s1", "second")) is True
    box = store.mailbox("sup")
    assert [o.kind for o in take(box, 2)] == ["first", "second"]
    box.close()


def test_no_order_for_a_session_that_is_not_there(store: Store) -> None:
    assert store.control(Order("stranger", "ping")) is False
    store.leave(Session(store, "s1", inbox="sup").name)
    assert store.control(Order("s1", "ping")) is False


def test_several_sessions_share_an_inbox(store: Store) -> None:
    box = store.mailbox("sup")
    Session(store, "s1", inbox="sup")
    Session(store, "s2", inbox="sup")
    Session(store, "s3", inbox="other")
    for name in ("s2", "s3", "s1"):
        store.control(Order(name, "ping"))
    assert [o.session for o in take(box, 2)] == ["s2", "s1"]
    assert box.take() == []
    box.close()


def test_an_order_outlives_its_session(store: Store) -> None:
    box = store.mailbox("sup")
    Session(store, "s1", inbox="sup")
    assert store.control(Order("s1", "first")) is True
    store.leave("s1")
    Session(store, "s2", inbox="sup")
    assert store.control(Order("s2", "second")) is True
    store.tick((), dead=["s2"])
    Session(store, "s3", inbox="sup")
    assert [(o.session, o.kind) for o in take(box, 2)] == [("s1", "first"), ("s2", "second")]
    box.close()


def test_terminate_orders_the_holder_to_cancel(store: Store) -> None:
    box = store.mailbox("sup")
    session = Session(store, "s1", inbox="sup")
    store.push([task(1)])
    claim = session.one()
    store.revoke([uid(1)], terminate=True)
    (order,) = take(box)
    assert (order.session, order.kind, order.id, order.tok) == ("s1", "cancel", uid(1), claim.tok)
    box.close()


def test_group_terminate_orders_every_holder(store: Store) -> None:
    box = store.mailbox("sup")
    session = Session(store, "s1", inbox="sup")
    like_group(store, rows=3)
    claims = session.claim(2)
    store.group_revoke(uid(100), terminate=True)
    assert sorted((o.kind, o.id, o.tok) for o in take(box, 2)) == sorted(("cancel", c.id, c.tok) for c in claims)
    box.close()


def test_a_revoke_without_terminate_orders_nothing(store: Store) -> None:
    box = store.mailbox("sup")
    session = Session(store, "s1", inbox="sup")
    store.push([task(1)])
    session.one()
    store.revoke([uid(1)])
    store.control(Order("s1", "marker"))
    assert [o.kind for o in take(box)] == ["marker"]
    box.close()
