"""What a claim costs does not depend on how much limits hold back: counted in steps of SQLite, not in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smallage.core.message import Envelope, Message
from smallage.stores.base import MAX_HELD_BACK, ClaimRequest, LimitSpec, SessionInfo
from smallage.stores.sqlite import open as open_store
from smallage.stores.sqlite.store import SqliteStore
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, task

FEW, MANY = 10, 3_000


class Claimer:
    """Claims one task at a time and counts the machine's steps (in tens) that the writer's statements take."""

    def __init__(self, path: Path, held: int) -> None:
        self.clock = FakeClock()
        self.store: SqliteStore = open_store(f"sqlite:///{path}", clock=self.clock)
        self.store.setup()
        self.store.announce("s1", SessionInfo())
        self.store.limit("task:slow", LimitSpec(1, SECOND))
        envelope = Envelope(name="slow")
        for start in range(0, held + 2, 500):
            ids = range(start, min(held + 2, start + 500))
            self.store.push([Message(f"slow-{n}", b"", envelope) for n in ids])
        self._claims = 0
        self.steps = 0
        self.claim()
        for _ in range(held // MAX_HELD_BACK + 1):
            self.claim()
        assert self.store.limits()["task:slow"].held_back == held + 1

    def claim(self) -> list[str]:
        self._claims += 1
        request = ClaimRequest(("celery",), 1, str(self._claims))
        return [claim.id for claim in self.store.claim("s1", request).claims]

    def counted(self, act: Callable[[], object]) -> int:
        """The steps of `act`, in tens."""
        connection = self.store._writer._connection
        assert connection is not None
        self.steps = 0
        connection.set_progress_handler(self._count, 10)
        act()
        connection.set_progress_handler(None)
        return self.steps

    def _count(self) -> bool:
        self.steps += 1
        return False


def of_the_first_held_back(claimer: Claimer) -> int:
    claimer.clock.advance(1)
    return claimer.counted(lambda: claimer.claim() == ["slow-1"] or pytest.fail("it was not first"))


def of_an_unlimited_one(claimer: Claimer) -> int:
    claimer.store.push([task("quick", name="quick")])
    return claimer.counted(lambda: claimer.claim() == ["quick"] or pytest.fail("it was not claimed"))


def of_a_tick_with_a_token(claimer: Claimer) -> int:
    claimer.clock.advance(1)
    return claimer.counted(lambda: claimer.store.tick(["s1"]))


@pytest.mark.parametrize("steps", [of_the_first_held_back, of_an_unlimited_one, of_a_tick_with_a_token])
def test_much_that_is_held_back_costs_no_more_than_a_little(tmp_path: Path, steps: Callable[[Claimer], int]) -> None:
    few, many = Claimer(tmp_path / "few.db", FEW), Claimer(tmp_path / "many.db", MANY)
    try:
        costs = steps(few), steps(many)
        assert 0 < costs[1] <= 1.5 * costs[0] + 20, "one step for each of them would be 300 tens"
    finally:
        few.store.close()
        many.store.close()


def test_a_purge_takes_what_is_held_back_between_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claimer = Claimer(tmp_path / "queue.db", MANY)
    write = claimer.store._write

    def claim_then_write(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(claimer.store, "_write", write)
        claimer.claim()
        monkeypatch.setattr(claimer.store, "_write", claim_then_write)
        return write(*given, **more)

    monkeypatch.setattr(claimer.store, "_write", claim_then_write)
    assert claimer.store.purge("celery") == MANY + 1
    assert claimer.store.audit() == []
