"""What the supervisor does for its children when they cannot help themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smallage.app import Smallage
from smallage.core.errors import TaskRevokedError, TimeLimitExceeded, WorkerLostError
from tests.redis_server import RedisServer
from tests.worker import sample
from tests.worker.conftest import PATIENCE, ROOT, Moments, Worker, until, view

Start = Callable[..., Worker]


def test_it_has_one_thread_and_imports_no_user_code(start: Start, moments: Moments) -> None:
    worker = start("-P", "threads", "--processes", "2")
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2
    importers = {int(moments.next("imported")[0]) for _ in range(2)}
    assert worker.process.pid not in importers
    assert len(list(Path(f"/proc/{worker.process.pid}/task").iterdir())) == 1


def test_a_limit_holds_even_when_c_code_keeps_the_interpreter(start: Start, app: Smallage) -> None:
    start("-P", "processes", "-c", "1")
    result = sample.seize_limited.delay()
    with pytest.raises(TimeLimitExceeded):
        result.get(timeout=PATIENCE)
    assert view(app, result.id).crashes == 0
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2


def test_a_limit_holds_against_blocked_signals(start: Start) -> None:
    start("-P", "processes", "-c", "1")
    with pytest.raises(TimeLimitExceeded):
        sample.deaf.delay().get(timeout=PATIENCE)
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2


def test_a_terminated_body_that_does_not_stop_costs_its_process(start: Start, app: Smallage, moments: Moments) -> None:
    start("-P", "processes", "-c", "1")
    result = sample.endless.delay()
    moments.next("started")
    app.store.revoke([result.id], terminate=True)
    moments.next("ignored")
    with pytest.raises(TaskRevokedError):
        result.get(timeout=PATIENCE)
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2


@pytest.mark.redis
@pytest.mark.slow
def test_claims_that_wait_in_a_frozen_child_go_back(
    redis_url: str, start: Start, app: Smallage, monkeypatch: pytest.MonkeyPatch, moments: Moments
) -> None:
    """On Redis: a process that is frozen within a transaction of SQLite's keeps everybody from writing."""
    monkeypatch.setenv("SMALLAGE_URL", redis_url)
    start("-P", "processes", "-c", "2", "--lease", "3")
    for result in [sample.add.delay(n, n) for n in range(300)]:  # so many that much is claimed ahead
        result.get(timeout=PATIENCE)
    app.store.pause("celery")
    frozen = sample.seize.delay(300)
    behind = [sample.add.delay(n, 1) for n in range(100)]
    app.store.resume("celery")
    moments.next("started")
    assert [r.get(timeout=PATIENCE) for r in behind] == list(range(1, 101))
    seen = view(app, frozen.id)
    assert (seen.state, seen.crashes, seen.lost) == ("running", 0, 0)


def test_hang_up_replaces_the_children_once_their_tasks_have_ended(start: Start, moments: Moments, gate: Path) -> None:
    worker = start("-P", "threads", "-c", "1")
    result = sample.hold.delay(str(gate))
    (_, pid) = moments.next("started")
    worker.signal(signal.SIGHUP)
    until(lambda: "SIGHUP" in worker.peek())
    gate.touch()
    assert result.get(timeout=PATIENCE) == "held"
    assert sample.pid.delay().get(timeout=PATIENCE) != int(pid)


def test_a_child_that_has_grown_too_large_is_replaced(start: Start) -> None:
    start("-P", "processes", "-c", "1", "--max-memory-per-child", str(120 * 1024))
    first = sample.grow.delay(1).get(timeout=PATIENCE)
    second = sample.grow.delay(200).get(timeout=PATIENCE)
    third = sample.grow.delay(1).get(timeout=PATIENCE)
    assert first == second != third


def test_json_logs_are_one_object_a_line_and_hold_no_arguments(start: Start) -> None:
    worker = start("-P", "threads", "-l", "info", "--log-format", "json", "--burst")
    secret = 123454321
    result = sample.add.delay(secret, 0)
    assert worker.wait() == 0
    assert result.get(timeout=1) == secret
    lines = [json.loads(line) for line in worker.talk.splitlines()]
    ours = [line for line in lines if line.get("task_id") == result.id]
    assert [line["message"].split("] ")[1].split(" ")[0] for line in ours] == ["received", "succeeded"]
    assert str(secret) not in worker.talk


