"""200 users submit videos and poll for a minute: how fast the web answers, how much gets done, and is anything lost?

Everything is real but the transcription: gunicorn, both fleets of workers, yt-dlp from a site on this computer, ffmpeg,
summary and key phrases, the database with its charges. Speech is recognised by a stand-in for an OpenAI-compatible
endpoint that takes a fixed time, because this is about the queue and not about a recogniser.

    make video-load ARGS="--store redis --users 200 --seconds 60"
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import http.server
import itertools
import json
import os
import random
import statistics
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis
from sqlalchemy import func, select

from tests import redis_server
from video_analysis import db, migrations, passwords, sample
from video_analysis.models import Analysis, Charge, User
from video_analysis.offline import free_port
from video_analysis.processes import Processes
from video_analysis.settings import Settings

POLL_SECONDS = 2.0
ENGINE_SECONDS = 0.2
DRAIN_SECONDS = 300
SAID = "The company reported strong sales. The company will create new jobs. Oil prices are good news for the company."
ENDED = ("done", "failed", "refused", "cancelled")


@dataclass
class Seen:
    """What the users saw. Times are in seconds."""

    submit: list[float] = field(default_factory=list)
    poll: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    in_time: int = 0
    errors: collections.Counter[str] = field(default_factory=collections.Counter)


class Recogniser(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint for transcriptions that takes ENGINE_SECONDS and always hears the same."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(ENGINE_SECONDS)
        said = {"text": SAID, "language": "en", "duration": 2.0, "segments": [{"start": 0, "end": 2, "text": SAID}]}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def recogniser() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recogniser)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def clip(folder: Path) -> Path:
    """Two seconds of noise as a WAV file of 64 KiB."""
    made = folder / "clip.wav"
    with wave.open(str(made), "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
        writer.writeframes(random.Random(1).randbytes(64000))
    return made


def tokens(users: int, name: str = "user") -> list[str]:
    """A token for each of as many new users."""
    made = [User(email=f"{name}{number}@example.com", password_hash="!", minutes_quota=1000) for number in range(users)]
    with db.writing() as session:
        session.add_all(made)
    return [passwords.new_token(user.id) for user in made]


async def user(
    number: int, client: httpx.AsyncClient, token: str, video: str, file: bytes, end: float, seen: Seen
) -> None:
    """Submit, poll until it has ended, think a moment, again; what was begun is followed to its end."""
    headers = {"Authorization": f"Bearer {token}"}
    await asyncio.sleep(random.uniform(0, 5))  # not all in the same moment
    for round_ in itertools.count():
        if time.monotonic() >= end:
            return
        key = {"Idempotency-Key": f"{number}-{round_}"}
        begun = time.monotonic()
        if round_ % 5 == 4:
            request = client.post(
                "/api/analyses", headers=headers | key, files={"file": ("clip.wav", file, "audio/wav")}
            )
        else:
            request = client.post("/api/analyses", headers=headers | key, json={"url": f"{video}?{number}-{round_}"})
        answer = await answered(request, seen)
        if answer is None or answer.status_code != 202:
            await asyncio.sleep(1)
            continue
        seen.submit.append(time.monotonic() - begun)
        seen.accepted.add(answer.json()["id"])
        await follow(client, headers, answer.json()["id"], begun, end, seen)
        await asyncio.sleep(random.uniform(0.5, 1.5))


async def follow(
    client: httpx.AsyncClient, headers: dict[str, str], analysis_id: str, begun: float, end: float, seen: Seen
) -> None:
    while time.monotonic() < end + DRAIN_SECONDS:
        await asyncio.sleep(POLL_SECONDS)
        asked = time.monotonic()
        answer = await answered(client.get(f"/api/analyses/{analysis_id}/progress", headers=headers), seen)
        if answer is None:
            continue
        now = time.monotonic()
        if asked < end:
            seen.poll.append(now - asked)
        if answer.json()["state"] in ENDED:
            seen.ended[analysis_id] = answer.json()["state"]
            seen.whole.append(now - begun)
            seen.in_time += now < end
            return


async def answered(request: object, seen: Seen) -> httpx.Response | None:
    """The answer, or None and a count of what was wrong."""
    try:
        answer: httpx.Response = await request  # type: ignore[misc]
    except httpx.HTTPError as error:
        seen.errors[type(error).__name__] += 1
        return None
    if answer.status_code >= 400:
        seen.errors[str(answer.status_code)] += 1
    return answer if answer.status_code < 500 else None


async def crowd(address: str, given: list[str], video: str, file: bytes, seconds: float) -> Seen:
    """All users, each with a connection of their own as browsers have: a pool that all share would be searched by each
    request, and its time be counted as the server's."""
    seen, end = Seen(), time.monotonic() + seconds
    async with contextlib.AsyncExitStack() as stack:
        users = []
        for number, token in enumerate(given):
            client = httpx.AsyncClient(base_url=f"http://{address}", timeout=60, verify=False)
            await stack.enter_async_context(client)
            users.append(user(number, client, token, video, file, end, seen))
        await asyncio.gather(*users)
    return seen


