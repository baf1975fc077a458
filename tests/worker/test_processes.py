"""A real worker: its processes, signals, deaths and limits."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from smallage.app import Smallage
from smallage.core.errors import TaskRevokedError, TimeLimitExceeded, WorkerLostError
from tests.worker import sample
from tests.worker.conftest import PATIENCE, Moments, Worker, until, view, wait_until_gone

Start = Callable[..., Worker]
POOLS = ["processes", "threads", "solo", "asyncio", "gevent"]


def options(pool: str) -> list[str]:
    return ["-P", pool, *([] if pool == "solo" else ["-c", "2"])]


# -- running ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pool", POOLS)
def test_every_pool_runs_sync_and_async_tasks(pool: str, start: Start) -> None:
    start(*options(pool))
    results = [task.delay(n, 1) for n in range(5) for task in (sample.add, sample.aadd)]
    assert [r.get(timeout=PATIENCE) for r in results] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_hundreds_of_coroutines_at_once(start: Start, moments: Moments, gate: Path) -> None:
    start("-P", "asyncio", "-c", "300")
    results = [sample.ahold.delay(str(gate)) for _ in range(300)]
    assert len({moments.next("started")[0] for _ in results}) == 300
    gate.touch()
    assert {r.get(timeout=PATIENCE) for r in results} == {"held"}


def test_burst_ends_when_the_queues_are_empty(start: Start) -> None:
    results = [sample.add.delay(n, 1) for n in range(20)]
    worker = start("-P", "threads", "--burst")
    assert worker.wait() == 0
    assert [r.get(timeout=1) for r in results] == list(range(1, 21))


def test_children_are_replaced_after_so_many_tasks(start: Start) -> None:
    start("-P", "processes", "-c", "1", "--max-tasks-per-child", "2")
    pids = [sample.pid.delay().get(timeout=PATIENCE) for _ in range(6)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]


def test_a_name_that_nobody_knows_is_parked(start: Start, app: Smallage) -> None:
    unknown = app.send_task("nobody.knows.this")
    worker = start("-P", "threads")
    until(lambda: view(app, unknown.id).state == "parked")
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "No task named 'nobody.knows.this'" in worker.talk


# -- deaths -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pool", ["processes", "threads"])
def test_a_killed_child_s_tasks_run_again_and_only_started_ones_are_charged(
    pool: str, start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    worker = start("-P", pool, "-c", "1")
    running = sample.hold.delay(str(gate))
    (_, pid) = moments.next("started")
    waiting = sample.add.delay(1, 1)
    os.kill(int(pid), signal.SIGKILL)
    again, second_pid = moments.next("started")
    assert again == running.id
    assert second_pid != pid
    gate.touch()
    assert running.get(timeout=PATIENCE) == "held"
    assert waiting.get(timeout=PATIENCE) == 2
    assert (view(app, running.id).crashes, view(app, running.id).lost) == (1, 0)
    assert (view(app, waiting.id).crashes, view(app, waiting.id).lost) == (0, 0)
    assert worker.process.poll() is None


@pytest.mark.parametrize("how", ["exit", "segfault", "sys.exit"])
def test_however_a_task_ends_its_process_it_is_a_crash(how: str, start: Start, app: Smallage, moments: Moments) -> None:
    start("-P", "threads", "-c", "2")
    result = sample.die.delay(how)
    neighbour = sample.add.delay(1, 1)
    with pytest.raises(WorkerLostError):
        result.get(timeout=PATIENCE)
    assert neighbour.get(timeout=PATIENCE) == 2
    assert (view(app, result.id).reason, view(app, result.id).crashes) == ("crashed", 2)


@pytest.mark.parametrize(("how", "code"), [("returns", 0), ("exits", 7), ("raises", 1)])
def test_a_fork_in_a_body_does_not_become_a_second_worker(how: str, code: int, start: Start) -> None:
    start("-c", "1")
    assert [sample.forks.delay(how).get(timeout=PATIENCE) for _ in range(2)] == [code, code]
    assert sample.add.delay(1, 2).get(timeout=PATIENCE) == 3


def test_a_task_survives_one_crash(start: Start) -> None:
    start("-P", "processes", "-c", "1")
    assert sample.die_once.delay().get(timeout=PATIENCE) == 1


def test_children_die_with_their_supervisor_and_the_next_worker_has_their_tasks_at_once(
    start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    first = start("-P", "processes", "-c", "2", "--lease", "3600")
    result = sample.hold.delay(str(gate))
    moments.next("started")
    children = first.children()
    first.process.kill()
    wait_until_gone(children)
    start("-P", "threads")
    assert moments.next("started")[0] == result.id
    gate.touch()
    assert result.get(timeout=PATIENCE) == "held"


def test_a_living_worker_takes_over_from_one_that_died(
    start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    first = start("-P", "threads", "-c", "1", "--lease", "3600")
    result = sample.hold.delay(str(gate))
    moments.next("started")
    start("-P", "threads", "-c", "1", "--lease", "3600")
    until(lambda: len(app.store.workers()) == 2)
    first.process.kill()
    assert moments.next("started")[0] == result.id
    gate.touch()
    assert result.get(timeout=PATIENCE) == "held"


# -- stopping -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("pool", ["processes", "threads", "asyncio"])
def test_a_stop_lets_running_tasks_end(
    pool: str, number: int, start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    worker = start("-P", pool, "-c", "1", "-l", "info")
    running, waiting = sample.ahold.delay(str(gate)), sample.ahold.delay(str(gate))
    moments.next("started")
    worker.signal(number)
    until(lambda: "No new claims" in worker.peek())
    gate.touch()
    assert worker.wait() == 0
    assert running.get(timeout=1) == "held"
    assert view(app, waiting.id).state == "ready"
    assert app.store.workers() == []


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("how", ["second", "timeout", "quit"])
def test_a_forced_stop_hands_back_with_no_attempt_spent(
    pool: str, how: str, start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    worker = start(*options(pool), *(["--shutdown-timeout", "0.2"] if how == "timeout" else []))
    running = sample.hold.delay(str(gate))
    moments.next("started")
    if how == "quit":
        worker.signal(signal.SIGQUIT)
    else:
        worker.signal(signal.SIGTERM)
        if how == "second":
            until(lambda: "Stopping" in worker.peek())
            worker.signal(signal.SIGTERM)
    assert worker.wait() == 4
    seen = view(app, running.id)
    assert (seen.state, seen.crashes, seen.lost, seen.failures, seen.releases) == ("ready", 0, 0, 0, 1)


@pytest.mark.parametrize(("number", "times"), [(signal.SIGTERM, 1), (signal.SIGQUIT, 1), (signal.SIGQUIT, 2)])
def test_a_soft_shutdown_gives_its_time_at_a_quit_too(
    number: int, times: int, start: Start, app: Smallage, moments: Moments, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMPLE_SOFT", "600")
    worker = start("-P", "processes", "-c", "1")
    running = sample.hold.delay(str(gate))
    moments.next("started")
    worker.signal(number)
    until(lambda: "finishing what runs, at most 600s" in worker.peek())
    if times == 2:
        worker.signal(number)
        assert worker.wait() == 4
        assert view(app, running.id).state == "ready"
        return
    gate.touch()
    assert worker.wait() == 0
    assert running.get(timeout=PATIENCE) == "held"


def test_a_soft_shutdown_has_an_end(
    start: Start, app: Smallage, moments: Moments, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMPLE_SOFT", "0.2")
    worker = start("-P", "processes", "-c", "1")
    running = sample.hold.delay(str(gate))
    moments.next("started")
    worker.signal(signal.SIGQUIT)
    assert worker.wait() == 4
    seen = view(app, running.id)
    assert (seen.state, seen.crashes, seen.releases) == ("ready", 0, 1)


# -- limits -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pool", POOLS)
def test_soft_limits_are_raised_in_the_body(pool: str, start: Start) -> None:
    start(*options(pool))
    results = [sample.soft.delay(), sample.asoft.delay()]
    assert [r.get(timeout=PATIENCE) for r in results] == ["cleaned up", "cleaned up"]


@pytest.mark.parametrize("pool", POOLS)
def test_hard_limits_end_the_task_and_only_it(
    pool: str, start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    start(*options(pool))
    neighbour = None
    if pool != "solo":
        neighbour = sample.hold.delay(str(gate))
        moments.next("started")
    for task in (sample.hard, sample.ahard):
        result = task.delay()
        with pytest.raises(TimeLimitExceeded):
            result.get(timeout=PATIENCE)
        assert view(app, result.id).crashes == 0
    gate.touch()
    if neighbour is not None:
        assert neighbour.get(timeout=PATIENCE) == "held"
        assert view(app, neighbour.id).crashes == 0
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2


@pytest.mark.parametrize("pool", ["processes", "threads"])
def test_a_body_that_ignores_its_hard_limit_costs_its_process(
    pool: str, start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    worker = start("-P", pool, "-c", "2")
    neighbour = sample.hold.delay(str(gate))
    (_, pid) = moments.next("started")
    result = sample.stubborn.delay()
    with pytest.raises(TimeLimitExceeded):
        result.get(timeout=PATIENCE)
    assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2
    gate.touch()
    assert neighbour.get(timeout=PATIENCE) == "held"
    assert (view(app, neighbour.id).crashes, view(app, neighbour.id).releases) == (0, 0)
    if pool == "threads":
        wait_until_gone([int(pid)])
        until(lambda: len(worker.children()) == 1)


@pytest.mark.parametrize("pool", POOLS)
def test_revoke_with_terminate_reaches_a_running_task(
    pool: str, start: Start, app: Smallage, moments: Moments, gate: Path
) -> None:
    start(*options(pool))
    for task in (sample.hold, sample.ahold):
        result = task.delay(str(gate))
        moments.next("started")
        assert app.store.revoke([result.id], terminate=True) == ["cancelled"]
        with pytest.raises(TaskRevokedError):
            result.get(timeout=PATIENCE)
        # Its place is free again: with the gate still closed, only ended bodies make room for these.
        assert [sample.add.delay(n, 1).get(timeout=PATIENCE) for n in range(3)] == [1, 2, 3]
        assert sample.add.delay(1, 1).get(timeout=PATIENCE) == 2
    gate.touch()


# -- fairness -----------------------------------------------------------------------------------------------------
def test_a_child_with_a_long_task_does_not_hoard(start: Start, moments: Moments, gate: Path) -> None:
    start("-P", "processes", "-c", "2")
    for result in [sample.add.delay(n, n) for n in range(300)]:  # so many that much is claimed ahead
        result.get(timeout=PATIENCE)
    long = sample.hold.delay(str(gate))
    short = [sample.add.delay(n, 1) for n in range(200)]
    moments.next("started")
    assert [r.get(timeout=PATIENCE) for r in short] == list(range(1, 201))
    gate.touch()
    assert long.get(timeout=PATIENCE) == "held"


# -- at the start -------------------------------------------------------------------------------------------------
def test_exit_code_3_when_the_store_cannot_be_reached(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = start("-b", "redis://127.0.0.1:1/0", "-P", "threads")
    assert worker.wait() == 3
    assert "cannot be reached" in worker.talk


def test_stacks_are_dumped_on_usr1(start: Start, moments: Moments, gate: Path) -> None:
    worker = start("-P", "threads", "-c", "1")
    result = sample.hold.delay(str(gate))
    moments.next("started")
    worker.signal(signal.SIGUSR1)
    until(lambda: "wait_at" in worker.peek())
    assert "Stack of the supervisor" in worker.talk
    gate.touch()
    assert result.get(timeout=PATIENCE) == "held"
