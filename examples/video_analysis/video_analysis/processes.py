"""Programs that are started together and stopped together: by `offline` and `load`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
STOP_SECONDS = 20
START_SECONDS = 60
_DIE_WITH_PARENT = 1


class Died(RuntimeError):
    """One of the programs has ended by itself; the message has its last words."""


class Processes:
    """Child processes with `environment` besides what this one has. Each writes to `folder`/NAME.log."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        path = os.pathsep.join(filter(None, (str(PACKAGE), os.environ.get("PYTHONPATH", ""))))
        self.environment = {**os.environ, "PYTHONPATH": path, **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, *command: str) -> int:
        """Start a program in a group of its own, so that Ctrl-C comes to this process alone; its process id."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        return self._running[name].pid

    def python(self, name: str, *arguments: str) -> int:
        """Start a Python module, such as `python("web", "gunicorn", …)`."""
        return self.start(name, sys.executable, "-m", *arguments)

    def worker(self, name: str, queue: str, *options: str) -> int:
        """Start a fleet of workers for `queue`."""
        return self.python(
            name, "flask", "--app", "video_analysis", "smallage", "worker", "-Q", queue, "-n", f"{name}@%h", *options
        )

    def web(self, address: str, *options: str) -> None:
        """Start the web server on `address` ("127.0.0.1:8000") and wait until it answers."""
        self.python("web", "gunicorn", "video_analysis.wsgi:app", "-b", address, "-k", "gthread", *options)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(f"http://{address}/login"):
            self.check()
            if time.monotonic() > deadline:
                raise Died(f"The web server does not answer. {self._last_words('web')}")
            time.sleep(0.1)

    def check(self) -> None:
        """Raise Died if one of the programs has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise Died(f"{name} has ended with {process.returncode}. {self._last_words(name)}")

    def stop(self) -> None:
        """End all of them: politely first."""
        running, self._running = self._running, {}
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        for process in running.values():
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _last_words(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def stopping(*signals: signal.Signals) -> Iterator[None]:
    """`signals` end the block with KeyboardInterrupt, as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - an address of ours
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _die_with_parent() -> Callable[[], object] | None:
    """On Linux the kernel ends the children when this process is killed, so that nothing is left behind."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_DIE_WITH_PARENT, signal.SIGTERM)
