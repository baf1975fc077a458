"""The whole program on this machine, without an account anywhere: `python -m playlist_search.offline`.

Three processes: stand-ins for Google and YouTube, the web server, a worker. Without settings everything is kept in one
folder, by default a temporary one. Ctrl-C stops them all.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

PORT = 8000
START_SECONDS = 30.0
STOP_SECONDS = 12.0
CLIENT_ID, CLIENT_SECRET = "playlist-search", "known to both"


class DidNotStart(Exception):
    """A process ended at once, or does not answer; the text shows what it said."""


@dataclass
class Site:
    """What is running."""

    url: str
    folder: Path
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def log(self, name: str) -> Path:
        """Where a process's words go."""
        return self.folder / f"{name}.log"

    def ended(self) -> str:
        """The name of a process that has ended by itself, or nothing."""
        return next((name for name, process in self.processes.items() if process.poll() is not None), "")

    def last_words(self, name: str, lines: int = 15) -> str:
        """The end of a process's log."""
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def running(
    folder: Path, port: int = 0, videos: int = 1_000, delay: float = 1.5, concurrency: int = 50
) -> Iterator[Site]:
    """The program, until the block ends. Port 0 takes a free one. SMALLAGE_URL and DATABASE_URL hold if they are set.
    Raises DidNotStart."""
    listener = listen(port)
    site = Site(f"http://127.0.0.1:{listener.getsockname()[1]}", folder)
    try:
        addresses = start_standins(site, videos, delay)
        environment = settings(site, addresses)
        with listener:
            start_web(site, listener, environment)
        start_worker(site, concurrency, environment)
        wait_until_it_answers(site)
        yield site
    finally:
        stop(site)


def settings(site: Site, addresses: dict[str, str]) -> dict[str, str]:
    """What the web server and the worker are told."""
    return {
        **os.environ,
        "DATA_DIR": str(site.folder),
        "PUBLIC_URL": site.url,
        "GOOGLE_ISSUER": addresses["google"],
        "GOOGLE_CLIENT_ID": CLIENT_ID,
        "GOOGLE_CLIENT_SECRET": CLIENT_SECRET,
        "YOUTUBE_API_URL": addresses["api"],
        "YOUTUBE_WATCH_URL": addresses["youtube"],
        "VIDEO_RATE": os.environ.get("VIDEO_RATE", ""),  # a stand-in is not to be spared
    }


def start_standins(site: Site, videos: int, delay: float) -> dict[str, str]:
    """Start the stand-ins; returns where they are."""
    options = ["--redirect-uri", f"{site.url}/login/callback", "--videos", str(videos), "--delay", str(delay)]
    options += ["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET]
    standins = start(site, "standins", [sys.executable, "-m", "playlist_search.standin", *options], os.environ.copy())
    assert standins.stdout is not None
    line = standins.stdout.readline()
    if not line:
        raise DidNotStart(f"The stand-ins did not start.\n{site.last_words('standins')}")
    addresses: dict[str, str] = json.loads(line)
    return addresses


def start_web(site: Site, listener: socket.socket, environment: dict[str, str]) -> None:
    """Start the web server on a socket that is bound already, so that its address is known beforehand."""
    command = [sys.executable, "-m", "gunicorn", "playlist_search.wsgi:app", "--bind", f"fd://{listener.fileno()}"]
    command += ["--worker-class", "gthread", "--threads", "32", "--graceful-timeout", "2", "--no-control-socket"]
    start(site, "web", command, environment, pass_fds=(listener.fileno(),))


def start_worker(site: Site, concurrency: int, environment: dict[str, str]) -> None:
    """Start a worker: threads, because the tasks wait for the network."""
    command = [sys.executable, "-m", "smallage", "worker", "playlist_search.worker", "-P", "threads"]
    start(site, "worker", [*command, "-c", str(concurrency), "--shutdown-timeout", "2"], environment)


def start(
    site: Site, name: str, command: list[str], environment: dict[str, str], pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[str]:
    """Start a process in a session of its own: Ctrl-C comes to this process alone, which stops the others in order."""
    with site.log(name).open("a") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if name == "standins" else log,
            stderr=log,
            text=True,
            env=environment,
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=end_with_parent(),  # safe: this process has one thread
        )
    site.processes[name] = process
    return process


def end_with_parent() -> Callable[[], None] | None:
    """For a process before it begins: have the system stop it should this one be killed (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    pr_set_pdeathsig = 1

    def ask() -> None:
        libc.prctl(pr_set_pdeathsig, signal.SIGTERM)

    return ask


def wait_until_it_answers(site: Site) -> None:
    """Raises DidNotStart when a process has ended, or when the web server takes too long."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if name := site.ended():
            raise DidNotStart(f"The process '{name}' ended at once.\n{site.last_words(name)}")
        with contextlib.suppress(OSError, urllib.error.URLError):
            with urllib.request.urlopen(f"{site.url}/health", timeout=START_SECONDS) as answer:  # noqa: S310 - our own
                answer.read()
                return
        time.sleep(0.05)
    raise DidNotStart(f"The web server does not answer.\n{site.last_words('web')}")


def stop(site: Site) -> None:
    """Stop all, the worker first, so that its running tasks can still reach the stand-ins."""
    for name in ("worker", "web", "standins"):
        process = site.processes.get(name)
        if process is None:
            continue
        if name == "standins":
            assert process.stdin is not None
            process.stdin.close()
        elif process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def listen(port: int) -> socket.socket:
    """A socket on this port of the loopback; on a free one if it is taken, or 0."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def main() -> int:
    """Run until Ctrl-C, or until a process ends by itself."""
    parser = argparse.ArgumentParser(description="Playlist Search with stand-ins for Google and YouTube.")
    parser.add_argument("--data", type=Path, help="keep everything in this folder; default: a temporary one")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--videos", type=int, default=1_000, help="in the largest playlist (default: 1000)")
    parser.add_argument("--delay", type=float, default=1.5, help="seconds that a transcript takes (default: 1.5)")
    parser.add_argument("--concurrency", type=int, default=50, help="transcripts fetched at a time (default: 50)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, as_ctrl_c)
    signal.signal(signal.SIGHUP, as_ctrl_c)
    folder = Path(given.data or tempfile.mkdtemp(prefix="playlist-search-")).resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with running(folder, given.port, given.videos, given.delay, given.concurrency) as site:
            print(f"{site.url}\n\nLog in as anybody, open a playlist, press Start indexing. Ctrl-C stops.", flush=True)
            print(f"Data and logs: {folder}{'' if given.data else ' (deleted at the end)'}", flush=True)
            while not (name := site.ended()):
                time.sleep(0.5)
            print(f"The process '{name}' has ended.\n{site.last_words(name)}", file=sys.stderr)
            return 1
    except DidNotStart as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 0
    finally:
        if given.data is None:
            shutil.rmtree(folder, ignore_errors=True)


def as_ctrl_c(_number: int, _frame: FrameType | None) -> None:
    """End in order when told to by a signal."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
