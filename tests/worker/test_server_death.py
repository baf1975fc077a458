"""The Redis server dies under a worker and comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smallage.core.errors import TaskRevokedError
from tests.worker import sample
from tests.worker.conftest import PATIENCE, Moments, Worker

pytestmark = [pytest.mark.redis, pytest.mark.slow]


def test_a_worker_goes_on_after_the_death_of_its_server(
    start: Callable[..., Worker],
    start_redis: Callable[..., Any],
    moments: Moments,
    gate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = start_redis(appendonly="yes", appendfsync="always")
    monkeypatch.setenv("SMALLAGE_URL", server.url)
    sample.app.close()
    worker = start("-P", "threads", "-c", "2")
    held = sample.hold.delay(str(gate))
    moments.next("started")

    for _ in range(2):
        server.kill()
        server.start()
        assert sample.add.delay(2, 3).get(timeout=PATIENCE) == 5

    held.revoke(terminate=True)  # the supervisor hears orders again, and the run from before is still its own
    with pytest.raises(TaskRevokedError):
        held.get(timeout=PATIENCE)
    assert worker.process.poll() is None
