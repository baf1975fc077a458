"""The application with real workers: processes of their own, as they are started in production."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.examples.video_analysis.site import Program, Site
from video_analysis import records
from video_analysis.models import Analysis
from video_analysis.processes import Processes
from video_analysis.settings import Settings

PATIENCE = 150.0
"""Seconds until a moment that does not come fails the test; it says nothing about how soon it should come."""
HERE = Path(__file__).parents[3]


class Fleets:
    """The web application in this process, and workers beside it, with the same `environment`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {
            "VIDEO_ANALYSIS_DATA": str(folder / "data"),
            "ALLOW_PRIVATE_URLS": "1",
            "RETRY_SECONDS": "0",
            "PIECE_SECONDS": "4",
            "PYTHONPATH": os.pathsep.join((str(HERE), str(HERE / "examples" / "video_analysis"))),
            **environment,
        }
        settings = Settings.read(self.environment)
        self.site = Site.open(settings.data_folder, **{one.name: getattr(settings, one.name) for one in _fields()})
        self.settings = self.site.settings
        self.processes = Processes(folder, self.environment)

    def __enter__(self) -> Fleets:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.processes.stop()
        self.site.close()
        if kind is not None:
            for log in self.folder.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text()}")  # pytest shows it

    def start(self, app: str, name: str, queues: str, *options: str) -> int:
        """Start a worker for `queues` on the Flask application `app`; its process id."""
        return self.processes.python(name, "flask", "--app", app, "smallage", "worker", "-Q", queues, *options)

    def kill(self, name: str) -> None:
        """Kill a worker with all its processes."""
        process = self.processes._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def program(self, quota: int = 5) -> Program:
        return self.site.program(quota=quota)

    def ended(self, analysis_id: str) -> Analysis:
        """The analysis, once it has ended."""
        self.until(lambda: records.load(analysis_id).ended)
        return records.load(analysis_id)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for what no moment tells of."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.processes.check()
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(0.02)

    def is_clean(self) -> bool:
        """Are there no files of any analysis?"""
        return not any(any(folder.glob("*")) for folder in (self.settings.work, self.settings.uploads))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _fields() -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(Settings)
