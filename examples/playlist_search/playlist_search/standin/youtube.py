"""A stand-in for YouTube on the loopback, for tests and for trying the program offline.

It answers what the program really asks: of the Data API `playlists` and `playlistItems`, in pages and only for a token
that is good; of YouTube itself the watch page, the player's answer and the timed text, which is what
youtube-transcript-api fetches for a transcript. It is slow and it fails, as far as it is told to: `Faults`.

    python -m playlist_search.standin.youtube --videos 1000 --delay 1.5

runs it as a process of its own, which prints its address as its first line and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playlist_search.standin.talks import Talk, talk, video_id

API = "/youtube/v3"
KEY = "stand-in-key"
WATCH_PAGE = """<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>
<meta name=viewport content="width=device-width"><meta name=color-scheme content="light dark">
<style>body{{font:1rem/1.6 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem}} li{{padding-left:.5rem}}</style>
<script type="application/json">{{"INNERTUBE_API_KEY": "stand-in-key"}}</script>
<h1>{title}</h1><p>This page stands in for YouTube: what is said at which second.</p><ol>{lines}</ol>
"""
"""What the library reads of it is the key for the player; the rest is for people who follow a link."""
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests", 500: "Error"}
MOST_BYTES = 65_536


@dataclass(frozen=True)
class Faults:
    """What goes wrong, by the number of the video. 0 as in "every 0th" is never."""

    silent_every: int = 0
    """Every so many videos one has no transcript."""
    limited_every: int = 0
    """… one is answered with 429 the first time, and until `retry_after` seconds are over."""
    retry_after: int = 1
    flaky_every: int = 0
    """… one is answered with 500 the first time."""
    broken: frozenset[int] = frozenset()
    """These are always answered with 500."""
    garbled: frozenset[int] = frozenset()
    """These are answered with something that cannot be read, the first time."""

    def is_silent(self, number: int) -> bool:
        return bool(self.silent_every) and number % self.silent_every == self.silent_every - 1

    def is_limited(self, number: int) -> bool:
        return bool(self.limited_every) and number % self.limited_every == self.limited_every // 2

    def is_flaky(self, number: int) -> bool:
        return bool(self.flaky_every) and number % self.flaky_every == self.flaky_every // 3


@dataclass(frozen=True)
class Listed:
    """A playlist of the stand-in's."""

    id: str
    title: str
    numbers: Sequence[int]


PLAYLISTS = (
    Listed("PLtalks", "Talks to hear again", range(120)),
    Listed("PLevening", "One evening", range(100, 110)),
    Listed("PLempty", "For later", range(0)),
)


def accept_test_tokens(token: str) -> str | None:
    """Whose token this is: `token-for-NAME` is that of NAME, any other is refused."""
    return token.removeprefix("token-for-") if token.startswith("token-for-") else None


@dataclass
class YouTube:
    """What the stand-in knows, and what it was asked. Changes of `faults` hold at once."""

    playlists_of: Callable[[str], Sequence[Listed]] = lambda _: PLAYLISTS
    account_of: Callable[[str], str | None] = accept_test_tokens
    """Whose access token this is; None: nobody's (any more)."""
    delay: float = 0.0
    """Seconds that the player's answer takes."""
    faults: Faults = Faults()
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    """How often each thing was asked for, and how often it was refused: "401", "429", "500", and "early" for a 429
    whose Retry-After was not waited for."""
    asked_of: Counter[str] = field(default_factory=Counter)
    """How often the player was asked about each video."""
    open: int = 0
    most_open: int = 0
    """Most requests that waited at the same time."""
    visits: set[asyncio.Transport] = field(default_factory=set)
    """Connections that are open."""
    _seen: set[tuple[str, int]] = field(default_factory=set)
    _not_before: dict[int, float] = field(default_factory=dict)

    @property
    def api_url(self) -> str:
        """For the setting YOUTUBE_API_URL; `url` is for YOUTUBE_WATCH_URL."""
        return self.url + API

    def delay_of(self, number: int) -> float:
        """Seconds that the player's answer about this video takes."""
        return self.delay

    def is_first(self, what: str, number: int) -> bool:
        """Whether this is asked for the first time."""
        if (what, number) in self._seen:
            return False
        self._seen.add((what, number))
        return True

    def limited(self, number: int, now: float) -> bool:
        """Whether this video is to be answered with 429."""
        if not self.faults.is_limited(number):
            return False
        if self.is_first("429", number):
            self._not_before[number] = now + self.faults.retry_after
            return True
        if now < self._not_before[number]:
            self.asked["early"] += 1
            return True
        return False


