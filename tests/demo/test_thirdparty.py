"""The third party of the demonstration: its faults, its log, and its end."""

import asyncio
import http.client
import io
import json
import subprocess
import sys
from functools import partial
from urllib.parse import urlsplit

import pytest

from smallage.demo.corpus import documents
from smallage.demo.evidence import GONE
from smallage.demo.fetch import TooManyRequests, TransientError, _kept, fetch
from smallage.demo.thirdparty import ThirdParty, fault


class Server:
    def __init__(self, tmp_path, *options):
        self.log_path = tmp_path / "access.jsonl"
        command = [sys.executable, "-m", "smallage.demo.thirdparty", "--log", str(self.log_path), *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def log(self):
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def stop(self):
        if self.process.poll() is None:
            self.process.communicate(timeout=20)
        return self.process.returncode


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(*options):
        servers.append(Server(tmp_path, *options))
        return servers[-1]

    yield start
    if _kept.connection is not None:
        _kept.connection.close()
        _kept.connection = None
    for server in servers:
        server.stop()


def test_every_fiftieth_fails_the_first_time_and_a_few_are_asked_to_wait():
    first = [fault(number, 1) for number in range(1_000)]
    assert first.count(503) == 20
    assert first.count(429) == 4
    assert {fault(number, 2) for number in range(1_000)} == {200}


def test_playlist_and_transcripts(serve):
    server = serve("--n", "70", "--latency", "0")
    playlist = fetch(server.url, "/playlist")
    assert len(playlist["items"]) == 70
    item = playlist["items"][0]
    assert fetch(server.url, f"/transcript/{item['id']}")["title"] == item["title"]
    with pytest.raises(ValueError, match="404"):
        fetch(server.url, "/transcript/v9999")
    with pytest.raises(ValueError, match="404"):
        fetch(server.url, "/else")


def test_503_the_first_time_then_200(serve):
    server = serve("--n", "70", "--latency", "0")
    with pytest.raises(TransientError, match="503"):
        fetch(server.url, "/transcript/v0010", task="a")
    assert fetch(server.url, "/transcript/v0010", task="a")["id"] == "v0010"
    log = server.log()
    assert [(line["item"], line["attempt"], line["status"], line["task"]) for line in log] == [
        ("v0010", 1, 503, "a"),
        ("v0010", 2, 200, "a"),
    ]


def test_429_says_when_to_come_back(serve):
    server = serve("--n", "70", "--latency", "0")
    with pytest.raises(TooManyRequests) as first:
        fetch(server.url, "/transcript/v0061")
    assert first.value.retry_after == 1.0


def test_429_means_it():
    async def statuses(*times):
        party = ThirdParty(documents(70), 0.0, io.StringIO())
        found = []
        for attempt, now in enumerate(times, 1):
            party.now = partial(float, now)
            found.append(party.transcript("v0061", attempt)[0])
        return found

    assert asyncio.run(statuses(5.0, 6.0)) == [429, 200]
    assert asyncio.run(statuses(5.0, 5.9, 6.8, 7.8)) == [429, 429, 429, 200]  # too early, and so once more


def test_who_waits_for_a_while_yet():
    """A kill by what was told must come before the answers do."""

    async def told(*times):
        party, loop = ThirdParty(documents(1), 4.0, io.StringIO()), asyncio.get_running_loop()
        party.open = {loop.call_at(when, print): pid for when, pid in ((9.0, "7"), (10.0, "7"), (11.0, "8"))}
        found = []
        for now in times:
            party.now = partial(float, now)
            found.append(party.waiting())
        for timer in party.open:
            timer.cancel()
        return found

    assert asyncio.run(told(7.0, 8.0, 9.0, 9.5)) == [{"7": 2, "8": 1}, {"7": 1, "8": 1}, {"8": 1}, {}]


def test_only_get_is_answered(serve):
    server = serve("--n", "1", "--latency", "0")
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request("DELETE", "/playlist")
    assert connection.getresponse().status == 405
    connection.close()


def test_a_client_that_hangs_up_is_in_the_log(serve):
    server = serve("--n", "3", "--latency", "60")
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request("GET", "/transcript/v0001", headers={"X-Pid": "77", "X-Task": "t"})
    while fetch(server.url, "/open") != {"77": 1}:
        pass
    connection.close()
    while not server.log():
        fetch(server.url, "/open")
    (line,) = server.log()
    assert (line["item"], line["status"], line["pid"], line["task"]) == ("v0001", GONE, "77", "t")
    assert fetch(server.url, "/open") == {}


def test_fifty_wait_at_the_same_time(serve):
    server = serve("--n", "50", "--latency", "600")
    connections = [http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20) for _ in range(50)]
    for number, connection in enumerate(connections):
        connection.request("GET", f"/transcript/v{number:04d}", headers={"X-Pid": "1"})
    while fetch(server.url, "/open") != {"1": 50}:
        pass
    for connection in connections:
        connection.close()
    while len(server.log()) < 50:
        fetch(server.url, "/open")
    assert sorted(line["open"] for line in server.log()) == list(range(1, 51))


def test_it_ends_with_its_standard_input(serve):
    server = serve("--n", "1", "--latency", "0")
    assert server.stop() == 0
