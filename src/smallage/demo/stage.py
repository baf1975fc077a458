"""The processes and files of the demonstration: a directory, the third party, the worker. All end with the stage."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

STOP_S = 15.0
"""How long the worker may take to stop before it is killed."""


def _end_with_parent() -> Callable[[], None] | None:
    """For the child before it becomes the worker: have the system stop it should this process be killed (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    pr_set_pdeathsig = 1

    def ask() -> None:
        libc.prctl(pr_set_pdeathsig, signal.SIGTERM)

    return ask


class StageError(Exception):
    """A process of the demonstration did not start or did not live; the text shows what it said."""


class Stage:
    """Use as a context manager. Files: `queue.db`, `index.db`, `access.jsonl`, `worker.log`."""

    def __init__(self, keep: bool = False) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="smallage-demo-"))
        self.index_path = self.directory / "index.db"
        self.access_log = self.directory / "access.jsonl"
        self.worker_log = self.directory / "worker.log"
        self.worker: subprocess.Popen[bytes] | None = None
        self._party: subprocess.Popen[str] | None = None
        self._keep = keep

    def open_third_party(self, n: int, latency: float) -> str:
        """Start the third party; its base URL once it listens."""
        command = [sys.executable, "-m", "smallage.demo.thirdparty", "--n", str(n), "--latency", str(latency)]
        command += ["--log", str(self.access_log)]
        self._party = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._party.stdout is not None
        url = self._party.stdout.readline().strip()
        if not url:
            raise StageError(f"The third party's server did not start (exit code {self._party.wait()}).")
        return url

    def start_worker(self, options: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start `smallage worker` with these options; what it says goes to `worker.log`."""
        with self.worker_log.open("ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "smallage", "worker", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
                preexec_fn=_end_with_parent(),  # safe: this process has one thread yet
            )

    def check(self) -> None:
        """Raise StageError if the worker has ended."""
        if self.worker is not None and self.worker.poll() is not None:
            raise StageError(f"The worker ended early (exit code {self.worker.returncode}).\n{self.worker_words()}")

    def worker_words(self, lines: int = 15) -> str:
        """The last lines that the worker said."""
        text = self.worker_log.read_text(encoding="utf-8", errors="replace") if self.worker_log.exists() else ""
        return "\n".join("  | " + line for line in text.splitlines()[-lines:])

    def stop_worker(self) -> int | None:
        """Stop the worker warmly, by force after `STOP_S`; its exit code."""
        if self.worker is None:
            return None
        if self.worker.poll() is None:
            self.worker.terminate()
            try:
                self.worker.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.worker.kill()
                self.worker.wait()
        return self.worker.returncode

    def close(self) -> None:
        """End the processes and, unless kept, remove the files; twice is fine."""
        self.stop_worker()
        if self._party is not None:
            self._party.communicate()  # its standard input ends, and so does it
            self._party = None
        if not self._keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
