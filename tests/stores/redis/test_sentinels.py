"""Asking sentinels, over sockets that say what a script wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import hiredis
import pytest

from smallage.core.errors import StoreRefused, StoreUnavailable
from smallage.stores.redis import sentinels
from smallage.stores.redis.address import parse
from smallage.stores.redis.sentinels import Sentinels


def bulk(text: str) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text.encode())


def array(*items: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(items), b"".join(items))


def fields(**values: object) -> bytes:
    return array(*[bulk(str(word).replace("_", "-")) for pair in values.items() for word in pair])


class Scripted:
    """A server of the protocol: what it answers to a command is what stands under the command's first words."""

    def __init__(self, **answers: bytes) -> None:
        self.answers = {"CLIENT": b"+OK\r\n", "AUTH": b"+OK\r\n", **answers}
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def say(self, message: str) -> None:
        """Publish to whoever has connected."""
        news = array(bulk("message"), bulk("+switch-master"), bulk(message))
        for end in self._ends:
            try:
                end.sendall(news)
            except OSError:
                pass

    def hang_up(self) -> None:
        for end in self._ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        """End it; twice is fine."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(30)
        self.hang_up()
        for thread in self._threads:
            thread.join(30)
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends.append(end)
            self._threads.append(threading.Thread(target=self._serve, args=(end,), daemon=True))
            self._threads[-1].start()

    def _serve(self, end: socket.socket) -> None:
        reader = hiredis.Reader()
        try:
            while data := end.recv(65536):
                reader.feed(data)
                while (command := reader.gets()) is not False:
                    words = [word.decode() for word in command]
                    self.asked.append(" ".join(words))
                    end.sendall(self._answer(words))
        except OSError:
            pass

    def _answer(self, words: list[str]) -> bytes:
        named = "_".join(words[:2]).replace("-", "_")
        return self.answers.get(named) or self.answers.get(words[0]) or b"-ERR unknown command\r\n"


MASTER = array(bulk("master"), b":0\r\n", array())
REPLICA = array(bulk("slave"), bulk("h"), b":1\r\n", bulk("connected"), b":0\r\n")
SUBSCRIBED = array(bulk("subscribe"), bulk("+switch-master"), b":1\r\n")


def about(server: Scripted, epoch: int = 1, others: tuple[Scripted, ...] = ()) -> dict[str, bytes]:
    """The answers of a sentinel that names `server`."""
    return {
        "SENTINEL_GET_MASTER_ADDR_BY_NAME": array(bulk("127.0.0.1"), bulk(str(server.port))),
        "SENTINEL_MASTER": fields(name="x", config_epoch=epoch),
        "SENTINEL_SENTINELS": array(*[fields(ip="127.0.0.1", port=other.port) for other in others]),
        "SUBSCRIBE": SUBSCRIBED,
    }


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scripted]]:
    """`script(ROLE=…)` starts a server, which is gone at the test's end."""
    monkeypatch.setattr(sentinels, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(sentinels, "LONGEST_DEAF", 0.0)
    monkeypatch.setattr(sentinels, "jitter", lambda turn: 0.0)
    with ExitStack() as stack:

        def start(**answers: bytes) -> Scripted:
            made = Scripted(**answers)
            stack.callback(made.close)
            return made

        yield start


@pytest.fixture
def asking() -> Iterator[Callable[..., Sentinels]]:
    """`asking(sentinel, …)`: who asks these sentinels for the master "x"."""
    with ExitStack() as stack:

        def make(*servers: Scripted, more: str = "") -> Sentinels:
            places = ",".join([server.place for server in servers])
            made = Sentinels(parse(f"sentinel://{places}/0?master_name=x{more}"))
            stack.callback(made.close)
            return made

        yield make


def port_of(found: Sentinels) -> int:
    wire = found.dial()
    try:
        return wire.address.port
    finally:
        wire.close()


def test_the_master_is_asked_for_once(script: Any, asking: Any) -> None:
    server = script(ROLE=MASTER)
    sentinel = script(**about(server))
    found = asking(sentinel)
    assert [port_of(found) for _ in range(3)] == [server.port] * 3
    assert sentinel.asked.count("SENTINEL GET-MASTER-ADDR-BY-NAME x") == 1
    assert server.asked.count("ROLE") == 3


def test_sentinels_are_asked_in_turn_and_their_friends_remembered(script: Any, asking: Any) -> None:
    server = script(ROLE=MASTER)
    friend = script(**about(server))
    sentinel = script(**about(server, others=(friend,)))
    gone = script()
    gone.close()
    found = asking(gone, sentinel)
    assert port_of(found) == server.port
    sentinel.hang_up()
    sentinel.answers["SENTINEL_GET_MASTER_ADDR_BY_NAME"] = b"-BUSY not now\r\n"
    found.doubt()
    assert port_of(found) == server.port
    assert "SENTINEL GET-MASTER-ADDR-BY-NAME x" in friend.asked


def test_a_replica_is_no_master_whatever_a_sentinel_says(script: Any, asking: Any) -> None:
    former, server = script(ROLE=REPLICA), script(ROLE=MASTER)
    sentinel, better = script(**about(former)), script(**about(server))
    found = asking(sentinel, better)
    with pytest.raises(StoreUnavailable, match="is a slave"):
        found.dial()
    assert port_of(found) == server.port  # the next question goes to the next sentinel


def test_an_answer_from_before_a_known_failover_is_not_believed(script: Any, asking: Any) -> None:
    former, server = script(ROLE=MASTER), script(ROLE=MASTER)
    frozen, awake = script(**about(former, epoch=4)), script(**about(server, epoch=5))
    found = asking(awake, frozen)
    assert port_of(found) == server.port
    found.doubt()  # now the frozen one is the first to be asked
    assert port_of(found) == server.port
    assert frozen.asked
    awake.answers |= about(former, epoch=3)  # all begin anew: better an old answer than none
    found.doubt()
    assert port_of(found) == former.port


def test_news_end_all_connections_to_the_former_master(script: Any, asking: Any) -> None:
    former, server = script(ROLE=MASTER), script(ROLE=MASTER)
    sentinel = script(**about(former))
    found = asking(sentinel)
    old = found.dial()
    assert found.moved() is False
    sentinel.answers |= about(server, epoch=2)
    sentinel.say(f"other 127.0.0.1 1 127.0.0.1 {server.port}")
    sentinel.say(f"x 127.0.0.1 {former.port} 127.0.0.1 {server.port}")
    while not found.moved():
        pass
    with pytest.raises(StoreUnavailable, match="closed the connection"):
        old.read()
    assert port_of(found) == server.port
    assert found.moved() is False


def test_a_dead_ear_is_replaced_and_hears_what_was_missed(script: Any, asking: Any) -> None:
    former, server = script(ROLE=MASTER), script(ROLE=MASTER)
    sentinel = script(**about(former))
    found = asking(sentinel)
    found.dial().close()
    sentinel.answers |= about(server, epoch=2)
    sentinel.hang_up()
    while not found.moved():
        pass
    assert port_of(found) == server.port


def test_work_goes_on_while_no_sentinel_answers(script: Any, asking: Any) -> None:
    server = script(ROLE=MASTER)
    sentinel = script(**about(server))
    found = asking(sentinel)
    wire = found.dial()
    sentinel.answers["SENTINEL_GET_MASTER_ADDR_BY_NAME"] = b"-ERR not now\r\n"
    sentinel.hang_up()
    for _ in range(50):
        assert found.moved() is False
    assert wire.idle()
    wire.close()


def test_too_few_other_sentinels(script: Any, asking: Any) -> None:
    sentinel = script(**about(script(ROLE=MASTER)))
    with pytest.raises(StoreUnavailable, match="min_other_sentinels wants 1"):
        asking(sentinel, more="&min_other_sentinels=1").dial()


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"*-1\r\n", StoreRefused, "It watches: 'orders', 'tasks'"),
        (b"-ERR unknown command 'SENTINEL'\r\n", StoreRefused, "is no sentinel but a server"),
        (b"-NOPERM this user has no permissions\r\n", StoreRefused, "sentinel_kwargs"),
        (b"-BUSY not now\r\n", StoreUnavailable, "No sentinel of sentinel://"),
    ],
)
def test_what_a_sentinel_refuses(script: Any, asking: Any, answer: bytes, error: type[Exception], text: str) -> None:
    names = array(fields(name="tasks", port=1), fields(name="orders", port=2))
    sentinel = script(SUBSCRIBE=SUBSCRIBED, SENTINEL_GET_MASTER_ADDR_BY_NAME=answer, SENTINEL_MASTERS=names)
    with pytest.raises(error, match=text):
        asking(sentinel).dial()


