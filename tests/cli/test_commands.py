"""Commands that read and steer a store: data on stdout, talk on stderr, documented exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smallage.app import Smallage
from smallage.cli.group import cli
from smallage.testing import start_worker


def add(a: int, b: int) -> int:
    return a + b


def fail() -> None:
    raise ValueError("the reason")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Smallage]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/queue.db")
    made = Smallage("commands", set_as_current=False)
    made.task(name="add")(add)
    made.task(name="fail")(fail)
    yield made
    made.close()


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == code, result.output
    return result


def read(*words: str, code: int = 0) -> Any:
    return json.loads(run(*words, code=code).stdout)


def test_call_prints_the_id_and_result_waits_for_the_value(app: Smallage) -> None:
    task_id = run("call", "add", "-a", "[2, 3]").stdout.strip()
    assert read("result", task_id, code=1)["state"] == "PENDING"
    with start_worker(app):
        found = read("result", task_id, "--wait", "30")
    assert found == {"id": task_id, "state": "SUCCESS", "result": 5}


def test_call_twice_with_one_id_is_one_task(app: Smallage) -> None:
    for _ in range(2):
        assert run("call", "add", "-a", "[2, 3]", "--task-id", "mine").stdout.strip() == "mine"
    run("call", "add", "-a", "[2, 4]", "--task-id", "mine", code=1)
    assert len(read("tasks", "list", "-s", "ready")) == 1


@pytest.mark.parametrize("wrong", [["-a", "{}"], ["-a", "[1"], ["-k", "[]"], ["--priority", "10"], ["--eta", "soon"]])
def test_call_refuses_what_it_cannot_read(app: Smallage, wrong: list[str]) -> None:
    run("call", "add", *wrong, code=2)
    assert read("tasks", "list", "-s", "ready") == []


def test_a_failed_task_is_listed_shown_and_retried(app: Smallage) -> None:
    with start_worker(app):
        failed = app.tasks["fail"].delay()
        failed.get(timeout=30, propagate=False)
        run("result", failed.id, code=1)
        assert [task["id"] for task in read("tasks", "list")] == [failed.id]
        shown = read("tasks", "show", failed.id)
        assert (shown["state"], shown["reason"], shown["error"]) == ("dead", "failed", "ValueError: the reason")
        assert 'raise ValueError("the reason")' in shown["traceback"]
    run("tasks", "retry", failed.id)
    assert read("tasks", "show", failed.id)["generation"] == 2
    run("tasks", "retry", "nosuch", code=1)
    run("tasks", "show", "nosuch", code=1)


def test_cancel_tells_a_verdict_for_each(app: Smallage) -> None:
    waiting = app.tasks["add"].delay(1, 1)
    assert run("tasks", "cancel", waiting.id).stdout.split() == [waiting.id, "cancelled"]
    assert run("tasks", "cancel", waiting.id, code=1).stdout.split() == [waiting.id, "ended"]


def test_queues_are_listed_paused_resumed_and_purged(app: Smallage) -> None:
    app.tasks["add"].delay(1, 1)
    listed = {"queue": "celery", "ready": 1, "scheduled": 0, "running": 0, "waiting": 0, "parked": 0, "workers": 0}
    assert read("queues", "list") == [listed]
    run("queues", "pause", "celery")
    with start_worker(app, burst=True) as worker:
        worker.join()
    assert read("queues", "list")[0]["ready"] == 1
    run("queues", "resume", "celery")
    assert run("queues", "purge", "celery", "--force").stdout.strip() == "1"
    assert read("tasks", "list", "-s", "ready") == []


def test_purge_asks_first(app: Smallage) -> None:
    app.tasks["add"].delay(1, 1)
    run("queues", "purge", "celery", code=1)
    assert len(read("tasks", "list", "-s", "ready")) == 1


def test_status_and_workers(app: Smallage) -> None:
    assert read("status", code=1)["workers"] == []
    with start_worker(app, node="w1@here", concurrency=3):
        assert [(w["node"], w["pool"], w["concurrency"]) for w in read("workers", "list")] == [
            ("w1@here", "threads", 3)
        ]
        assert read("status")["workers"][0]["node"] == "w1@here"
    run("workers", "stop", "nobody@here", code=1)


def test_the_doctor_sees_what_waits_for_nobody(app: Smallage) -> None:
    app.tasks["add"].delay(1, 1)
    report = read("doctor")
    assert report["healthy"]
    said = {(check["name"], check["verdict"]): check["text"] for check in report["checks"]}
    assert "WAL-reset bug" in said["sqlite", "ok"]
    assert "'celery' has 1 ready" in said["queue", "warning"]
    assert "none is alive" in said["workers", "warning"]


def test_the_doctor_tells_settings_without_effect_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMALLAGE_URL", raising=False)
    (tmp_path / "doctored.py").write_text(
        "from smallage import Celery\n"
        "app = Celery('shop', broker='sqlite:///q.db', backend='redis://:hunter2@elsewhere/1')\n"
        "app.config_from_object({'worker_state_db': 'x', 'task_rotes': {}, 'mine': 1, 'broker_heartbeat': None})\n"
        "used = app.task(lambda: None, name='used')\n"
        "app.conf.task_annotations = {used.name: {'rate_limit': '1/s'}}\n"
    )
    report = run("-A", "doctored:app", "doctor", "--json")
    assert "hunter2" not in report.output
    told = [(c["verdict"], c["text"]) for c in json.loads(report.stdout)["checks"] if c["name"] == "setting"]
    assert ("warning", "task_annotations says rate_limit of the task 'used'") in [(a, b.split(",")[0]) for a, b in told]
    assert [one for one in told if "annotations" not in one[1]] == [
        ("info", "worker_state_db has no effect: revokes are in the store"),
        ("warning", "There is no setting 'task_rotes'; did you mean 'task_routes'?"),
        ("info", "result_backend names redis://elsewhere/1; results live with the tasks in sqlite:///q.db."),
    ]


def test_the_doctor_s_audit_is_clean(app: Smallage) -> None:
    app.tasks["add"].delay(1, 1)
    checks = read("doctor", "--audit")["checks"]
    assert {"name": "audit", "verdict": "ok", "text": "clean"} in checks


@pytest.mark.parametrize("command", [["doctor"], ["status"], ["call", "add"], ["tasks", "list"], ["result", "x"]])
def test_exit_code_3_and_no_secret_when_the_store_is_away(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLAGE_URL", "redis://user:hunter2@127.0.0.1:1/0")
    result = run(*command, code=3)
    assert "hunter2" not in result.output


def test_python_m_smallage() -> None:
    done = subprocess.run([sys.executable, "-m", "smallage", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("smallage ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nosuch:app"], "There is no module 'nosuch'"),
        (["json:app"], "Module 'json' has no 'app'"),
        (["json"], "There is no app in module 'json'"),
        (["nosuch.py"], "There is no file nosuch.py"),
        ([], "neither a tasks.py nor an app.py"),
        (["-P", "eventlet"], "-P gevent"),
        (["json", "-P", "nosuch"], "is not a pool"),
    ],
)
def test_a_worker_without_an_app_says_how_to_name_it(words: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "smallage", "worker", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_store_named_on_the_command_line_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/env.db")
    code = f"""
from smallage import Smallage
app = Smallage(broker="sqlite:///{tmp_path}/code.db")
@app.task(name="one")
def one(): return 1
"""
    (tmp_path / "coded.py").write_text(code)
    named = f"sqlite:///{tmp_path}/named.db"
    command = [sys.executable, "-m", "smallage"]
    done = subprocess.run([*command, "-A", "coded", "-b", named, "call", "one"], capture_output=True, text=True)
    task_id = done.stdout.strip()
    ran = subprocess.run([*command, "worker", "coded", "-b", named, "--burst"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "named.db" in ran.stderr
    found = subprocess.run([*command, "-b", named, "result", task_id], capture_output=True, text=True)
    assert json.loads(found.stdout)["result"] == 1
    assert not list(tmp_path.glob("env.db*"))
    assert not list(tmp_path.glob("code.db*"))
