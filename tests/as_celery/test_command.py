"""The command `celery`: its words, its exit codes, and a worker as a service."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smallage.app import Smallage
from smallage.as_celery.bin.celery import celery
from smallage.testing import start_worker
from smallage.worker.discover import find_app

PROJECT = """
from celery import Celery
app = Celery("project", broker="sqlite:///{folder}/queue.db")
app.conf.worker_redirect_stdouts = False

@app.task
def add(x, y):
    return x + y

@app.task(bind=True, max_retries=1)
def fails(self):
    try:
        raise ValueError("the reason")
    except ValueError as error:
        raise self.retry(exc=error, countdown=0)
"""
EXTRA = """
from project import app

@app.task(name="extra")
def extra():
    return "more"
"""


PATIENT = ("-t", "30")
"""A worker on a busy machine may take more than the second that is usual."""


def add(x: int, y: int) -> int:
    return x + y


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Smallage]:
    for name in ("APP", "BROKER_URL", "RESULT_BACKEND", "CONFIG_MODULE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CELERY_CONFIG_MODULE", "CELERY_RESULT_BACKEND", "CELERY_SKIP_CHECKS"):
        monkeypatch.setenv(name, "")  # commands set them; monkeypatch takes them away again
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    made = Smallage("command", broker=f"sqlite:///{tmp_path}/queue.db", set_as_current=False)
    made.task(name="add")(add)
    monkeypatch.setenv("BROKER_URL", made.url)
    yield made
    made.close()


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(celery, list(words), prog_name="celery")
    assert result.exit_code == code, result.output
    return result


def test_version_and_help(app: Smallage) -> None:
    assert run("--version").stdout.startswith("5.7.0 (smallage ")
    assert "inspect" in run().stdout


@pytest.mark.parametrize("name", ["multi", "amqp", "upgrade", "graph", "migrate", "logtool", "events", "flower"])
def test_what_is_refused_says_what_to_use(app: Smallage, name: str) -> None:
    told = run(name, "start", "w1", "-c", "3", code=2).stderr
    assert f"`celery {name}` is not offered by Smallage: " in told


def test_call_result_and_purge(app: Smallage) -> None:
    sent = run("call", "add", "-a", "[1, 2]", "--expires", "60", "--routing-key", "celery", "--serializer", "json")
    with start_worker(app, burst=True) as worker:
        worker.join()
    assert run("result", sent.stdout.strip()).stdout == "3\n"
    run("call", "add", "-a", "[1, 2]", "--countdown", "60")
    assert run("purge", "-f", "-X", "celery").stdout == ""
    assert run("purge", "-f").stdout == "Purged 1 message from 1 known task queue.\n"
    assert run("purge", "-f", "-Q", "celery,b").stdout == "No messages purged from 2 queues.\n"


def test_the_workers_answer_as_celery_s_do(app: Smallage) -> None:
    with start_worker(app, node="w1@here"):
        assert run("status", *PATIENT).stdout == "->  w1@here: OK\n\n1 node online.\n"
        assert run("-q", "status", *PATIENT).stdout == " w1@here: OK\n"
        assert json.loads(run("inspect", *PATIENT, "-j", "ping").stdout) == {"w1@here": {"ok": "pong"}}
        assert "->  w1@here: OK\n    * add\n" in run("inspect", *PATIENT, "registered").stdout
        assert run("control", *PATIENT, "rate_limit", "add", "10/m").stdout.startswith("->  w1@here: OK\n")
        assert "Command 'rate_limit' takes arguments: <task_name>" in run("control", "rate_limit", "add", code=2).stderr
        assert "Available inspect commands: active, active_queues" in run("inspect", "nonsense", code=2).stderr
    assert "No nodes replied within time constraint" in run("status", code=69).stderr
    run("inspect", "-d", "w2@here", "ping", code=69)
    run("control", "-t", "0.1", "pool_grow", code=69)


def test_a_store_that_is_away_exits_with_69(app: Smallage) -> None:
    run("-b", "redis://127.0.0.1:1/0?socket_connect_timeout=0.1", "status", code=69)


def test_list_names_commands_and_queues(app: Smallage) -> None:
    assert "rate_limit <task_name> <rate_limit>" in run("control", "--list").stdout
    assert run("list", "bindings").stdout.splitlines()[2].split() == ["celery", "celery"]


def test_the_shell_has_app_and_tasks(app: Smallage) -> None:
    words = ["-b", app.url, "shell", "--python"]
    told = CliRunner().invoke(celery, words, input="print(app.url, group, chain)\n", prog_name="celery")
    assert app.url in told.output


@pytest.mark.parametrize("where", ["inside:app", "inside", "inside.app", "folder", "folder.celery:made", "flat.celery"])
def test_apps_are_found_as_celery_finds_them(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make = "from smallage import Smallage\n{} = Smallage('found', set_as_current=False)\n"
    (tmp_path / "inside.py").write_text(make.format("app"))
    (tmp_path / "flat.py").write_text(make.format("celery"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__init__.py").write_text("")
    (tmp_path / "folder" / "celery.py").write_text(make.format("made"))
    before = set(sys.modules)
    try:
        assert find_app(where).main == "found"
    finally:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in ("inside", "flat", "folder"):
                del sys.modules[name]
        sys.path.remove(str(tmp_path))


def test_settings_alone_are_an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APP", "SMALLAGE_APP", "CELERY_CONFIG_MODULE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "celeryconfig.py").write_text("task_default_queue = 'mine'")
    code = "from smallage.worker.discover import find_app; print(find_app().conf.task_default_queue)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "mine\n", done.stderr


class Shop:
    """A folder with a project, and the command run in it by processes of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o700)
        (folder / "project.py").write_text(PROJECT.format(folder=folder))
        (folder / "extra.py").write_text(EXTRA)
        root = Path(__file__).parents[2]
        paths = [root / "packages" / "smallage-as-celery" / "src", root / "src"]
        kept = {name: value for name, value in os.environ.items() if name not in ("APP", "BROKER_URL")}
        self.environment = {**kept, "PYTHONPATH": os.pathsep.join(map(str, paths))}

    def run(self, *words: str) -> str:
        command = [sys.executable, "-m", "celery", "-A", "project", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip() or done.stderr.strip()

    def wait_for(self, text: str, name: str) -> str:
        """What is in a file, once `text` is."""
        path, end = self.folder / name, time.monotonic() + 30
        while time.monotonic() < end:
            found = path.read_text() if path.exists() else ""
            if text in found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{text!r} does not come: {found}")


@pytest.mark.slow
def test_a_worker_in_the_background(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.run("call", "project.add", "-a", "[0, 0]")
    options = ["-D", "-c", "1", "-l", "INFO", "-n", "w7@here", "-I", "extra", "--purge"]
    shop.run("worker", *options, "-f", "%n.log", "--pidfile", "%n.pid")
    try:
        shop.wait_for("w7@here ready.", "w7.log")
        assert shop.run("status", *PATIENT) == "->  w7@here: OK\n\n1 node online."
        assert shop.run("result", shop.run("call", "project.add", "-a", "[2, 3]")) == "5"
        assert shop.run("result", shop.run("call", "extra")) == "more"
        assert shop.run("result", shop.run("call", "project.fails")) == "ValueError: the reason"
        assert "names a process that runs" in shop.run("worker", "--pidfile", "w7.pid")
    finally:
        pid = int((tmp_path / "w7.pid").read_text())
        process = os.pidfd_open(pid)
        os.kill(pid, signal.SIGTERM)
        ended = select.select([process], [], [], 30)[0]
        os.close(process)
    assert ended
    assert not (tmp_path / "w7.pid").exists()
    log = (tmp_path / "w7.log").read_text()
    assert "raised unexpected: ValueError('the reason')" in log
    assert "Purged 1 task(s) that waited in celery" in log
    assert "Task project.add[" in log
    assert "s: 5\n" in log
    assert "] received\n" in log
    assert "retry: Retry in 0s: ValueError('the reason')\n" in log
