"""Programs written for Celery, in processes of their own, started by the command `celery` of smallage-as-celery."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from smallage import Smallage
from smallage.stores import base
from tests.programs.api import Api
from tests.programs.clock import FileClock

collect_ignore = ["newsroom"]
"""Its tests are run by a program of ours, in a process of their own."""
HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "packages" / "smallage-as-celery" / "src"
PATIENCE = 40.0
"""Seconds until a moment that does not come fails the test; it says nothing about how soon it should come."""
START_US = 1_800_000_000_000_000
"""Where a test's clock stands at first."""
COMMAND = """\
import sys
{clock}
from celery.__main__ import main
sys.exit(main())
"""
"""What an installer makes of the entry point; with a clock of the test's, if it wants one."""


class Process:
    """A running program and what it has said."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # its children can be ended with it
        )
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)

    def hears(self, words: str) -> str:
        """The next line with these words in it."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"it did not say {words!r}:\n{self.talk}") from None
            assert line is not None, f"it ended without saying {words!r}:\n{self.talk}"
            self.said.append(line)
            if words in line:
                return line

    @property
    def talk(self) -> str:
        """All that it has said so far."""
        while not self._lines.empty():
            line = self._lines.get()
            if line is None:
                self._lines.put(None)
                break
            self.said.append(line)
        return "".join(self.said)

    def children(self) -> list[int]:
        """Process ids of its children."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def wait(self) -> int:
        """The exit code, once it has ended and all that it said is in `talk`."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def stop(self) -> int:
        """Ask it to end, as an init system does; the exit code."""
        self.process.terminate()
        return self.wait()

    def end(self) -> None:
        """End it and its children, however they stand."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self._reader.join()


class Program:
    """One of the programs: its folder, its store, its processes."""

    def __init__(self, name: str, url: str, scratch: Path) -> None:
        self.folder = HERE / name
        self.url = url
        self.clock: FileClock | None = None
        self._scratch = scratch
        self._started: list[Process] = []
        self._apps: list[Smallage] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if "CELERY" not in name and "SMALLAGE" not in name},
            "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(HERE.parents[1])]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "QUEUE_URL": url,
        }

    def own_clock(self, start_us: int = START_US) -> FileClock:
        """Let all processes started from now on go by a clock of the test's."""
        self.clock = FileClock(self._scratch / "clock")
        self.clock.set(start_us)
        return self.clock

    def celery(self, *arguments: str) -> Process:
        """`celery …`, in the program's folder."""
        script = self._scratch / "celery"
        clock = ""
        if self.clock is not None:
            clock = f"from tests.programs.clock import go_by\ngo_by({str(self.clock.path)!r})"
        script.write_text(COMMAND.format(clock=clock))
        return self.python(str(script), *arguments)

    def python(self, *arguments: str) -> Process:
        """`python …`, in the program's folder."""
        process = Process([sys.executable, *arguments], self.folder, self.environment)
        self._started.append(process)
        return process

    def call(self, app: str, task: str, args: str) -> str:
        """The id of a task pushed by `celery call`."""
        process = self.celery("-A", app, "call", task, f"--args={args}")
        assert process.wait() == 0, process.talk
        return process.talk.splitlines()[-1]  # warnings come before it

    def client(self) -> Smallage:
        """An app without tasks on the same store."""
        app = Smallage(broker=self.url, set_as_current=False)
        if self.clock is not None:
            store = base.open(self.url, clock=self.clock)
            store.setup()
            app.use_store(store)
        self._apps.append(app)
        return app

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for what no moment tells of; generous, and never asserted on."""
        end = time.monotonic() + PATIENCE
        while not condition():
            talk = "".join(process.talk for process in self._started)
            assert time.monotonic() < end, f"it did not come to pass\n{talk}"
            time.sleep(0.02)

    def close(self) -> None:
        for app in self._apps:
            app.close()
        for process in self._started:
            process.end()


class Make(Protocol):
    def __call__(self, name: str) -> Program: ...


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """`program("playlist")`: the program in that folder, once on SQLite and once on Redis."""
    url = f"sqlite:///{tmp_path}/queue.db" if request.param == "sqlite" else request.getfixturevalue("redis_url")
    made: list[Program] = []

    def make(name: str) -> Program:
        made.append(Program(name, url, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def api() -> Iterator[Api]:
    """Somebody else's web service."""
    with Api() as made:
        yield made
