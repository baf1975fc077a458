"""The video analysis under Smallage and under Celery, side by side.

    python -m benchmarks.apps_beside_celery.video FILE [--times 8]

Uploads FILE, in which somebody speaks, TIMES times; a worker of 4 threads serves the queue `net` and one of 2 processes
the queue `cpu`, on a private Redis. Everything is real: ffmpeg, PocketSphinx, the summary. Prints a table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.apps_beside_celery.run import ROOT, celery_python, table
from tests.redis_server import private_server

HERE = Path(__file__).resolve().parent
EXAMPLE = ROOT / "examples" / "video_analysis"
WANTED = [
    *("flask", "flask-login", "flask-wtf", "alembic", "sqlalchemy>=2", "httpx", "requests", "openai", "yt-dlp"),
    *("imageio-ffmpeg", "pocketsphinx", "sumy", "segtok", "yake"),
]
PATIENCE = 240.0


@dataclass(frozen=True)
class System:
    title: str
    python: str
    path: tuple[Path, ...]
    spelling: str
    worker: tuple[str, ...]
    processes: str


def systems(celery: str) -> list[System]:
    """All of them; `celery` is the interpreter of the real one."""
    as_celery = ROOT / "packages" / "smallage-as-celery" / "src"
    spelled = ("-m", "celery", "-A", "video_analysis.tasks.in_celery", "worker", "-l", "WARNING")
    native = ("-m", "smallage", "worker", "video_analysis.wsgi")
    return [
        System("Smallage", sys.executable, (EXAMPLE,), "smallage", native, "processes"),
        System("smallage-as-celery", sys.executable, (EXAMPLE, as_celery), "celery", spelled, "prefork"),
        System("Celery 5.7", celery, (EXAMPLE,), "celery", spelled, "prefork"),
    ]


def measure(system: System, file: Path, times: int) -> dict[str, Any]:
    """What the user saw."""
    with private_server() as server, tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, system.path)),
            "VIDEO_ANALYSIS_TASKS": system.spelling,
            "VIDEO_ANALYSIS_DATA": folder,
            "SMALLAGE_URL": server.url,
        }
        fleets = (("net", "threads", "4"), ("cpu", system.processes, "2"))
        with contextlib.ExitStack() as stack:
            log = stack.enter_context((Path(folder) / "workers.log").open("wb"))
            for queue, pool, count in fleets:
                options = ("-Q", queue, "-P", pool, "-c", count, "-n", f"{queue}@%h")
                worker = subprocess.Popen(
                    [system.python, *system.worker, *options],
                    env=environment,
                    cwd=folder,
                    stdout=log,
                    stderr=log,
                    process_group=0,
                )
                stack.callback(end, worker)
            argv = [system.python, HERE / "submit.py", file, times, PATIENCE]
            ran = subprocess.run(list(map(str, argv)), env=environment, cwd=folder, capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(
                f"{system.title}: {ran.stderr[-2000:]}{(Path(folder) / 'workers.log').read_text()[-2000:]}"
            )
        seen: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        return seen


def end(worker: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--times", type=int, default=8)
    given = parser.parse_args()
    columns: dict[str, dict[str, str]] = {}
    for system in systems(celery_python(WANTED)):
        seen = measure(system, given.file.resolve(), given.times)
        print(system.title, json.dumps(seen)[:400], file=sys.stderr)
        columns[system.title] = {
            f"{given.times} uploads analysed": f"{seen['done']}",
            "all ended after": f"{seen['wall']:.1f} s",
            "minutes charged": f"{seen['minutes_used']}",
        }
    print(table(columns))


if __name__ == "__main__":
    main()
