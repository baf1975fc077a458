"""The Flask application with `/start_task` and `/task_status/<id>`."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

import pytest

from tests.programs.conftest import PATIENCE, Make

pytestmark = pytest.mark.slow


def ask(url: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.status, json.load(answer)


def test_it_starts_tasks_and_tells_how_they_ended(program: Make) -> None:
    it = program("flask_status")
    web = it.python("-m", "flask", "--app", "app", "run", "--port", "0")
    found = re.search(r"http://[\d.:]+", web.hears("Running on"))
    assert found is not None
    site = found[0]

    status, started = ask(f"{site}/start_task", {"a": 6, "b": 4})
    good = started["task_id"]
    assert status == 202
    assert ask(f"{site}/task_status/{good}") == (200, {"state": "PENDING"})
    bad = ask(f"{site}/start_task", {"a": 1, "b": 0})[1]["task_id"]

    worker = it.celery("-A", "app.celery", "worker", "--loglevel=INFO")
    worker.hears(f"Task app.divide[{good}] succeeded")
    worker.hears(f"Task app.divide[{bad}] raised")
    results = it.client()
    results.AsyncResult(good).get(timeout=PATIENCE)
    results.AsyncResult(bad).get(timeout=PATIENCE, propagate=False)

    assert ask(f"{site}/task_status/{good}") == (200, {"state": "SUCCESS", "result": 1.5})
    failed = {"state": "FAILURE", "error": "division by zero", "kind": "ZeroDivisionError"}
    assert ask(f"{site}/task_status/{bad}") == (200, failed)
    assert ask(f"{site}/task_status/nobody") == (200, {"state": "PENDING"})
    assert worker.stop() == 0
