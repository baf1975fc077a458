"""The third party: a small HTTP server on the loopback that is slow and sometimes fails, as third parties are.

    GET /playlist            {"title": …, "items": [{"id", "title"}, …]}
    GET /transcript/{id}     {"id", "title", "text"}; now and then 503, or 429 with Retry-After
    GET /open                {pid: transcripts that this client process will wait for yet a while}; at once

It runs as a process of its own (`python -m smallage.demo.thirdparty`), prints its address as its first line, and ends
when its standard input does, so that it never outlives whoever started it. Each answer is one JSON line in the access
log, and so is each client that went away without waiting for its answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from typing import IO, Any

import click

from smallage.demo.corpus import Document, documents
from smallage.demo.evidence import GONE

RETRY_AFTER = 1
"""Seconds that a 429 asks for."""

TOO_MANY = frozenset({61, 161, 261, 361})
"""Items that are answered with 429 the first time."""

REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 429: "Too Many Requests", 503: "Unavailable"}


def fault(number: int, attempt: int) -> int:
    """Status for the `attempt`-th request (from 1) of item `number` (from 0): every 50th item fails the first time
    with 503, and a few with 429."""
    if attempt > 1:
        return 200
    if number % 50 == 10:
        return 503
    return 429 if number in TOO_MANY else 200


class ThirdParty:
    """What the server knows: the playlist, who asks for what, and how often it was asked."""

    def __init__(self, items: list[Document], latency: float, log: IO[str]) -> None:
        self.items = {item.id: item for item in items}
        self.latency = latency
        self.open: dict[asyncio.TimerHandle, str] = {}
        """Whose answers are due when: process ids of clients."""
        self._attempts: Counter[str] = Counter()
        self._not_before: dict[str, float] = {}
        self._log = log
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self._started = self.now()

    def playlist(self) -> dict[str, Any]:
        items = [{"id": item.id, "title": item.title} for item in self.items.values()]
        return {"title": "All there is to read in Python", "items": items}

    def waiting(self) -> dict[str, int]:
        """Answers that client processes wait for and will not get before half of the latency is over: whoever kills a
        process now will cut these."""
        soon = self.now() + self.latency / 2
        return Counter(pid for timer, pid in self.open.items() if timer.when() >= soon)

    def attempt(self, item: str) -> int:
        """Count one more request for `item`."""
        self._attempts[item] += 1
        return self._attempts[item]

    def transcript(self, item: str, attempt: int) -> tuple[int, dict[str, Any]]:
        """Status and body for the `attempt`-th request of `item`."""
        document = self.items[item]
        status = fault(document.number, attempt)
        if self.now() < self._not_before.get(item, 0.0):
            status = 429  # asked again before Retry-After was over
        if status == 429:
            self._not_before[item] = self.now() + RETRY_AFTER
        if status != 200:
            return status, {"error": REASONS[status]}
        return status, {"id": document.id, "title": document.title, "text": document.text}

    def log(self, item: str, attempt: int, status: int, headers: dict[str, str]) -> None:
        line = {
            "at": round(self.now() - self._started, 4),
            "item": item,
            "attempt": attempt,
            "status": status,
            "open": len(self.open) + 1,
            "task": headers.get("x-task", ""),
            "pid": headers.get("x-pid", ""),
        }
        self._log.write(json.dumps(line) + "\n")
        self._log.flush()


class Visit(asyncio.Protocol):
    """One connection: HTTP/1.1 with keep-alive, one request after the other, without bodies."""

    def __init__(self, party: ThirdParty) -> None:
        self._party = party
        self._inbox = b""
        self._transport: asyncio.Transport | None = None
        self._pending: tuple[asyncio.TimerHandle, str, int, dict[str, str]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        head, end, rest = self._inbox.partition(b"\r\n\r\n")
        if end and self._pending is None:
            self._inbox = rest
            self._request(head.decode("latin-1"))
        elif len(self._inbox) > 65_536 and self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._pending is not None:
            timer, item, attempt, headers = self._pending
            timer.cancel()
            del self._party.open[timer]
            self._party.log(item, attempt, GONE, headers)

    def _request(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, path = [*first.split(" "), "", ""][:2]
        kind, _, item = path.strip("/").partition("/")
        if method != "GET":
            self._send(405, {"error": REASONS[405]})
        elif path == "/open":
            self._send(200, self._party.waiting())
        elif path == "/playlist":
            self._send(200, self._party.playlist())
        elif kind == "transcript" and item in self._party.items:
            self._later(item, headers)
        else:
            self._send(404, {"error": REASONS[404]})

    def _later(self, item: str, headers: dict[str, str]) -> None:
        attempt = self._party.attempt(item)
        timer = asyncio.get_running_loop().call_later(self._party.latency, self._transcript)
        self._party.open[timer] = headers.get("x-pid", "")
        self._pending = (timer, item, attempt, headers)

    def _transcript(self) -> None:
        assert self._pending is not None
        timer, item, attempt, headers = self._pending
        self._pending = None
        del self._party.open[timer]
        status, body = self._party.transcript(item, attempt)
        self._party.log(item, attempt, status, headers)
        self._send(status, body)

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} {REASONS[status]}", "Content-Type: application/json"]
        if status == 429:
            lines.append(f"Retry-After: {RETRY_AFTER}")
        lines += [f"Content-Length: {len(content)}", "", ""]
        if self._transport is not None:
            self._transport.write("\r\n".join(lines).encode() + content)


async def serve(n: int, latency: float, log: IO[str]) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    party = ThirdParty(documents(n), latency, log)
    server = await loop.create_server(lambda: Visit(party), "127.0.0.1", 0, backlog=512)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    ended = loop.create_future()

    def read() -> None:
        if not os.read(stdin, 4096) and not ended.done():
            ended.set_result(None)

    stdin = sys.stdin.fileno()
    loop.add_reader(stdin, read)
    await ended
    loop.remove_reader(stdin)
    server.close()


@click.command()
@click.option("--n", default=1_000, type=click.IntRange(min=1), help="Items in the playlist.")
@click.option("--latency", default=0.15, type=click.FloatRange(min=0), help="Seconds until a transcript is answered.")
@click.option("--log", required=True, type=click.File("a"), help="Access log, one JSON line an answer.")
def main(n: int, latency: float, log: IO[str]) -> None:
    """Serve one playlist on a free port of 127.0.0.1."""
    asyncio.run(serve(n, latency, log))


if __name__ == "__main__":
    main()