def test_workers_stop_tells_the_supervisor(start: Start, app: Smallage) -> None:
    worker = start("-P", "threads", "-n", "w1@here")
    until(lambda: len(app.store.workers()) == 1)
    command = [sys.executable, "-m", "smallage", "-A", "tests.worker.sample", "workers", "stop", "w1@here"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0
    assert worker.wait() == 0


def test_a_child_that_cannot_start_again_does_not_end_the_worker(start: Start, moments: Moments) -> None:
    """Back-off between children that die young: a poison task, four deaths in a row, and the worker still works."""
    start("-P", "processes", "-c", "1")
    results = [sample.die.delay("exit") for _ in range(3)]
    for result in results:
        result.get(timeout=PATIENCE, propagate=False)
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2


# -- on Redis -----------------------------------------------------------------------------------------------------
@pytest.mark.redis
def test_on_redis_a_killed_child_s_task_runs_again(
    redis_url: str, start: Start, monkeypatch: pytest.MonkeyPatch, moments: Moments, gate: Path
) -> None:
    monkeypatch.setenv("SMALLAGE_URL", redis_url)
    start("-P", "threads", "-c", "2")
    result = sample.hold.delay(str(gate))
    (_, pid) = moments.next("started")
    os.kill(int(pid), signal.SIGKILL)
    moments.next("started")
    gate.touch()
    assert result.get(timeout=PATIENCE) == "held"


@pytest.mark.redis
@pytest.mark.parametrize("pool", ["processes", "asyncio", "gevent"])
def test_on_redis_running_tasks_can_be_terminated(
    pool: str,
    redis_url: str,
    start: Start,
    app: Smallage,
    monkeypatch: pytest.MonkeyPatch,
    moments: Moments,
    gate: Path,
) -> None:
    monkeypatch.setenv("SMALLAGE_URL", redis_url)
    start("-P", pool, "-c", "1")
    result = sample.ahold.delay(str(gate))
    moments.next("started")
    app.store.revoke([result.id], terminate=True)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=PATIENCE)
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2


@pytest.mark.redis
def test_work_goes_on_after_the_server_was_killed_and_started_again(
    start_redis: Callable[..., RedisServer],
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    moments: Moments,
    gate: Path,
) -> None:
    server = start_redis(appendonly="yes", appendfsync="always")
    monkeypatch.setenv("SMALLAGE_URL", server.url)
    start("-P", "threads", "-c", "2")
    result = sample.hold.delay(str(gate))
    moments.next("started")
    server.kill()
    gate.touch()
    moments.next("ended")
    server.start()
    assert result.get(timeout=PATIENCE) == "held"
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2


# -- settings -----------------------------------------------------------------------------------------------------
def test_limits_of_the_command_line_are_for_tasks_without_their_own(start: Start, moments: Moments, gate: Path) -> None:
    start("-P", "threads", "-c", "2", "--time-limit", "0.3")
    unhurried = sample.hold_long.delay(str(gate))
    moments.next("started")
    with pytest.raises(TimeLimitExceeded):  # it began later, and its time is over
        sample.hold.delay(str(gate)).get(timeout=PATIENCE)
    gate.touch()
    assert unhurried.get(timeout=PATIENCE) == "held"


@pytest.mark.parametrize("pool", ["gevent", "asyncio", "threads"])
def test_the_app_s_settings_choose_pool_and_size(
    pool: str, start: Start, app: Smallage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMPLE_POOL", pool)
    start()
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2
    (worker,) = app.store.workers()
    assert (worker.info.pool, worker.info.concurrency) == (pool, 600)


def test_a_task_that_may_start_once_is_not_run_again_after_a_crash(
    start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    start("-P", "threads", "-c", "1")
    result = sample.hold_once.delay(str(gate))
    (_, pid) = moments.next("started")
    os.kill(int(pid), signal.SIGKILL)
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2
    until(result.ready)
    gate.touch()
    assert view(app, result.id).state in ("done", "dead")


def test_signals_of_a_worker_s_life(start: Start, moments: Moments) -> None:
    worker = start("-P", "threads", "-c", "1")
    assert [moments.next("signal")[0] for _ in range(3)] == ["worker_init", "worker_process_init", "worker_ready"]
    worker.signal(signal.SIGTERM)
    assert [moments.next("signal")[0] for _ in range(2)] == ["worker_process_shutdown", "worker_shutdown"]
    assert worker.wait() == 0


@pytest.mark.parametrize("pool", ["processes", "threads", "asyncio"])
def test_a_body_that_closes_the_descriptors_of_its_worker_costs_its_process(
    pool: str, start: Start, app: Smallage
) -> None:
    """All connections, locks and pipes of the child: it could do nothing any more, and would stand still."""
    worker = start("-P", pool, "-c", "1")
    result = (sample.asweep if pool == "asyncio" else sample.sweep).delay()
    with pytest.raises(WorkerLostError):
        result.get(timeout=PATIENCE)
    assert (view(app, result.id).reason, view(app, result.id).crashes) == ("crashed", 2)
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2
    assert "closed descriptors of this worker (os.closerange?)" in worker.peek()