def run(store: str, users: int, seconds: float) -> list[str]:
    """One run on `store`: a row of the table."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="video-load-")))
        environment = {
            "VIDEO_ANALYSIS_DATA": str(folder),
            "ALLOW_PRIVATE_URLS": "1",
            "SMALLAGE_URL": "",
            "DATABASE_URL": os.environ.get("LOAD_DATABASE_URL", ""),
            "TRANSCRIBER": "openai",
            "OPENAI_BASE_URL": stack.enter_context(recogniser()),
            "OPENAI_API_KEY": "none",
            "ANALYSER": "extractive",
        }
        server = None
        if store == "redis":
            options = {"appendonly": "yes", "maxmemory": "1gb", "maxmemory-policy": "noeviction"}
            server = stack.enter_context(redis_server.private_server(options))
            environment["SMALLAGE_URL"] = server.url
        settings = Settings.read({**os.environ, **environment})
        db.connect_to(settings.database_url)
        stack.callback(db.disconnect)
        migrations.upgrade()
        given = tokens(users)
        videos = folder / "videos"
        videos.mkdir()
        file = clip(videos)
        site = stack.enter_context(sample.site(videos))
        processes = stack.enter_context(Processes(folder, environment))
        processes.worker("worker-net", "net", "-P", "threads", "-c", "16")
        processes.worker("worker-cpu", "cpu", "-P", "processes", "-c", "2")
        address = f"127.0.0.1:{free_port(0)}"
        processes.web(address, "--workers", "2", "--threads", "16", "--keep-alive", "30")
        video, content = f"{site}/{file.name}", file.read_bytes()
        asyncio.run(crowd(address, tokens(8, "early"), video, content, 1))  # every process has loaded its libraries
        seen = asyncio.run(crowd(address, given, video, content, seconds))
        peak = memory(server.url) if server else None
        return row(store, seen, seconds, peak)


def memory(url: str) -> int:
    """Most bytes that Redis has had in use."""
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        return int(client.info("memory")["used_memory_peak"])


def books() -> tuple[int, int, int]:
    """Analyses that are done, charges, and by how many minutes users' accounts say something else."""
    with db.reading() as session:
        done = session.scalar(select(func.count()).where(Analysis.state == "done")) or 0
        charges = session.scalar(select(func.count(func.distinct(Charge.analysis_id)))) or 0
        minutes = session.scalar(select(func.coalesce(func.sum(Charge.minutes), 0))) or 0
        used = session.scalar(select(func.coalesce(func.sum(User.minutes_used), 0))) or 0
    return done, charges, int(minutes) - int(used)


def row(store: str, seen: Seen, seconds: float, peak: int | None) -> list[str]:
    done, charges, difference = books()
    lost = len(seen.accepted - set(seen.ended))
    wrong = abs(done - charges) + abs(difference)
    print(f"{store}: ends {dict(collections.Counter(seen.ended.values()))}, errors {dict(seen.errors)}", flush=True)
    return [
        store,
        f"{len(seen.accepted):,}",
        f"{milliseconds(seen.submit, 50)} / {milliseconds(seen.submit, 95)}",
        f"{milliseconds(seen.poll, 50)} / {milliseconds(seen.poll, 95)}",
        f"{seen.in_time / seconds:.1f}",
        f"{statistics.median(seen.whole):.1f} s" if seen.whole else "–",
        f"{lost}",
        f"{wrong}",
        f"{sum(seen.errors.values())}",
        f"{peak / 1e6:.1f} MB" if peak else "–",
    ]


def milliseconds(times: list[float], percentile: int) -> str:
    if len(times) < 2:
        return "–"
    return f"{statistics.quantiles(times, n=100, method='inclusive')[percentile - 1] * 1000:.0f} ms"


HEAD = [
    "store",
    "accepted",
    "submit p50 / p95",
    "poll p50 / p95",
    "done a second",
    "from submit to result, median",
    "lost",
    "charged wrongly",
    "errors",
    "Redis memory, peak",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=["redis", "sqlite", "both"], default="both")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    rows = [
        run(one, asked.users, asked.seconds)
        for one in (("redis", "sqlite") if asked.store == "both" else (asked.store,))
    ]
    for line in (HEAD, ["---"] * len(HEAD), *rows):
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
