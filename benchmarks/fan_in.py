"""`make fan-in`: 100,000 results reach a chord's body, read in pages and as a list; how large its process becomes.

Each run is a worker of its own, so that one does not warm the other up.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smallage import Smallage, chord

STORE = "FAN_IN_STORE"

app = Smallage("fan-in", broker=os.environ.get(STORE, "memory://"))


def resident_kib() -> int:
    """Memory of this process that is in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


@app.task(name="text", ignore_result=False)
def text(n: int) -> str:
    """A result of about 40 bytes."""
    return f"{n:040}"


AT_START = resident_kib()


def _read(values: Iterable[Any]) -> list[int]:
    count = 0
    for count, value in enumerate(values, 1):
        assert int(value) == count - 1, "out of order"
    return [count, AT_START, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]


@app.task(name="pages")
def pages(values: Iterable[str]) -> list[int]:
    """Reads page by page."""
    return _read(values)


@app.task(name="whole")
def whole(values: list[str]) -> list[int]:
    """Gets a list."""
    return _read(values)


def measure(url: str, n: int, body: Any) -> None:
    """One chord on a store."""
    environment = {**os.environ, STORE: url}
    command = [sys.executable, "-m", "smallage", "-A", "benchmarks.fan_in", "worker", "-P", "threads", "-c", "4"]
    worker = subprocess.Popen([*command, "--loglevel", "ERROR"], env=environment, stderr=subprocess.DEVNULL)
    own = Smallage("fan-in", broker=url, set_as_current=False)
    try:
        began = time.monotonic()
        header = [own.signature(text.name, (one,)) for one in range(n)]
        result = chord(header, own.signature(body.name), app=own).apply_async()
        count, before, most = result.get(timeout=600, follow_parents=False)
        assert count == n
        wall = time.monotonic() - began
        print(
            f"{url.partition(':')[0]:7} {body.name:6} {count:,} results in order, {wall:.1f} s in all; the body's process "
            f"had {before / 1024:.1f} MiB at its start and {most / 1024:.1f} at the most",
            flush=True,
        )
    finally:
        worker.terminate()
        worker.wait()
        own.close()


def main() -> None:
    """Both stores, both bodies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000)
    options = parser.parse_args()
    from tests import redis_server

    for body in (pages, whole):
        with tempfile.TemporaryDirectory() as folder, redis_server.private_server() as server:
            for url in (f"sqlite:///{Path(folder) / 'queue.db'}", server.url):
                measure(url, options.n, body)


if __name__ == "__main__":
    main()
