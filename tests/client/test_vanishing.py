"""What becomes of a workflow whose built-in message is purged, cancelled or dies: nobody waits for ever, nothing runs
that was cancelled, and what is sent round again goes on. Each way against each kind, on every store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallage import chain, chord, group
from smallage.core.errors import Ignore
from smallage.core.message import Crashed
from smallage.groups import GroupResult
from smallage.result import AsyncResult
from smallage.stores import base
from tests.client.bench import SESSION, Bench
from tests.contract.conftest import KINDS, url_of

AFTER_A_TOMBSTONE = 120.0
"""Seconds after which nothing is left of what was ended without a result."""


class Shop(Bench):
    """A bench on any store; `ran` lists the bodies that were run."""

    start: Any
    add: Any
    total: Any

    def __init__(self, url: str) -> None:
        super().__init__()
        self.store = base.open(url, clock=self.clock)
        self.store.setup()
        self.app.use_store(self.store)
        self.ran: list[str] = []
        self.fails: Any = False
        """What `start` raises; True: a ValueError."""
        for name, body in {"start": self.start_body, "add": lambda *v: sum(v), "total": sum}.items():
            self._task(name, body)

    def _task(self, name: str, body: Any) -> None:
        def run(*args: Any) -> Any:
            self.ran.append(name)
            return body(*args)

        setattr(self, name, self.app.task(name=name, typing=False)(run))

    def start_body(self) -> int:
        if self.fails:
            raise ValueError if self.fails is True else self.fails
        return 1

    def send(self, kind: str, **options: Any) -> Any:
        """A workflow in which a fan comes behind `start`, which has these options."""
        add, total = self.add, self.total
        fans = {
            "like group": lambda: group(add.s(n) for n in range(3)),
            "unlike group": lambda: group(add.s(1), total.si([2]), chain(add.s(1), add.s(2))),
            "chord": lambda: chord([add.s(1), add.s(2)], total.s()),
            "chord of chains": lambda: chord([chain(add.s(1), add.s(2)), add.s(2)], total.s()),
            "nested": lambda: group(add.s(1), chord([add.s(1), chain(add.s(2), add.s(3))], total.s())),
            "mid-chain": lambda: chain(chord([add.s(1), add.s(2)], total.s()), add.s(5)),
        }
        return chain(self.start.s().set(**options), fans[kind]()).apply_async()

    def open_tasks(self) -> int:
        return sum(sum(states.values()) for queue, states in self.store.counts().items() if queue)


VALUES = {
    "like group": [1, 2, 3],
    "unlike group": [2, 2, 4],
    "chord": 5,
    "chord of chains": 7,
    "nested": [2, 2 + 6],
    "mid-chain": 10,
}


@pytest.fixture(params=[pytest.param(kind, marks=[pytest.mark.redis] * (kind == "redis")) for kind in KINDS])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(url_of(request.param, request, tmp_path))
    yield shop
    assert shop.store.audit() == []
    shop.app.close()
    shop.store.close()


@pytest.fixture(params=VALUES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def header_of(handle: Any) -> GroupResult[Any]:
    """The group that is opened behind `start`."""
    while not (isinstance(handle, GroupResult) and not isinstance(handle.parent, GroupResult)):
        handle = handle.parent
    return handle


def opener(handle: Any) -> str:
    return f"{header_of(handle).id}:expand"


def purge(shop: Shop, handle: Any) -> None:
    assert shop.store.purge("celery") == 1


def revoke_the_opener(shop: Shop, handle: Any) -> None:
    assert shop.store.revoke([opener(handle)]) == ["cancelled"]


def cancel_the_group(shop: Shop, handle: Any) -> None:
    header_of(handle).cancel()


def terminate_it_half_done(shop: Shop, handle: Any) -> None:
    (claim,) = shop.claim()
    assert claim.id == opener(handle)
    shop.execute(claim)  # whoever did it dies before the settlement, and somebody cancels it then
    assert shop.store.revoke([claim.id], terminate=True) == ["cancelled"]
    header_of(handle).cancel()


CANCELS = [purge, revoke_the_opener, cancel_the_group, terminate_it_half_done]


@pytest.mark.parametrize("cancel", CANCELS)
def test_what_is_cancelled_ends(shop: Shop, kind: str, cancel: Any) -> None:
    handle = shop.send(kind)
    shop.step()
    assert shop.open_tasks() == 1
    cancel(shop, handle)
    shop.run()
    nobody_waits(shop, handle)
    header = header_of(handle)
    assert header.total == header.snapshot().cancelled == (3 if "like" in kind else 2)
    assert shop.ran == ["start"]


@pytest.mark.parametrize("ahead", [False, True], ids=["by a handle", "by another process"])
def test_a_group_cancelled_before_its_turn_has_come(shop: Shop, kind: str, ahead: bool) -> None:
    handle = shop.send(kind)
    if ahead:
        GroupResult(header_of(handle).id, app=shop.app).cancel()
    else:
        header_of(handle).cancel()
    shop.run()
    nobody_waits(shop, handle)
    assert shop.ran == ["start"]


def another(shop: Shop, handle: Any) -> Any:
    """The handle that another process makes of the id."""
    made = GroupResult(handle.id, app=shop.app) if isinstance(handle, GroupResult) else AsyncResult(handle.id, shop.app)
    return made


def nobody_waits(shop: Shop, handle: Any, gone: str = "") -> None:
    """Every handle of the workflow has ended, for those who look later too, with an error; `gone`: a task that a purge
    removed."""
    assert shop.open_tasks() == 0
    for _ in range(2):
        shop.store.tick([SESSION])
        at: Any = handle
        while at is not None:
            assert at.ready() or at.id == gone, f"{at} waits for ever"
            at = at.parent
        with pytest.raises(Exception) as raised:
            handle.get(timeout=0)
        assert not isinstance(raised.value, TimeoutError), "it waits for ever"
        with pytest.raises(Exception) as raised:
            another(shop, handle).get(timeout=0)
        assert not isinstance(raised.value, TimeoutError), "it waits for ever"
        shop.clock.advance(AFTER_A_TOMBSTONE)


def crash_four_times(shop: Shop) -> None:
    """More often than a task may with the usual budget."""
    for _ in range(4):
        shop.later(60.0)
        assert shop.settle(shop.claim()[0], Crashed()) == "ok"


def kill_the_opener(shop: Shop, handle: Any) -> None:
    """Every worker that takes it dies."""
    for _ in range(21):
        shop.later(60.0)
        (claim,) = shop.claim()
        assert claim.id == opener(handle)
        assert shop.settle(claim, Crashed()) == "ok"


def test_an_opener_that_dies_ends_all_and_goes_on_if_it_is_sent_round_again(shop: Shop, kind: str) -> None:
    handle = shop.send(kind)
    shop.step()
    kill_the_opener(shop, handle)
    (view,) = shop.store.state([opener(handle)])
    assert view is not None
    assert view.state == "dead"
    shop.run()
    nobody_waits(shop, handle)
    assert shop.ran == ["start"]
    assert shop.store.requeue([opener(handle)]) == [True]
    shop.run()
    assert another(shop, handle).get(timeout=0) == VALUES[kind]


def test_forgetting_a_group_that_has_not_come_changes_nothing(shop: Shop, kind: str) -> None:
    handle = shop.send(kind)
    shop.step()
    header_of(handle).forget()
    shop.run()
    assert handle.get(timeout=0) == VALUES[kind]


def test_an_opener_does_not_expire_with_its_chain(shop: Shop, kind: str) -> None:
    handle = shop.send(kind)
    shop.step()
    shop.later(10 * 86_400.0)
    shop.run()
    assert handle.get(timeout=0) == VALUES[kind]


# -- a fan that does not come ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("end", ["fails", "dies", "expires", "is revoked", "is purged"])
def test_everybody_sees_that_a_group_does_not_come(shop: Shop, kind: str, end: str) -> None:
    handle = shop.send(kind, **({"expires": 5} if end == "expires" else {}))
    start = header_of(handle).parent.id
    if end == "fails":
        shop.fails = True
    elif end == "dies":
        crash_four_times(shop)
    elif end == "expires":
        shop.later(6.0)
    elif end == "is revoked":
        shop.store.revoke([start])
    else:
        shop.store.purge("celery")
    shop.run()
    nobody_waits(shop, handle, gone=start if end == "is purged" else "")
    header: GroupResult[Any] = GroupResult(header_of(handle).id, app=shop.app)
    assert header.ready()
    assert header.snapshot().failed
    if end in ("fails", "dies"):
        shop.fails = False
        assert shop.store.requeue([start]) == [True]
        shop.run()
        assert another(shop, handle).get(timeout=0) == VALUES[kind]


def test_what_comes_behind_an_ignored_task_is_passed_over(shop: Shop, kind: str) -> None:
    handle = shop.send(kind)
    shop.fails = Ignore
    shop.run()
    header: GroupResult[Any] = GroupResult(header_of(handle).id, app=shop.app)
    for one in (handle, another(shop, handle), header):
        assert one.ready()
        assert not one.failed()
        one.get(timeout=0)
    assert shop.ran == ["start"]


def test_a_group_whose_opener_died_can_be_retried_as_one(shop: Shop) -> None:
    handle = shop.send("like group")
    shop.step()
    kill_the_opener(shop, handle)
    shop.run()
    assert handle.retry_failed() == 3
    assert not handle.ready()
    shop.run()
    assert handle.get(timeout=0) == [1, 2, 3]
    assert handle.retry_failed() == 0


# -- what follows an end that the store made -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["purge", "revoke", "forget"])
def test_a_follow_up_stays(shop: Shop, way: str) -> None:
    handle = chain(shop.start.s(), shop.add.s(1)).apply_async()
    assert shop.store.revoke([handle.parent.id]) == ["cancelled"]
    follow_up = base.after_id(handle.parent.id, 1)
    if way == "purge":
        assert shop.store.purge("celery") == 0
    elif way == "revoke":
        assert shop.store.revoke([follow_up], terminate=True) == ["running"]
    else:
        assert shop.store.forget([follow_up, handle.parent.id]) == 1
    shop.run()
    assert handle.ready()
    assert shop.open_tasks() == 0
    assert shop.ran == []


def test_an_error_callback_that_kills_its_worker_holds_nothing_up(shop: Shop) -> None:
    called: list[str] = []

    def killer(request: Any, error: Any, text: Any) -> None:
        called.append(request.id)
        raise KeyboardInterrupt

    errback = shop.app.task(name="killer", typing=False)(killer)
    handle = chain(shop.start.s().set(link_error=errback.s()), shop.add.s(1)).apply_async()
    crash_four_times(shop)
    for _ in range(2):
        shop.later(60.0)
        (claim,) = shop.claim()
        assert claim.after == handle.parent.id
        with pytest.raises(KeyboardInterrupt):
            shop.execute(claim)
        assert shop.settle(claim, Crashed()) == "ok"
    shop.later(60.0)
    shop.run()
    assert len(called) == 2
    nobody_waits(shop, handle)


def test_a_follow_up_that_died_goes_on_when_it_is_sent_round_again(shop: Shop) -> None:
    handle = chain(shop.start.s(), shop.add.s(1)).apply_async()
    shop.store.revoke([handle.parent.id])
    crash_four_times(shop)
    assert shop.run() == []
    assert shop.store.requeue([base.after_id(handle.parent.id, 1)]) == [True]
    shop.run()
    nobody_waits(shop, handle)
