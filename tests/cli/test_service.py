"""Workers and schedulers as services: in the background, with files of their own, as another user."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallage.app import Smallage
from tests.worker.conftest import PATIENCE, until, wait_until_gone

SHOP = """
import os
from smallage import Smallage
app = Smallage("shop", task_default_queue="q")
app.conf.beat_schedule = {"often": {"task": "who", "schedule": 0.2}}

@app.task(name="who")
def who():
    mask = os.umask(0)
    os.umask(mask)
    return [os.getuid(), os.getgid(), os.getgroups(), mask, os.getcwd(), os.getsid(0)]
"""


class Services:
    """A folder with an app, and what was started there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = sys.executable
        ours = [path for path in sys.path if path and not path.startswith(sys.base_prefix)]
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(ours)}
        (folder / "shop.py").write_text(SHOP)
        self.speak_to(f"sqlite:///{folder}/queue.db")
        self.pids: list[int] = []

    def speak_to(self, url: str) -> None:
        self.environment["SMALLAGE_URL"] = url
        self.app = Smallage("client", broker=url, task_default_queue="q", set_as_current=False)

    def start(self, *words: str) -> None:
        """Run a command that goes into the background."""
        process = self.begin(*words)
        out, talk = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out) == (0, b""), talk

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command."""
        return subprocess.Popen(
            [self.python, "-m", "smallage", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def give_to(self, user: pwd.struct_passwd) -> None:
        """Let another user work here, by a Python that he can read."""
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)
        for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
            with contextlib.suppress(OSError):
                loads = [python, "-c", "import smallage.cli, apsw, msgspec, http.client"]
                if subprocess.run(loads, user=user.pw_uid, env=self.environment, capture_output=True).returncode == 0:
                    self.python = python
                    return
        pytest.skip(f"{user.pw_name} can read no Python of this version")

    def pid(self, name: str) -> int:
        path = self.folder / name
        until(lambda: path.exists() and path.read_text().endswith("\n"))
        self.pids.append(int(path.read_text()))
        return self.pids[-1]

    def end(self) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_until_gone(self.pids)
        self.pids.clear()  # the numbers may be others' soon
        self.app.close()


@pytest.fixture
def services() -> Iterator[Services]:
    folder = Path(tempfile.mkdtemp(prefix="smallage-service-")).resolve()
    made = Services(folder)
    try:
        yield made
        made.end()
    finally:
        shutil.rmtree(folder)


def test_a_worker_in_the_background(services: Services) -> None:
    files = ["-f", "%n%I.log", "--pidfile", "%n@%h.%i.pid"]
    services.start("worker", "shop", "-D", "-n", "w7@here", "-c", "2", "-l", "info", "--umask", "027", *files)
    pid = services.pid("w7@here.0.pid")
    found = services.app.send_task("who").get(timeout=PATIENCE)
    assert found[:2] == [os.getuid(), os.getgid()]
    assert found[3:5] == [0o027, str(services.folder)]
    assert found[5] not in (os.getsid(0), pid)  # a session of its own, which it does not lead
    until(lambda: "w7@here ready." in (services.folder / "w7.log").read_text())  # one child may be slower
    services.end()
    assert not (services.folder / "w7@here.0.pid").exists()
    logs = {name: (services.folder / name).read_text() for name in ("w7.log", "w7-1.log", "w7-2.log")}
    assert "received" not in logs["w7.log"]
    assert "Task who[" in logs["w7-1.log"] + logs["w7-2.log"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may go on as another user")
@pytest.mark.parametrize("words", [["-D"], []])
def test_a_worker_as_another_user(services: Services, words: list[str], redis_url: str) -> None:
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name
    services.give_to(nobody)
    services.speak_to(redis_url)  # SQLite keeps tasks for the owner of its folder alone
    line = ["worker", "shop", "-c", "1", "--uid", "nobody", "--gid", group, "--pidfile", "w.pid", "-f", "w.log"]
    if words:
        services.start(*line, *words)
    else:
        process = services.begin(*line)
    services.pid("w.pid")
    found = services.app.send_task("who").get(timeout=PATIENCE)
    assert found[:3] == [nobody.pw_uid, nobody.pw_gid, os.getgrouplist("nobody", nobody.pw_gid)]
    assert (services.folder / "w.pid").stat().st_uid == nobody.pw_uid
    if not words:
        process.terminate()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


def test_a_scheduler_in_the_background(services: Services) -> None:
    services.start("beat", "shop", "--detach", "--pidfile", "%n.pid", "-f", "%n.log", "-n", "b1@here")
    services.pid("b1.pid")
    until(lambda: services.app.store.find("ready", 1) != [])
    services.end()
    assert "Sending due task often (who)" in (services.folder / "b1.log").read_text()
    assert not (services.folder / "b1.pid").exists()
