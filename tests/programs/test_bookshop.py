"""A package with its app in `celery.py`, settings with a prefix, two queues, a request's id through a workflow."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.programs.conftest import Make, Program

pytestmark = pytest.mark.slow


def manage(it: Program, *words: str) -> Any:
    process = it.python("manage.py", *words)
    assert process.wait() == 0, process.talk
    return json.loads(process.talk.splitlines()[-1])


def test_orders_are_placed_and_billed(program: Make, tmp_path: Path) -> None:
    it = program("bookshop")
    it.environment["SHELVES"] = str(tmp_path / "shelves.db")
    assert manage(it, "stock") == "stocked"
    options = ["-n", "w1@%h", "--pool=prefork", "-c", "2", "-Ofair", "--without-gossip", "--without-mingle", "-E"]
    worker = it.celery("-A", "bookshop", "worker", "-B", "-l", "INFO", "-Q", "orders,mail", *options)
    worker.hears("ready.")
    ping = it.celery("-A", "bookshop", "inspect", "ping", "-d", f"w1@{socket.gethostname()}", "--timeout", "20")

    bill = manage(it, "order", "Ann", "Dune", "Emma")
    assert bill == {
        "lines": ["Dune", "Emma"], "total": 48, "customer": "Ann", "queue": "mail", "rid": "request of Ann",
    }  # fmt: skip
    assert manage(it, "order", "Bob", "Dune", "Ulysses") == {"failed": "ChordError", "state": "FAILURE"}
    found = manage(it, "health")
    assert found["workers"] == [f"w1@{socket.gethostname()}"]
    assert found["served"] == ["mail", "orders"]
    assert found["declared"] == ["orders", "mail"]
    assert found["mail goes to"] == "mail"
    assert found["own tasks"][:2] == ["bookshop.celery.debug_task", "bookshop.mail.tasks.send_bill"]
    assert found["scheduled"] == ["stocktaking"]
    assert found["stock"] == {"Dune": 1, "Emma": 3}
    assert ping.wait() == 0, ping.talk

    assert worker.stop() == 0
    assert "request of Ann | adding up 2 lines" in worker.talk
    assert "request of Ann | bill for Ann" in worker.talk
    assert "request of Bob | order Ulysses failed: not enough of Ulysses" in worker.talk
    assert "not for the log" not in worker.talk
