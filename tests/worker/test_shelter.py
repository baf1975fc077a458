"""What is raised in bodies from outside breaks neither stores nor event loops, nor the pool itself."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smallage import Smallage
from smallage.core.errors import SoftTimeLimitExceeded
from smallage.core.message import Claim, Done, Envelope, Message
from smallage.run import Terminated
from smallage.stores import base, shelter
from smallage.worker.board import Board
from smallage.worker.desk import Desk, Wake
from smallage.worker.inprocess import InProcessWorker
from smallage.worker.limits import Limits
from smallage.worker.pools.driven import Runner
from smallage.worker.pools.threads import ThreadPool
from smallage.worker.slot import Slot, interrupt, raise_in_thread
from tests.worker.conftest import PATIENCE, Told, until

CLAIM = Claim(id="1", gen=1, tok=1, nonce="n", name="t", payload=b"", queue="q", priority=0)


def never() -> None:
    raise AssertionError("raised in a shelter")


def test_what_comes_in_a_shelter_is_raised_behind_it() -> None:
    place = shelter.Shelter()
    inner_ended = False
    with pytest.raises(Terminated), place:
        with place:
            place.send(Terminated, never)
        inner_ended = True
    assert inner_ended
    delivered: list[str] = []
    place.send(Terminated, lambda: delivered.append("outside"))
    assert delivered == ["outside"]
    assert not place.keeps(Terminated)
    with pytest.raises(SoftTimeLimitExceeded), place:
        assert place.keeps(SoftTimeLimitExceeded)
    with shelter.sheltered():  # nothing to keep: nobody interrupts this thread
        pass


def test_an_interrupt_leaves_the_order_of_writers_whole(tmp_path: Path) -> None:
    """It comes while its thread waits for another one's transaction."""
    store: Any = base.open(f"sqlite:///{tmp_path}/queue.db")
    store.setup()
    slot, begun, go_on, told = Slot(0), threading.Event(), threading.Event(), Told()

    def lead(_: object) -> None:
        begun.set()
        go_on.wait(PATIENCE)

    def body() -> None:
        slot.shelter, slot.handle = shelter.settle(), threading.get_ident()
        try:
            store.push([Message("1", b"\x90", Envelope(name="t"))])
        except SoftTimeLimitExceeded:
            told.append("interrupted")

    leader, waiting = (threading.Thread(target=one, daemon=True) for one in (lambda: store._writer.run(lead), body))
    leader.start()
    assert begun.wait(PATIENCE)
    waiting.start()
    until(lambda: bool(store._writer._waiting))
    raise_in_thread(slot, SoftTimeLimitExceeded)
    go_on.set()
    told.wait(1)
    after = threading.Thread(target=lambda: told.append(store.push([Message("2", b"\x90", Envelope(name="t"))])))
    after.start()
    told.wait(2)
    assert told == ["interrupted", ["ok"]]
    for thread in (leader, waiting, after):
        thread.join(PATIENCE)
    store.close()


class Place:
    def __init__(self) -> None:
        self.pending: type[BaseException] | None = None
        self.shelter = shelter.Shelter()


async def one() -> int:
    await asyncio.sleep(0)
    return 1


def test_an_interrupt_while_the_loop_starts_is_raised_before_the_coroutine() -> None:
    place = Place()
    runner = Runner(place)
    place.pending = Terminated
    with pytest.raises(Terminated):
        runner.run(one())
    place.pending = None
    assert runner.run(one()) == 1
    runner.close()


def test_while_a_loop_runs_nothing_is_raised_in_its_thread() -> None:
    """Also before and behind the coroutine; there it is too late."""
    place = Place()
    runner = Runner(place)
    seen: list[bool] = []

    def send() -> None:
        seen.append(runner.interrupt())
        place.shelter.send(Terminated, never)

    async def body() -> int:
        send()
        asyncio.get_running_loop().call_soon(send)  # behind the last step, before the loop stops
        return 1

    assert not runner.interrupt()
    assert runner.run(body()) == 1
    assert seen == [True, True]
    assert place.shelter.depth == 0
    assert runner.run(one()) == 1
    runner.close()


