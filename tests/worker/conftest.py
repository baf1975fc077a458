"""Workers in processes of their own, and the moments that their tasks tell of."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smallage.app import Smallage
from tests.worker import sample

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0
"""Seconds until a moment that does not come fails the test; it says nothing about how soon it should come."""


class Moments:
    """What the tasks said, in order of arrival."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._pipe = os.open(path, os.O_RDWR)  # for writing too, so that it never ends
        self._said = b""

    def next(self, kind: str) -> list[str]:
        """The words after `kind` of the next moment of that kind; others on the way are dropped."""
        while True:
            first, *words = self._line().split(" ")
            if first == kind:
                return words

    def _line(self) -> str:
        while b"\n" not in self._said:
            assert select.select([self._pipe], [], [], PATIENCE)[0], "the moment did not come"
            self._said += os.read(self._pipe, 4096)
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        os.close(self._pipe)


class Worker:
    """A `smallage worker` of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smallage", "worker", "tests.worker.sample", *arguments],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.talk = ""

    def children(self) -> list[int]:
        """Process ids of the children."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def peek(self) -> str:
        """What it has said so far."""
        stream = self.process.stderr
        assert stream is not None
        os.set_blocking(stream.fileno(), False)
        try:
            self.talk += os.read(stream.fileno(), 65536).decode()
        except BlockingIOError:
            pass
        os.set_blocking(stream.fileno(), True)
        return self.talk

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        self.talk += self.process.communicate(timeout=PATIENCE)[1]
        return self.process.returncode

    def stop(self) -> None:
        """End it, however it stands."""
        if self.process.poll() is not None:
            self.process.communicate()
        else:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                for child in self.children():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                self.process.kill()
                self.process.communicate()


class Told(list[Any]):
    """What bodies, or hooks of a store, said in this process."""

    def __init__(self) -> None:
        super().__init__()
        self._more = threading.Condition()

    def append(self, one: Any) -> None:
        with self._more:
            super().append(one)
            self._more.notify_all()

    def wait(self, n: int) -> None:
        """Block until there are as many."""
        with self._more:
            assert self._more.wait_for(lambda: len(self) >= n, PATIENCE), f"{len(self)} of {n} came"


def view(app: Smallage, task_id: str) -> Any:
    return app.store.state([task_id])[0]


def wait_until_gone(pids: list[int]) -> None:
    """Wait for the end of processes that are not ours."""
    for pid in pids:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([process], [], [], PATIENCE)[0], f"process {pid} goes on"
        finally:
            os.close(process)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what no moment tells of; generous, and never asserted on."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Smallage]:
    """The sample app on a SQLite store of the test's own."""
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/queue.db")
    sample.app.close()
    yield sample.app
    sample.app.close()


@pytest.fixture
def moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moments]:
    path = tmp_path / "moments"
    monkeypatch.setenv("SAMPLE_MOMENTS", str(path))
    made = Moments(path)
    yield made
    made.close()


@pytest.fixture
def start(app: Smallage, moments: Moments) -> Iterator[Callable[..., Worker]]:
    """`start("-P", "threads", …)` starts a worker, which is stopped at the test's end."""
    started: list[Worker] = []

    def begin(*arguments: str) -> Worker:
        started.append(Worker(*arguments))
        return started[-1]

    yield begin
    for worker in started:
        worker.stop()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Where held tasks wait; `gate.touch()` lets them go."""
    return tmp_path / "gate"
