"""`smallage schedules` and the refusals of `smallage beat`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smallage.app import Smallage
from smallage.worker.beat import Beat
from tests.cli.test_commands import read, run


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Smallage]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/queue.db")
    made = Smallage("commands", set_as_current=False)
    made.conf.beat_schedule = {"nightly": {"task": "clean", "schedule": 3600, "args": (1,)}}
    yield made
    made.close()


def test_set_list_pause_resume_run_remove(app: Smallage) -> None:
    assert read("schedules") == []
    Beat(app).step()
    made = read("schedules", "set", "new", "--cron", "0 3 * * mon", "--zone", "Europe/Berlin", "--task", "work",
                "--args", "[1]", "--kwargs", '{"a": 2}', "--queue", "q", "--catch-up", "all")  # fmt: skip
    assert (made["schedule"], made["zone"], made["source"], made["catch_up"]) == (
        "0 3 * * mon",
        "Europe/Berlin",
        "operator",
        "all",
    )
    assert made["next"].endswith(("T03:00:00+01:00", "T03:00:00+02:00"))
    assert [(one["name"], one["source"]) for one in read("schedules", "list")] == [
        ("new", "operator"),
        ("nightly", "app"),
    ]
    run("schedules", "pause", "new")
    assert [one["paused"] for one in read("schedules")] == [True, False]
    run("schedules", "resume", "new")
    assert [one["paused"] for one in read("schedules")] == [False, False]
    task_id = run("schedules", "run", "new").stdout.strip()
    view = app.store.state([task_id])[0]
    assert view is not None
    assert (view.name, view.queue) == ("work", "q")
    assert read("schedules", "set", "nightly", "--every", "60")["schedule"] == "every 60 s"
    run("schedules", "remove", "new")
    assert [one["name"] for one in read("schedules")] == ["nightly"]


def test_what_is_wrong_is_said(app: Smallage) -> None:
    for verb in ("pause", "resume", "run", "remove"):
        assert "no schedule 'x'" in run("schedules", verb, "x", code=1).stderr
    assert "needs a schedule and a task" in run("schedules", "set", "x", "--every", "5", code=2).stderr
    assert "not both" in run("schedules", "set", "x", "--every", "5", "--cron", "* * * * *", code=2).stderr
    assert "no JSON" in run("schedules", "set", "x", "--args", "[", code=2).stderr
    assert "write a list" in run("schedules", "set", "x", "--args", "{}", code=2).stderr
    assert "Sunday is 0" in run("schedules", "set", "x", "--task", "t", "--cron", "0 0 * * 7", code=2).stderr
    assert "empty part" in run("schedules", "set", "x", "--task", "t", "--cron", "1,, * * * *", code=2).stderr
    assert (
        "time zone"
        in run("schedules", "set", "x", "--task", "t", "--cron", "* * * * *", "--zone", "Moon", code=2).stderr
    )


def test_beat_refuses_what_it_does_not_do(app: Smallage) -> None:
    assert "app.schedules" in run("beat", "-S", "django_celery_beat.schedulers:DatabaseScheduler", code=2).stderr
    assert "one process" in run("-b", "memory://", "beat", code=2).stderr