def test_a_late_interrupt_is_judged_where_no_other_can_come() -> None:
    """Else a second one would end the thread of the pool, and its task would hang."""
    slot, desk, board = Slot(0), Desk(), Board(1)
    second: list[bool] = []

    class Body:
        def limits(self, claim: Claim) -> tuple[None, None]:
            return None, None

        def run(self, claim: Claim, place: Slot) -> Done:
            place.pending = SoftTimeLimitExceeded
            raise SoftTimeLimitExceeded

        def ended(self, claim: Claim, error: BaseException) -> Done:
            second.append(interrupt(slot, claim, Terminated, pool.send) or slot.pending is not None)
            return Done(None)

    board.fence = float("inf")
    limits = Limits(board, lambda slot, claim: None)
    pool = ThreadPool([slot], desk, board, Body(), limits)  # type: ignore[arg-type]
    pool.settle_in(slot)
    pool._run(slot, CLAIM)
    assert second == [False]
    assert [(claim.id, type(outcome)) for claim, outcome, _ in desk.ended] == [("1", Done)]


def test_an_interrupt_while_a_limit_is_set_leaves_the_watch_awake() -> None:
    """Else limits would be looked at an hour later."""
    slot, desk, board = Slot(0), Desk(), Board(1)
    ran: list[Claim] = []

    class Interrupting(Wake):
        def set(self) -> None:
            assert interrupt(slot, CLAIM, Terminated, pool.send)
            super().set()

    class Body:
        def limits(self, claim: Claim) -> tuple[None, float]:
            return None, 3600.0

        def run(self, claim: Claim, place: Slot) -> Done:
            ran.append(claim)
            return Done(None)

        def ended(self, claim: Claim, error: BaseException) -> Done:
            assert isinstance(error, Terminated)
            return Done(None)

    board.fence = float("inf")
    limits = Limits(board, lambda slot, claim: None)
    limits._started = True  # the test is who watches
    limits._wake = Interrupting()
    pool = ThreadPool([slot], desk, board, Body(), limits)  # type: ignore[arg-type]
    pool.settle_in(slot)
    pool._run(slot, CLAIM)
    assert (limits._wake.wait(0), ran) == (True, [])


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{}/queue.db"])
def test_a_hail_of_interrupts_leaves_a_worker_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    # Interrupts in finalizers, and files that one left open, are told and go nowhere; pytest's hook would be hit too.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    app = Smallage("hail", broker=url.format(tmp_path), set_as_current=False)

    @app.task(name="leaf", ignore_result=True)
    def leaf() -> None: ...

    @app.task(name="plain", bind=True)
    def plain(self: Any) -> int:
        self.update_state(state="PROGRESS", meta={})
        leaf.delay()
        return 1

    @app.task(name="coroutine")
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return 1

    ended = threading.Event()

    def hail(worker: InProcessWorker) -> None:
        while not ended.is_set():
            for slot in worker.pool.slots:
                if (claim := slot.claim) is not None:
                    worker.limits.send(slot, claim, SoftTimeLimitExceeded)
            ended.wait(0.0002)

    def over(handles: list[Any]) -> Callable[[], bool]:
        ids = [one.id for one in handles]
        return lambda: all(view.state in ("done", "dead") for view in app.store.state(ids))

    with app, InProcessWorker(app, concurrency=4) as worker:
        sender = threading.Thread(target=hail, args=(worker,))
        sender.start()
        until(over([task.delay() for _ in range(100) for task in (plain, coroutine)]))
        ended.set()
        sender.join()
        assert [task.delay().get(timeout=PATIENCE) for _ in range(4) for task in (plain, coroutine)] == [1] * 8
        assert app.store.audit() == []
