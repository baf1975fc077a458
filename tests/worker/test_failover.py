"""The master is killed or deposed under a worker, whose settings are those of a Celery program with sentinels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from smallage.cli.group import cli
from tests.sentinel_servers import NAME, Watched
from tests.worker import sample
from tests.worker.conftest import PATIENCE, Moments, Worker, until

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(150)]  # a starved sentinel rests for 30 s

POLICY = {"max_retries": 200, "interval_max": 0.1}
"""As a program needs it that is to live through a failover."""


def where_it_works() -> tuple[str, int] | None:
    """What the worker says of its store; None as long as its child has not answered in time."""
    (stats,) = (sample.app.control.inspect(timeout=PATIENCE, limit=1).stats() or {"": {}}).values()
    return (stats["broker"]["transport"], stats["broker"]["port"]) if "broker" in stats else None


@pytest.mark.parametrize("how", ["killed", "failed over"])
def test_replicated_tasks_end_once_each(
    start: Callable[..., Worker],
    start_watched: Callable[..., Watched],
    moments: Moments,
    gate: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    watched = start_watched()
    monkeypatch.setenv("SMALLAGE_URL", f"{watched.celery_url}?master_name={NAME}")
    sample.app.close()
    worker = start("-P", "threads", "-c", "2")
    held = [sample.hold.delay(str(gate)) for _ in range(6)]
    started = [moments.next("started")[0] for _ in range(2)]
    watched.replicate()

    former = watched.master()
    if how == "killed":
        former.kill()
        watched.await_another(former)
    else:
        watched.fail_over()

    assert sample.add.apply_async((2, 3), priority=0, retry=True, retry_policy=POLICY).id
    gate.touch()
    started += [moments.next("started")[0] for _ in range(4)]
    assert [one.get(timeout=PATIENCE) for one in held] == ["held"] * 6
    assert sorted(started) == sorted(one.id for one in held)
    assert sample.add.delay(2, 3).get(timeout=PATIENCE) == 5
    totals = sample.app.store.counts()
    assert totals[""]["done"] == 8
    assert not totals[""]["stale"]
    assert sample.app.store.audit() == []
    until(lambda: where_it_works() == ("sentinel", watched.sentinels[0].port))
    report = CliRunner().invoke(cli, ["-A", "tests.worker.sample", "doctor", "--audit", "--json"])
    checks = [(one["name"], one["verdict"]) for one in json.loads(report.stdout)["checks"]]
    assert {("failover", "info"), ("audit", "ok")} <= set(checks)
    assert worker.process.poll() is None
