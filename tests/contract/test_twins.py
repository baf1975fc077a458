"""Two processes at one store, here two handles: what one does, the other sees and hears of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallage.core.message import Done, settlement
from smallage.stores import base
from smallage.stores.base import Order, Store
from smallage.testing import FakeClock
from tests.contract.conftest import url_of
from tests.contract.kit import SECOND, Session, like_group, results, task, uid, view
from tests.contract.test_wake import LONG, quiet, take


@pytest.fixture
def twin(kind: str, store: Store, request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> Iterator[Store]:
    """A second handle on the store; memory has only the one."""
    if kind == "memory":
        yield store
        return
    # The fixture of the URL empties the database: the first handle's URL names the same one.
    url = url_of(kind, request, tmp_path) if kind == "sqlite" else store.url
    opened = base.open(url, clock=clock)
    opened.setup()
    try:
        yield opened
    finally:
        opened.close()


def test_one_pushes_the_other_works(store: Store, twin: Store) -> None:
    store.push([task(1, b"args")])
    worker = Session(twin)
    claim = worker.one()
    assert claim.payload == b"args"
    assert view(store, 1).state == "running"
    assert [w.session for w in store.workers()] == ["s1"]
    assert worker.settle(claim, Done(b"42")) == "ok"
    assert view(store, 1).result == b"42"


def test_tokens_rise_over_both(store: Store, twin: Store) -> None:
    store.push([task(n) for n in range(20)])
    sessions = [Session(store, "s1"), Session(twin, "s2")]
    tokens = [sessions[n % 2].one().tok for n in range(20)]
    assert tokens == sorted(set(tokens))


def test_pushes_of_both_are_one_order(store: Store, twin: Store) -> None:
    for n in range(10):
        (store, twin)[n % 2].push([task(n)])
    assert Session(twin).ids(10) == [uid(n) for n in range(10)]
    assert twin.push([task(3)]) == ["dup"]


def test_either_may_settle(store: Store, twin: Store) -> None:
    store.push([task(1)])
    claim = Session(store).one()
    assert twin.settle("s1", [settlement(claim, Done(b"1"))]).verdicts == ("ok",)
    assert store.settle("s1", [settlement(claim, Done(b"1"))]).verdicts == ("dup",)


def test_a_group_is_built_by_one_and_drained_by_the_other(store: Store, twin: Store) -> None:
    group = like_group(store, rows=120, body=task(1))
    worker = Session(twin)
    for _ in range(2):
        for claim in worker.claim(100):
            worker.settle(claim, Done(claim.row))
    assert [r.result for r in results(store, group)] == [b"row-%d" % n for n in range(120)]
    assert view(store, 1).state in ("ready", "running")


def test_a_push_here_wakes_a_listener_there(store: Store, twin: Store) -> None:
    Session(twin)
    quiet(twin)
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(twin.listen("s1", ("celery",), LONG)))
    thread.start()
    store.push([task(1)])
    thread.join(LONG)
    assert heard == [True]


def test_an_end_there_is_told_to_a_watcher_here(store: Store, twin: Store) -> None:
    store.push([task(1)])
    watch = store.watch()
    watch.add([uid(1)])
    Session(twin).run(Done(b"1"))
    told: set[str] = set()
    while uid(1) not in told:
        more = watch.wait(LONG)
        assert more, "nothing was said"
        told |= more
    watch.close()
    assert view(store, 1).result == b"1"


def test_an_order_from_there_comes_to_an_inbox_here(store: Store, twin: Store) -> None:
    box = store.mailbox("sup")
    session = Session(store, "s1", inbox="sup")
    twin.push([task(1)])
    claim = session.one()
    assert twin.control(Order("s1", "ping")) is True
    assert twin.revoke([uid(1)], terminate=True) == ["cancelled"]
    assert [(o.kind, o.tok) for o in take(box, 2)] == [("ping", 0), ("cancel", claim.tok)]
    box.close()


def test_a_pause_here_holds_there(store: Store, twin: Store) -> None:
    store.pause("celery")
    twin.push([task(1)])
    worker = Session(twin)
    assert worker.claim() == []
    store.resume("celery")
    assert len(worker.claim()) == 1


def test_a_lease_renewed_there_holds_here(store: Store, twin: Store, clock: FakeClock) -> None:
    store.push([task(1)])
    Session(twin).one()
    for _ in range(10):
        clock.advance(5)
        assert twin.tick(["s1"]).unknown == ()
        assert store.tick([]).taken_back == ()
    clock.advance(us=15 * SECOND)
    assert store.tick([]).taken_back == (), "the silence was everybody's: grace"


def test_what_one_wrote_is_there_when_it_has_gone(kind: str, store: Store, twin: Store) -> None:
    if kind == "memory":
        pytest.skip("memory ends with its process")
    twin.push([task(1), task(2, delay_us=SECOND), task(3)])
    first = Session(twin, "s1").one()
    twin.close()
    twin.close()
    assert [view(store, n).state for n in (1, 2, 3)] == ["running", "scheduled", "ready"]
    second = Session(store, "s2").one()
    assert second.tok > first.tok
    assert store.settle("s1", [settlement(first, Done(b"1"))]).verdicts == ("ok",)


def test_audits_agree(store: Store, twin: Store) -> None:
    like_group(store, rows=3)
    Session(twin).claim(2)
    assert store.audit() == twin.audit() == []
    assert store.counts() == twin.counts()
