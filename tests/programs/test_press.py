"""The Flask application with `make_celery`, a `ContextTask` and commands of its own."""

from __future__ import annotations

import pytest

from tests.programs.conftest import PATIENCE, Make, Program

pytestmark = pytest.mark.slow


def press(it: Program, *words: str) -> str:
    process = it.python("press.py", *words)
    assert process.wait() == 0, process.talk
    return process.talk.splitlines()[-1] if process.talk else ""


def test_jobs_are_printed_and_cancelled(program: Make) -> None:
    it = program("press")
    worker = it.python("press.py", "work")
    printed, jammed = press(it, "print", "3"), press(it, "break-down")
    results = it.client()
    assert results.AsyncResult(printed).get(timeout=PATIENCE) == "3 pages of A4"
    worker.hears("jammed at page 7")
    it.until(lambda: results.AsyncResult(jammed).state == "JAMMED")
    assert press(it, "look", jammed) == "JAMMED 7"
    press(it, "cancel", jammed)
    results.AsyncResult(jammed).get(timeout=PATIENCE, propagate=False)
    assert press(it, "look", jammed).startswith("REVOKED")
    again = press(it, "print", "1")
    assert results.AsyncResult(again).get(timeout=PATIENCE) == "1 pages of A4"
    assert press(it, "look", printed) == "SUCCESS 3 pages of A4"
    assert worker.stop() == 0
