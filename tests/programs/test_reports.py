"""A schedule at three in the night and one every thirty seconds, on a clock of the test's, with two who fire it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from smallage.stores.base import ScheduleView
from tests.programs.conftest import Make

pytestmark = pytest.mark.slow

BERLIN = ZoneInfo("Europe/Berlin")


def test_each_tick_is_sent_once_when_it_is_due(program: Make, tmp_path: Path) -> None:
    it = program("reports")
    book = tmp_path / "reports"
    book.touch()
    it.environment["REPORTS"] = str(book)
    start = dt.datetime(2027, 3, 1, 2, 58, 45, tzinfo=BERLIN)
    clock = it.own_clock(round(start.timestamp()) * 1_000_000)
    store = it.client().store

    worker = it.celery("-A", "reports", "worker", "-B", "--concurrency=2", "--loglevel=INFO")
    worker.hears("ready.")
    beats = [it.celery("-A", "reports", "beat", "--max-interval=0.1", "--loglevel=INFO") for _ in range(2)]
    it.until(lambda: len(store.schedules()) == 2)
    for process in beats:
        process.hears("next")  # it has read the schedules

    def lines(kind: str) -> int:
        return sum(line.startswith(kind) for line in book.read_text().splitlines())

    def heartbeat() -> ScheduleView:
        return next(one for one in store.schedules() if one.name == "heartbeat")

    def until(kind: str, count: int) -> None:
        it.until(lambda: lines(kind) == count)

    for n in range(1, 6):  # 03:00 lies between the second and the third
        clock.advance(30)
        until("alive", n)
        until("report nightly", int(n > 2))
    clock.advance(24 * 3600 - 150)  # a quarter past the minute before the next 03:00
    it.until(lambda: lines("alive") > 5)
    assert lines("report nightly") == 1
    clock.advance(150)
    until("report nightly", 2)

    assert [process.stop() for process in beats] == [0, 0]
    it.until(lambda: (last := heartbeat().last_us) is not None and last > clock() - 30_000_000)  # the last that is due
    until("alive", heartbeat().fired)
    assert worker.stop() == 0
    said = "".join(process.talk for process in (*beats, worker))
    assert said.count("Sending due task nightly-report") == lines("report nightly") == 2
    assert said.count("Sending due task heartbeat") == lines("alive")
    assert store.audit() == []
