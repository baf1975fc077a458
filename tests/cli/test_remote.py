"""`smallage inspect`, `control`, `purge`, `report` and `shell`: the house's exit codes and JSON."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smallage.app import Smallage
from smallage.cli.background import LockFailed, Pidfile, as_service, parse_gid, parse_uid
from smallage.cli.group import cli
from smallage.cli.worker_options import autoscale, queue_list
from smallage.core.errors import ImproperlyConfigured
from smallage.testing import start_worker
from smallage.worker.options import WorkerOptions, file_name
from smallage.worker.plan import plan_for

PATIENT = ("-t", "30")
"""A worker on a busy machine may take more than the second that is usual."""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Smallage]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/queue.db")
    made = Smallage("remote", set_as_current=False)
    made.task(name="add")(lambda: None)
    yield made
    made.close()


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == code, result.output
    return result


def test_workers_are_asked_and_ordered(app: Smallage) -> None:
    with start_worker(app, node="w1@here"):
        assert json.loads(run("inspect", *PATIENT, "ping").stdout) == {"w1@here": {"ok": "pong"}}
        assert json.loads(run("inspect", *PATIENT, "query_task", "nosuch").stdout) == {"w1@here": {}}
        told = json.loads(run("control", *PATIENT, "rate_limit", "add", "10/m").stdout)
        assert told == {"w1@here": {"ok": "new rate limit set successfully"}}
        run("inspect", *PATIENT, "conf", "true")
        run("control", "time_limit", "add", "soon", code=2)
    run("inspect", "ping", code=1)


def test_arguments_are_shown_to_those_who_ask(app: Smallage) -> None:
    begun, gate = threading.Event(), threading.Event()

    @app.task(name="hold")
    def hold(*args: str, **kwargs: str) -> None:
        begun.set()
        gate.wait(30)

    with start_worker(app, node="w1@here"):
        runs, waits = hold.delay("hush", more="hush"), hold.apply_async(("hush",), countdown=600)
        assert begun.wait(30)
        for words in (("active",), ("query_task", runs.id), ("scheduled",)):
            quiet = run("inspect", *PATIENT, *words).stdout
            assert "hush" not in quiet
            assert quiet.count('"args": "********", "kwargs": "********"') == 1
            assert (waits.id if words == ("scheduled",) else runs.id) in quiet
            assert '"args": ["hush"], "kwargs": {' in run("inspect", *PATIENT, "--arguments", *words).stdout
            assert '"args": ["hush"], "kwargs": {' in run("inspect", *PATIENT, "-j", "--arguments", *words).stdout
        gate.set()


def test_purge_and_report(app: Smallage) -> None:
    app.tasks["add"].delay()
    assert run("purge", "--force").stdout == "Purged 1 message from 1 known task queue.\n"
    assert run("report").stdout.startswith("software -> smallage:")


@pytest.fixture
def handler() -> Iterator[None]:
    """What SIGTERM does is as before."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_pid_file_keeps_others_away(tmp_path: Path, handler: None) -> None:
    path = tmp_path / "x.pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(LockFailed, match="names a process that runs"), as_service(pidfile=str(path)):
        pass
    path.write_text("999999999\n")  # of one that has died
    with as_service("w1@here", pidfile=str(tmp_path / "%n.pid")):
        assert Pidfile(tmp_path / "w1.pid").read_pid() == os.getpid()
    assert not (tmp_path / "w1.pid").exists()
    with pytest.raises(LockFailed, match="cannot be written"):
        Pidfile(tmp_path / "none" / "x.pid").acquire()


def test_users_and_groups_by_name() -> None:
    assert (parse_uid("root"), parse_uid("7"), parse_gid(5)) == (0, 7, 5)
    with pytest.raises(ImproperlyConfigured, match="no such user"), as_service(uid="nobody-of-this-name"):
        pass


def test_queues_of_a_worker(app: Smallage) -> None:
    app.conf.task_queues = ["a", "b", "c"]
    assert plan_for(app, WorkerOptions(exclude=("b",)), "solo").queues == ("a", "c")
    with pytest.raises(ImproperlyConfigured, match="-X leaves no queue"):
        plan_for(app, WorkerOptions(queues=("a",), exclude=("a",)), "solo")


def test_options_are_read() -> None:
    assert (autoscale("10,3"), autoscale("4"), autoscale("2,9")) == ((10, 3), (4, 1), (9, 2))
    assert queue_list("a, b") == ("a", "b")
    for wrong in ("", "a\nb"):
        with pytest.raises(ValueError):
            queue_list(wrong)
    assert file_name("/x/%n-%h%I.log", "w1@host") == "/x/w1-host.log"
