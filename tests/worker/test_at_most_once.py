"""Tasks with `ack="early"`: recorded as others are, but never started a second time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from smallage.app import Smallage
from smallage.core.errors import WorkerLostError
from smallage.worker.board import Board
from tests.worker import sample
from tests.worker.conftest import Moments, Worker

Start = Callable[..., Worker]


def test_its_result_is_recorded(start: Start, moments: Moments, gate: Path) -> None:
    gate.touch()
    start("-P", "threads", "-c", "2")
    assert sample.hold_once.delay(str(gate)).get(timeout=30) == "held"


@pytest.mark.parametrize("pool", ["threads", "processes"])
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_started_one_is_not_run_again(
    pool: str, how: str, start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    worker = start("-P", pool, "-c", "1", "--shutdown-timeout", "0.2")
    result = sample.hold_once.delay(str(gate))
    _, pid = moments.next("started")
    if how == "killed":
        os.kill(int(pid), signal.SIGKILL)
    else:
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 4
    with pytest.raises(WorkerLostError):
        result.get(timeout=30)
    (seen,) = app.store.state([result.id])
    assert seen is not None
    assert (seen.state, seen.crashes) == ("dead", 1)


def test_marks_stay_until_the_claim_is_settled() -> None:
    board = Board(2)
    assert board.once() == frozenset()
    assert all(board.mark_once(tok) for tok in (7, 8))
    board.toks[0] = 7
    board.toks[0] = 0  # the body has ended, its outcome is on its way
    assert board.once() == {7, 8}
    board.forget_once({7})
    assert board.once() == {8}
    assert board.holds_once
    board.forget_once({8})
    assert not board.holds_once


def test_a_full_board_starts_no_more() -> None:
    board = Board(1)
    count = 0
    while board.mark_once(count + 1):
        count += 1
    assert not board.mark_once(count + 1)
    board.forget_once({1})
    assert board.mark_once(count + 1)
