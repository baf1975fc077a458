"""A charge whose process is killed between the payment and its end: it runs again, and nobody pays twice."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.programs.api import Api
from tests.programs.conftest import PATIENCE, Make

pytestmark = pytest.mark.slow


def test_a_charge_that_is_killed_runs_again_and_is_made_once(program: Make, api: Api, tmp_path: Path) -> None:
    it = program("charges")
    ledger = tmp_path / "ledger"
    it.environment |= {"LEDGER": str(ledger), "RECEIPTS": api.url}
    task = it.call("charges", "charges.charge", '["order-7", 1999]')
    worker = it.celery("-A", "charges", "worker", "--concurrency=1", "--loglevel=INFO")

    api.wait_for(1)  # paid, and the receipt is on its way
    (child,) = worker.children()
    os.kill(child, signal.SIGKILL)
    api.wait_for(2)
    api.let_go()

    results = it.client()
    assert results.AsyncResult(task).get(timeout=PATIENCE) == {"outcome": "charged before", "again": True}
    with closing(sqlite3.connect(ledger)) as book:
        assert book.execute("SELECT * FROM charges").fetchall() == [("order-7", 1999, task)]
    view = results.store.state([task])[0]
    assert view is not None
    assert (view.state, view.crashes) == ("done", 1)
    assert api.paths == ["/order-7", "/order-7"]
    assert worker.stop() == 0
    assert results.store.audit() == []