def test_one_that_knows_better_is_asked_after_one_that_refuses(script: Any, asking: Any) -> None:
    server = script(ROLE=MASTER)
    stranger = script(SUBSCRIBE=SUBSCRIBED, SENTINEL_GET_MASTER_ADDR_BY_NAME=b"*-1\r\n", SENTINEL_MASTERS=array())
    assert port_of(asking(stranger, script(**about(server)))) == server.port


def test_a_name_that_was_known_comes_back(script: Any, asking: Any) -> None:
    sentinel = script(**about(script(ROLE=MASTER)))
    found = asking(sentinel)
    found.dial().close()
    sentinel.answers["SENTINEL_GET_MASTER_ADDR_BY_NAME"] = b"*-1\r\n"
    found.doubt()
    with pytest.raises(StoreUnavailable, match="watches no master 'x'"):
        found.dial()


def test_a_sentinel_that_may_not_be_listened_to_is_asked_each_time(script: Any, asking: Any) -> None:
    server = script(ROLE=MASTER)
    sentinel = script(**{**about(server), "SUBSCRIBE": b"-NOPERM no channel\r\n"})
    found = asking(sentinel)
    assert [port_of(found) for _ in range(2)] == [server.port] * 2
    assert sentinel.asked.count("SENTINEL GET-MASTER-ADDR-BY-NAME x") == 2


def test_sentinels_have_a_login_of_their_own(script: Any, asking: Any) -> None:
    server = script(ROLE=MASTER)
    sentinel = script(**about(server))
    assert port_of(asking(sentinel, more="&sentinel_username=u&sentinel_password=pw&password=other")) == server.port
    assert "AUTH u pw" in sentinel.asked
    assert "AUTH other" in server.asked
