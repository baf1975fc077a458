"""`@shared_task`: functions of libraries become tasks of whichever app there is."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from smallage import Smallage, current_app, current_task, shared_task


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    monkeypatch.setattr("smallage.app.current._shared", [])
    monkeypatch.setattr("smallage.app.current._current", None)


def test_it_belongs_to_apps_made_before_and_after():
    before = Smallage("before", broker="memory://")

    @shared_task
    def work(n: int) -> int:
        """Works."""
        return n + 1

    @shared_task(name="lib.bound", bind=True, max_retries=7)
    def bound(self, n):
        return [self.request.called_directly, n]

    after = Smallage("after", broker="memory://")
    for app in (before, after):
        assert f"{__name__}.work" in app.tasks
        assert app.tasks["lib.bound"].max_retries == 7
    assert current_app() is after
    assert work.app is after
    assert work(1) == 2
    assert work.apply((1,)).get() == 2
    assert work.__doc__ == "Works."
    assert bound(3) == [True, 3]
    assert "lib.bound" in repr(bound)
    work.queue = "own"
    assert after.tasks[work.name].queue == "own"
    before.set_current()
    assert work.app is before
    assert work.queue is None


def test_the_current_task():
    app = Smallage("x", broker="memory://")

    @app.task
    def work():
        task = current_task()
        return None if task is None else task.name

    assert current_task() is None
    assert work.apply().get() == work.name


def test_a_mock_puts_things_back():
    app = Smallage("mocks", broker="memory://")
    task: Any = shared_task(name="mocked", max_retries=2)(lambda: 1)
    with mock.patch.object(task, "delay", return_value="mocked") as delay, mock.patch.object(task, "max_retries", 9):
        assert (task.delay(), task.max_retries) == ("mocked", 9)
    delay.assert_called_once_with()
    assert (task.delay().state, task.max_retries) == ("PENDING", 2)
    app.close()
