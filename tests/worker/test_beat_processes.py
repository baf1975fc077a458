"""Schedulers in real processes, on SQLite and on Redis: nothing doubles, nothing is lost, changes need no restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.worker import beating
from tests.worker.conftest import PATIENCE, ROOT, Moments, until

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def app(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    url = f"sqlite:///{tmp_path}/queue.db" if request.param == "sqlite" else request.getfixturevalue("redis_url")
    monkeypatch.setenv("SMALLAGE_URL", url)
    beating.app.close()
    yield beating.app
    beating.app.close()


Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(app: Any, moments: Moments) -> Iterator[Run]:
    """`run("beat", …)` starts `smallage beat tests.worker.beating …`, which is killed at the test's end."""
    started: list[subprocess.Popen[str]] = []

    def begin(command: str, *options: str, **environment: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "smallage", command, "tests.worker.beating", *options],
                cwd=ROOT,
                env={**os.environ, **environment},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT if "worker" in process.args else signal.SIGKILL)  # type: ignore[operator]
        process.communicate(timeout=PATIENCE)


def end(process: subprocess.Popen[str]) -> str:
    """Have it end; what it said."""
    process.terminate()
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, said
    return said


@contextmanager
def inherited(number: signal.Signals, how: signal.Handlers) -> Iterator[None]:
    """Programs started in the block do this with the signal at first."""
    before = signal.signal(number, how)
    try:
        yield
    finally:
        signal.signal(number, before)


def fired(app: Any, name: str = "code") -> int:
    return next((view.fired for view in app.store.schedules() if view.name == name), 0)


def drained(run: Run, moments: Moments) -> int:
    """Runs what waits; how many ticks the tasks told of since the last look."""
    assert run("worker", "--burst", "--no-beat", "-P", "threads").wait(PATIENCE) == 0
    beating.say("drained")
    found = 0
    while True:
        kind, *_ = moments._line().split(" ")
        if kind == "drained":
            return found
        found += kind == "tick"


def test_workers_and_beats_together_send_each_tick_once(app: Any, run: Run, moments: Moments) -> None:
    processes = [run("beat", BEATING_EVERY="0.1") for _ in range(3)]
    for _ in processes:
        moments.next("beat")
    processes += [run("worker", "-P", "threads", "--no-beat", BEATING_EVERY="0.1")]
    for number, victim in ((5, 0), (10, 1)):
        for _ in range(number):
            moments.next("tick")
        processes[victim].kill()
    for _ in range(10):
        moments.next("tick")
    for process in processes[2:]:
        end(process)
    assert 25 + drained(run, moments) == fired(app)
    assert app.store.audit() == []


def test_a_tick_whose_sender_is_killed_at_once_is_there_once(app: Any, run: Run, moments: Moments) -> None:
    doomed = run("beat", BEATING_EVERY="0.2", BEATING_DIES="1")
    assert doomed.wait(PATIENCE) == -signal.SIGKILL
    assert fired(app) == 1
    assert app.store.counts()["celery"]["ready"] == 1
    other = run("beat", BEATING_EVERY="0.2")
    until(lambda: fired(app) >= 4)
    end(other)
    assert drained(run, moments) == fired(app)


@pytest.mark.parametrize("pool", ["processes", "threads", "asyncio", "gevent", "solo"])
def test_a_worker_schedules_by_itself(app: Any, run: Run, moments: Moments, pool: str) -> None:
    worker = run("worker", "-P", pool, *([] if pool == "solo" else ["-c", "2"]), BEATING_EVERY="0.1")
    assert moments.next("beat") == ["beat_init"]
    assert moments.next("beat") == ["beat_embedded_init"]
    for _ in range(3):
        assert moments.next("tick") == ["code"]
    end(worker)
    assert fired(app) >= 3


def test_schedules_are_changed_while_everything_runs(app: Any, run: Run, moments: Moments) -> None:
    run("worker", "-P", "threads", "-c", "2")
    moments.next("beat")
    schedules = app.schedules
    schedules.set("one", 3600, task="note", args=["hour"])
    schedules.set("one", 0.05, args=["fast"])
    assert moments.next("tick") == ["fast"]

    schedules.pause("one")
    count = fired(app, "one")
    schedules.set("two", 0.05, task="note", args=["two"])
    for _ in range(5):
        while moments.next("tick") != ["two"]:
            pass
    assert fired(app, "one") == count

    schedules.resume("one")
    until(lambda: fired(app, "one") > count)
    schedules.remove("two")
    schedules.set("one", args=["other"])
    while moments.next("tick") != ["other"]:
        pass
    assert [info.name for info in schedules.list()] == ["one"]


def test_beat_says_what_comes_next_and_ends_when_told(app: Any, run: Run, moments: Moments, tmp_path: Path) -> None:
    pidfile = tmp_path / "beat.pid"
    beat = run("beat", "--pidfile", str(pidfile), BEATING_EVERY="3600")
    assert moments.next("beat") == ["beat_init"]
    assert pidfile.read_text().strip() == str(beat.pid)
    assert run("beat", "--pidfile", str(pidfile), BEATING_EVERY="3600").wait(PATIENCE) == 2
    said = end(beat)
    assert "code → note" in said
    assert not pidfile.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_beat_ends_when_its_terminal_does(
    app: Any, run: Run, moments: Moments, tmp_path: Path, number: signal.Signals
) -> None:
    pidfile = tmp_path / "beat.pid"
    with inherited(number, signal.SIG_DFL):  # under nohup, or in the background, we ignore it
        beat = run("beat", "--pidfile", str(pidfile), BEATING_EVERY="0.1")
    until(lambda: fired(app) >= 2)  # the first may be sent before signals are heard
    beat.send_signal(signal.SIGUSR1)
    count = fired(app)
    until(lambda: fired(app) > count)
    beat.send_signal(number)
    said = beat.communicate(timeout=PATIENCE)[1]
    assert beat.returncode == 0
    assert "Thread 0x" in said
    assert not pidfile.exists()


def test_beat_under_nohup_outlives_its_terminal(app: Any, run: Run, moments: Moments) -> None:
    with inherited(signal.SIGHUP, signal.SIG_IGN):
        beat = run("beat", BEATING_EVERY="0.1")
    until(lambda: fired(app) >= 2)
    beat.send_signal(signal.SIGHUP)
    count = fired(app)
    until(lambda: fired(app) > count + 1)
    end(beat)


def test_beat_that_still_starts_ends_when_told(app: Any, run: Run, moments: Moments, tmp_path: Path) -> None:
    pidfile = tmp_path / "beat.pid"
    beat = run("beat", "--pidfile", str(pidfile), BEATING_STARTS_LONG="1")
    assert moments.next("beat") == ["beat_init"]
    assert pidfile.exists()
    end(beat)
    assert not pidfile.exists()


def test_so_does_beat_without_a_pid_file(app: Any, run: Run, moments: Moments) -> None:
    """Whoever has read that it starts may end it; that is before it fires anything."""
    beat = run("beat", BEATING_STARTS_LONG="1")
    assert moments.next("beat") == ["beat_init"]
    end(beat)


def test_faulty_entries_are_told_at_the_start(app: Any, run: Run, moments: Moments) -> None:
    for command in ("beat", "worker"):
        process = run(command, BEATING_EVERY="0.001")
        assert process.wait(PATIENCE) == 2
        assert "at least" in process.communicate()[1]