@dataclass(frozen=True)
class Answer:
    """What is sent back, `delay` seconds later."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: tuple[str, ...] = ()
    delay: float = 0.0


def as_json(status: int, body: Any, *headers: str, delay: float = 0.0) -> Answer:
    return Answer(status, json.dumps(body).encode(), headers=headers, delay=delay)


# -- the Data API -------------------------------------------------------------------------------------------------
def refused(status: int, reason: str) -> Answer:
    return as_json(status, {"error": {"code": status, "message": reason, "errors": [{"reason": reason}]}})


def data_api(youtube: YouTube, what: str, asked: dict[str, str], token: str) -> Answer:
    """`playlists` or `playlistItems`."""
    account = youtube.account_of(token)
    if account is None:
        return refused(401, "authError")
    playlists = youtube.playlists_of(account)
    if what == "playlists":
        if asked.get("mine") != "true":
            return refused(400, "missingRequiredParameter")
        return page(asked, playlists, lambda one: listed(youtube, one))
    chosen = next((one for one in playlists if one.id == asked.get("playlistId")), None)
    if chosen is None:
        return refused(404, "playlistNotFound")
    return page(asked, chosen.numbers, lambda number: item(youtube, chosen.id, talk(number)))


def page(asked: dict[str, str], things: Sequence[Any], show: Callable[[Any], dict[str, Any]]) -> Answer:
    """A page of things, and the token of the next."""
    size = min(int(asked.get("maxResults", "5")), 50)
    first = int(asked.get("pageToken", "page-0").removeprefix("page-"))
    answer: dict[str, Any] = {
        "items": [show(one) for one in things[first : first + size]],
        "pageInfo": {"totalResults": len(things), "resultsPerPage": size},
    }
    if first + size < len(things):
        answer["nextPageToken"] = f"page-{first + size}"
    return as_json(200, answer)


def listed(youtube: YouTube, one: Listed) -> dict[str, Any]:
    first = video_id(one.numbers[0]) if one.numbers else "none"
    snippet = {"title": one.title, "thumbnails": thumbnails(youtube, first)}
    return {"id": one.id, "snippet": snippet, "contentDetails": {"itemCount": len(one.numbers)}}


def item(youtube: YouTube, playlist: str, one: Talk) -> dict[str, Any]:
    snippet = {
        "title": one.title,
        "description": one.description,
        "thumbnails": thumbnails(youtube, one.id),
        "playlistId": playlist,
        "resourceId": {"kind": "youtube#video", "videoId": one.id},
    }
    return {"id": f"{playlist}.{one.number}", "snippet": snippet}


def thumbnails(youtube: YouTube, name: str) -> dict[str, Any]:
    return {"medium": {"url": f"{youtube.url}/vi/{name}.svg", "width": 320, "height": 180}}


def picture(name: str) -> Answer:
    """A thumbnail: a colour of its own, with a triangle on it."""
    hue = sum(name.encode()) * 37 % 360
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 180">'
        f'<rect width="320" height="180" fill="hsl({hue} 45% 42%)"/><path d="M135 60v60l55-30z" fill="#fff"/></svg>'
    )
    return Answer(200, svg.encode(), "image/svg+xml")


# -- what youtube-transcript-api asks for -------------------------------------------------------------------------
def watch_page(youtube: YouTube, number: int, now: float) -> Answer:
    """The page that has the key for the player."""
    if youtube.limited(number, now):
        return Answer(429, b"", "text/html", (f"Retry-After: {youtube.faults.retry_after}",))
    said = talk(number)
    lines = "".join(f"<li value={second:g}>{escape(text)}</li>" for second, text in said.lines)
    return Answer(200, WATCH_PAGE.format(title=escape(said.title), lines=lines).encode(), "text/html")


def player(youtube: YouTube, body: dict[str, Any], key: str) -> Answer:
    """Where the captions of a video are."""
    if key != KEY or body.get("context", {}).get("client", {}).get("clientName") != "ANDROID":
        return as_json(400, {"error": "no such key or client"})
    number = number_of(str(body.get("videoId", "")))
    if number is None:
        gone = {"playabilityStatus": {"status": "ERROR", "reason": "This video is unavailable"}}
        return as_json(200, gone, delay=youtube.delay)
    youtube.asked_of[video_id(number)] += 1
    answer: dict[str, Any] = {"playabilityStatus": {"status": "OK"}, "videoDetails": {"title": talk(number).title}}
    if not youtube.faults.is_silent(number):
        track = {
            "baseUrl": f"https://www.youtube.com/api/timedtext?v={video_id(number)}&lang=en&signature=stand-in",
            "name": {"runs": [{"text": "English"}]},
            "languageCode": "en",
            "isTranslatable": False,
        }
        answer["captions"] = {"playerCaptionsTracklistRenderer": {"captionTracks": [track]}}
    return as_json(200, answer, delay=youtube.delay_of(number))


def timed_text(youtube: YouTube, number: int) -> Answer:
    """The transcript itself."""
    if number in youtube.faults.broken:
        return Answer(500, b"", "text/html")
    if youtube.faults.is_flaky(number) and youtube.is_first("500", number):
        return Answer(500, b"", "text/html")
    if number in youtube.faults.garbled and youtube.is_first("garbled", number):
        return Answer(200, b"<transcript>half of i", "text/xml")
    lines = "".join(
        f'<text start="{second:g}" dur="5">{escape(escape(said))}</text>' for second, said in talk(number).lines
    )
    return Answer(200, f'<?xml version="1.0" encoding="utf-8" ?><transcript>{lines}</transcript>'.encode(), "text/xml")


def number_of(name: str) -> int | None:
    """The number of the video with this id, if there is one."""
    digits = name.removeprefix("standin").removeprefix("s")
    return int(digits) if digits.isdigit() and video_id(int(digits)) == name else None


# -- HTTP ---------------------------------------------------------------------------------------------------------
def answer(youtube: YouTube, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    """What a request is answered."""
    where = urlsplit(target)
    asked = {name: values[0] for name, values in parse_qs(where.query).items()}
    what = where.path.rpartition("/")[2]
    now = asyncio.get_running_loop().time()
    number = number_of(asked.get("v", ""))
    if where.path.startswith(API) and what in ("playlists", "playlistItems"):
        made = data_api(youtube, what, asked, headers.get("authorization", "").removeprefix("Bearer "))
    elif where.path == "/watch" and number is not None:
        made = watch_page(youtube, number, now)
    elif where.path == "/watch":  # unknown videos have a page too; it is the player that says so
        made = Answer(200, f'"INNERTUBE_API_KEY": "{KEY}"'.encode(), "text/html")
    elif where.path == "/youtubei/v1/player" and method == "POST":
        made = player(youtube, json.loads(body), asked.get("key", ""))
    elif where.path == "/api/timedtext" and number is not None and asked.get("signature") == "stand-in":
        made = timed_text(youtube, number)
    elif where.path.startswith("/vi/"):
        return picture(what)
    elif where.path == "/asked":
        known = {"most_open": youtube.most_open, "open": youtube.open, "videos": len(youtube.asked_of)}
        return as_json(200, {**youtube.asked, **known, "repeated": youtube.asked_of.total() - len(youtube.asked_of)})
    else:
        made = as_json(404, {"error": "not found"})
    youtube.asked[what] += 1
    if made.status != 200:
        youtube.asked[str(made.status)] += 1
    return made


class Visit(asyncio.Protocol):
    """One connection: HTTP/1.1 with keep-alive, one request after the other."""

    def __init__(self, youtube: YouTube) -> None:
        self._youtube = youtube
        self._inbox = b""
        self._transport: asyncio.Transport | None = None
        self._pending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._youtube.visits.add(transport)

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        head, end, rest = self._inbox.partition(b"\r\n\r\n")
        if len(self._inbox) > MOST_BYTES and self._transport is not None:
            self._transport.close()
        if not end or self._pending is not None:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) >= length:
            self._inbox = rest[length:]
            method, target = [*first.split(" "), "", ""][:2]
            self._later(answer(self._youtube, method, target, headers, rest[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._youtube.visits.discard(self._transport)
        self._transport = None
        if self._pending is not None:
            self._pending.cancel()
            self._youtube.open -= 1

    def _later(self, made: Answer) -> None:
        youtube = self._youtube
        youtube.open += 1
        youtube.most_open = max(youtube.most_open, youtube.open)
        self._pending = asyncio.get_running_loop().call_later(made.delay, self._send, made)

    def _send(self, made: Answer) -> None:
        self._pending = None
        self._youtube.open -= 1
        lines = [f"HTTP/1.1 {made.status} {REASONS[made.status]}", f"Content-Type: {made.kind}; charset=utf-8"]
        lines += [*made.headers, f"Content-Length: {len(made.body)}", "", ""]
        if self._transport is not None:
            self._transport.write("\r\n".join(lines).encode() + made.body)


@contextlib.contextmanager
def serving(youtube: YouTube | None = None, port: int = 0) -> Iterator[YouTube]:
    """The stand-in on 127.0.0.1, in a thread of this process; port 0 takes a free one."""
    youtube = YouTube() if youtube is None else youtube
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: Visit(youtube), "127.0.0.1", port, backlog=512))
    youtube.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, name="stand-in for YouTube", daemon=True)
    thread.start()
    try:
        yield youtube
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for transport in list(youtube.visits):
            transport.abort()
        loop.run_until_complete(asyncio.sleep(0))  # sockets are closed one turn later
        loop.close()


async def serve_until_stdin_ends(youtube: YouTube, port: int) -> None:
    """Serve, and say where."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Visit(youtube), "127.0.0.1", port, backlog=512)
    youtube.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(youtube.url, flush=True)
    ended = loop.create_future()
    stdin = sys.stdin.fileno()

    def read() -> None:
        if not os.read(stdin, 4096) and not ended.done():
            ended.set_result(None)

    loop.add_reader(stdin, read)
    await ended
    loop.remove_reader(stdin)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for YouTube on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--videos", type=int, default=1_000, help="in the playlist PLall, beside the small ones")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that a transcript takes")
    parser.add_argument("--silent-every", type=int, default=0, help="one in so many has no transcript")
    parser.add_argument("--limited-every", type=int, default=0, help="one in so many meets a 429 first")
    parser.add_argument("--flaky-every", type=int, default=0, help="one in so many meets a 500 first")
    parser.add_argument("--retry-after", type=int, default=1, help="seconds that a 429 asks for")
    given = parser.parse_args()
    playlists = (Listed("PLall", "Everything", range(given.videos)), *PLAYLISTS)
    faults = Faults(given.silent_every, given.limited_every, given.retry_after, given.flaky_every)
    youtube = YouTube(lambda _: playlists, delay=given.delay, faults=faults)
    asyncio.run(serve_until_stdin_ends(youtube, given.port))


if __name__ == "__main__":
    main()
