"""`make rate-limit`: a third party that refuses more than 20 calls in any 0.95 s, and 400 tasks with `rate_limit="20/s"`.

Four workers, each a process of its own, call it on SQLite and on Redis. Shown are the refusals (none may happen), the
wall time from the first call to the last beside the ideal (399 gaps of 50 ms), and the shortest time in which 21 calls
came. Exit code 1 if a call was refused or the wall time is more than 5 % off 20 s.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from smallage import Smallage

RATE, WINDOW = 20, 0.95
PORT, STORE = "RATE_LIMIT_PORT", "RATE_LIMIT_STORE"

app = Smallage("rate-limit", broker=os.environ.get(STORE, "memory://"))


@app.task(name="call", rate_limit=f"{RATE}/s")
def call(n: int) -> int:
    """One call of the third party; its status."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{os.environ[PORT]}/{n}", timeout=10) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


class ThirdParty:
    """Refuses, with 429, whatever is more than `RATE` calls in any `WINDOW` seconds."""

    def __init__(self) -> None:
        self.calls: list[float] = []
        self.refused = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    now = time.monotonic()
                    crowded = sum(now - one < WINDOW for one in outer.calls[-RATE:]) >= RATE
                    if crowded:
                        outer.refused += 1
                    outer.calls.append(now)
                self.send_response(429 if crowded else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self.server.server_address[1]
        return port

    def closest(self) -> float:
        """The shortest time in which one call more than the rate came."""
        return min(b - a for a, b in zip(self.calls, self.calls[RATE:], strict=False))


@contextlib.contextmanager
def workers(n: int, environment: dict[str, str]) -> Iterator[None]:
    """`n` workers of one process each."""
    command = [sys.executable, "-m", "smallage", "-A", "benchmarks.rate_limit", "worker", "-P", "processes", "-c", "1"]
    running = [
        subprocess.Popen([*command, "-n", f"w{one}@%h", "--loglevel", "WARNING"], env=environment) for one in range(n)
    ]
    try:
        yield
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait()


def measure(url: str, n: int) -> bool:
    """One run on a store; True if it was as it should be."""
    third = ThirdParty()
    os.environ[STORE], os.environ[PORT] = url, str(third.port)
    own = Smallage("rate-limit", broker=url, set_as_current=False)
    with workers(4, dict(os.environ)):
        while len(own.store.workers()) < 4:
            time.sleep(0.05)
        results = own.task(name="call", rate_limit=f"{RATE}/s")(call.run).delay_many([(one,) for one in range(n)])
        for result in results:
            result.get(timeout=n / RATE * 3)
    wall, ideal = third.calls[-1] - third.calls[0], (n - 1) / RATE
    name = url.partition(":")[0]
    print(
        f"{name:7} {len(third.calls)} calls, {third.refused} refused, {wall:.2f} s from the first to the last "
        f"(ideal {ideal:.2f}, {wall / ideal:.3f}x), {RATE + 1} calls never within less than {third.closest():.3f} s"
    )
    own.close()
    return third.refused == 0 and len(third.calls) == n and abs(wall / ideal - 1) <= 0.05


def main() -> None:
    """Run on both stores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=400)
    options = parser.parse_args()
    from tests import redis_server

    with tempfile.TemporaryDirectory() as folder, redis_server.private_server() as server:
        good = [measure(url, options.n) for url in (f"sqlite:///{Path(folder) / 'queue.db'}", server.url)]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
