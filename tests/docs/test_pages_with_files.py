"""Pages that show files and the commands to run on them: the files are written down, the commands run."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks

PATIENCE = 40.0
SERVES = {"worker": "queues", "run": "Running on"}
"""Command that goes on until it is stopped → what it says once it works."""


def commands(page: str) -> list[str]:
    """The lines of shell on a page that run something of ours."""
    lines = [
        line for block in blocks(ROOT / "docs" / page) if block.language == "sh" for line in block.code.splitlines()
    ]
    return [line for line in lines if not line.startswith("pip ")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SMALLAGE_URL", "CELERY_BROKER_URL", "FLASK_APP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLASK_RUN_PORT", "0")
    return tmp_path


def write_files(page: str, folder: Path) -> None:
    for block in blocks(ROOT / "docs" / page):
        if block.kind == "file":
            (folder / block.detail).write_text(block.code)


def run(line: str, folder: Path) -> str:
    """Run a command of the page; one that serves is stopped once it works. What it said."""
    program, *words = shlex.split(line)
    serves = next((said for word, said in SERVES.items() if word in words), None)
    command = [sys.executable, "-m", program, *words]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    guard = threading.Timer(PATIENCE, process.kill)
    guard.start()
    assert process.stdout is not None
    with process.stdout as stream:
        for text in stream:
            said += text
            if serves and serves in text:
                process.send_signal(signal.SIGTERM)
    code = process.wait()
    guard.cancel()
    expected = {"run": -signal.SIGTERM, "status": 1}  # it says in this way that no worker is there
    assert code == next((end for word, end in expected.items() if word in words), 0), f"{line}\n{said}"
    return said


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for page in ("flask.md", "testing.md") for line in commands(page)])
def test_the_commands_run(line: str, folder: Path) -> None:
    for page in ("flask.md", "testing.md"):
        write_files(page, folder)
    said = run(line, folder)
    if line.startswith("pytest"):
        assert re.search(r"\b3 passed", said)


@pytest.mark.slow
def test_the_shop_greets(folder: Path) -> None:
    write_files("flask.md", folder)
    code = """
from shop import create_app, smallage
client = create_app().test_client()
task_id = client.post("/greetings/Ann").get_json()["id"]
print(client.get(f"/greetings/{task_id}").get_json()["state"])
smallage.close()
from smallage.testing import start_worker
with start_worker(smallage):
    smallage.AsyncResult(task_id).get(timeout=40)
print(client.get(f"/greetings/{task_id}").get_json())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["PENDING", "{'result': 'Hello, Ann', 'state': 'SUCCESS'}"], done.stderr
