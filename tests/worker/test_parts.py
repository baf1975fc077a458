"""The worker's small parts, each alone."""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
import pytest

from smallage.core.errors import ImproperlyConfigured
from smallage.core.message import Crashed, Failed, Released
from smallage.hosts import proven_dead, this_host
from smallage.stores import base
from smallage.stores.base import Host, SessionInfo, SessionView
from smallage.worker import children
from smallage.worker.bells import Bells
from smallage.worker.board import Board, Farewell, inherited, shared_by_file
from smallage.worker.children import ChildProcess, how_it_died
from smallage.worker.estate import Estate, estate_of
from smallage.worker.line import Line, Word
from smallage.worker.options import WorkerOptions, node_name, pool_named, shape
from smallage.worker.peers import Peers
from smallage.worker.restarts import Restarts
from smallage.worker.supervisor import Supervisor
from tests.contract.kit import task


# -- options ------------------------------------------------------------------------------------------------------
def test_celery_s_pool_names() -> None:
    assert pool_named("prefork") == "processes"
    with pytest.raises(ImproperlyConfigured, match="-P gevent"):
        pool_named("eventlet")
    with pytest.raises(ImproperlyConfigured, match="Choose one of: asyncio, gevent, processes, solo, threads"):
        pool_named("fibers")


@pytest.mark.parametrize(
    ("pool", "concurrency", "processes", "expected"),
    [
        ("solo", 8, 4, (1, 1)),
        ("processes", 4, 1, (4, 1)),
        ("threads", 8, 2, (2, 8)),
        ("asyncio", None, 1, (1, 100)),
        ("gevent", 500, 3, (3, 500)),
    ],
)
def test_children_and_their_places(pool: Any, concurrency: int | None, processes: int, expected: Any) -> None:
    assert shape(WorkerOptions(processes=processes), pool, concurrency) == expected


def test_node_names() -> None:
    host = socket.gethostname()
    assert node_name("") == f"celery@{host}"
    assert node_name("w1") == f"w1@{host}"
    assert node_name("w1@%h") == f"w1@{host}"
    assert node_name("w1@there") == "w1@there"


def test_options_travel() -> None:
    options = WorkerOptions(app="a:b", queues=("x", "y"), pool="threads", time_limit=1.5)
    assert msgspec.convert(msgspec.to_builtins(options), WorkerOptions) == options


# -- board --------------------------------------------------------------------------------------------------------
def test_a_board_is_read_by_another_process() -> None:
    board = shared_by_file(4)
    board.toks[2] = 77
    board.farewell = Farewell.RECYCLED
    assert board.fd is not None
    other = inherited(4, os.dup(board.fd))
    os.close(board.fd)
    assert other.running() == {77: 2}
    assert other.farewell == Farewell.RECYCLED
    other.fence = 5.0
    assert board.fence == 5.0


def test_a_new_board_fences_nothing_and_runs_nothing() -> None:
    board = Board(2)
    assert board.running() == {}
    assert board.fence == float("inf")
    assert board.farewell == Farewell.NONE


# -- line ---------------------------------------------------------------------------------------------------------
def test_words_come_whole_and_in_order_however_they_are_cut() -> None:
    ours, theirs = socket.socketpair()
    line = Line(theirs)
    data = b"".join(msgspec.json.encode(Word("cancel", id=str(n), tok=n)) + b"\n" for n in range(3))
    heard: list[Word] = []
    for byte in data:
        ours.send(bytes([byte]))
        heard += line.hear(wait=True) or []
    assert [(word.kind, word.id, word.tok) for word in heard] == [("cancel", str(n), n) for n in range(3)]
    assert line.hear(wait=False) == []
    ours.close()
    assert line.hear(wait=True) is None
    line.close()


def test_a_peer_that_does_not_read_never_blocks_us() -> None:
    ours, theirs = socket.socketpair()
    line = Line(ours)
    for n in range(20_000):
        line.say_later(Word("cancel", id="x" * 100, tok=n))
    assert not line.flush()
    other, heard = Line(theirs), 0
    while not line.flush():
        heard += len(other.hear(wait=True) or [])
    assert heard > 0
    line.close()
    other.close()


# -- hosts and peers ----------------------------------------------------------------------------------------------
def test_only_proof_counts_as_death() -> None:
    here = this_host(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    there = this_host(child.pid)
    assert not proven_dead(there, here)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert proven_dead(there, here)  # a zombie runs nothing
    child.communicate()
    assert proven_dead(there, here)
    assert not proven_dead(msgspec.structs.replace(there, boot_id="another"), here)
    assert not proven_dead(msgspec.structs.replace(there, pid_namespace="another"), here)
    assert not proven_dead(Host(), here)
    assert proven_dead(msgspec.structs.replace(here, pid_started=1), here)  # another process with the same pid


def seen(session: str, host: Host) -> SessionView:
    return SessionView(session=session, info=SessionInfo(host=host), lease_end_us=0, held=0)


def test_a_peer_s_end_is_told_by_its_descriptor() -> None:
    here, poll = this_host(os.getpid()), select.poll()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    peers = Peers(here, poll)
    peers.see([seen("a", this_host(child.pid)), seen("b", this_host(child.pid)), seen("own", here)], {"own"})
    assert (peers.dead(), peers.unwatched()) == ([], False)
    child.kill()
    ready = {fd for fd, _ in poll.poll(30_000)}
    assert peers.ended(ready)
    assert sorted(peers.dead()) == ["a", "b"]
    child.communicate()
    peers.see([], {"own"})
    assert peers.dead() == []
    peers.close()


def test_sessions_without_a_lock_are_left_to_a_living_supervisor_for_a_round() -> None:
    here = this_host(os.getpid())
    peers = Peers(here, select.poll())
    gone = msgspec.structs.replace(here, pid_started=1)
    peers.see([seen("living", here), seen("orphan", gone)], set())
    assert peers.unwatched()
    assert peers.confirmed(["living", "orphan", "own"], {"own"}) == ["orphan"]
    assert peers.confirmed(["living"], {"own"}) == ["living"]
    assert peers.confirmed([], set()) == []
    assert peers.confirmed(["living"], set()) == []
    peers.close()


# -- estates ------------------------------------------------------------------------------------------------------
def child_with(board: Board, killed: str = "") -> ChildProcess:
    return ChildProcess(cast(Any, None), 0, cast(Any, None), board, 0.0, "session", killed=killed)


@pytest.mark.parametrize(
    ("killed", "farewell", "started", "overdue"),
    [
        ("", Farewell.NONE, Crashed, Failed),
        ("limit", Farewell.NONE, Released, Failed),
        ("cancel", Farewell.NONE, Released, Released),
        ("stop", Farewell.NONE, Released, Released),
        ("", Farewell.FORCED, Released, Failed),
        ("", Farewell.RECYCLED, Released, Failed),
    ],
)
def test_what_the_claims_of_a_dead_child_are_charged_with(
    killed: str, farewell: Farewell, started: type, overdue: type
) -> None:
    board = Board(3)
    board.toks[0], board.toks[1] = 11, 22
    board.hard[1], board.limit[1] = 0.001, 5.0
    board.farewell = farewell
    estate = estate_of(child_with(board, killed), "signal 9")
    outcomes = {tok: type(estate._outcome(base.Held("id", 1, tok, "n"))) for tok in (11, 22, 33)}
    assert outcomes == {11: started, 22: overdue, 33: Released}


def test_an_estate_is_settled_once_and_the_session_left() -> None:
    store = base.open("memory://", shared=False)
    store.announce("s", SessionInfo(queues=("celery",)))
    store.push([base_message(n) for n in range(3)])
    claims = store.claim("s", base.ClaimRequest(("celery",), 3, "n")).claims
    started = frozenset({claims[0].tok})
    estate = Estate("s", started, overdue={}, once=frozenset(), cause="signal 9 (SIGKILL)", spared=False)
    for _ in range(2):  # the reply may be lost, so it may be settled again
        estate.settle(store)
    views = store.state([claim.id for claim in claims])
    assert [(v.state, v.crashes, v.lost, v.releases) for v in views if v] == [
        ("ready", 1, 0, 0),
        ("ready", 0, 0, 1),
        ("ready", 0, 0, 1),
    ]
    assert store.workers() == []


def base_message(n: int) -> Any:
    from smallage.core.message import Envelope, Message

    return Message(f"id-{n}", b"", Envelope(name="x"))


def test_deaths_in_words() -> None:
    assert how_it_died(signal.SIGSEGV, Farewell.NONE) == "signal 11 (SIGSEGV)"
    assert "out of memory?" in how_it_died(signal.SIGKILL, Farewell.NONE)
    assert how_it_died(0, Farewell.NONE) == "exit code 0"
    assert how_it_died(256, Farewell.NONE) == "exit code 1"


# -- bells --------------------------------------------------------------------------------------------------------
def test_a_worker_without_room_leaves_the_bells_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    store = base.open("memory://", shared=False)
    listen, listening, rang = store.listen, threading.Event(), threading.Event()

    def told(session: str, queues: Sequence[str], timeout: float) -> bool:
        listening.set()
        return listen(session, queues, timeout)

    monkeypatch.setattr(store, "listen", told)
    bells = Bells(store, lambda: "full", ("celery",), rang.set)
    bells.start()
    assert bells.leave_to_others() is False  # it did not listen
    bells.want()
    assert listening.wait(20)
    assert bells.leave_to_others() is True
    assert rang.wait(20)  # by the nudge: nobody listens there any more
    store.push([task(1)])
    assert listen("idle", ("celery",), 20.0)
    bells.close()
    bells.join()


# -- supervisor ---------------------------------------------------------------------------------------------------
def test_a_child_that_cannot_be_forked_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(children, "launch", no_room)
    supervisor = Supervisor(WorkerOptions())
    supervisor._start_child(0)
    assert supervisor._restarts.take(math.inf) == [0]
    assert supervisor._children == []


def test_a_fault_in_one_duty_does_not_end_the_supervisor(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor(WorkerOptions())

    def broken() -> None:
        raise RuntimeError("a fault of ours")

    duty: Callable[[], None] = broken
    supervisor._do(duty)
    assert "The supervisor failed at broken" in caplog.text


def test_useless_children_are_replaced_ever_later() -> None:
    restarts = Restarts()
    waits = [restarts.wait_after(child_with_number(Board(1))) for _ in range(12)]
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert all(0.0 < wait <= 5.0 for wait in waits[3:])
    useful = Board(1)
    useful.settled = 1
    assert restarts.wait_after(child_with_number(useful)) <= 0.1
    assert restarts.wait_after(child_with_number(Board(1))) == 0.0


def child_with_number(board: Board) -> ChildProcess:
    class Number:
        number = 0

    return ChildProcess(cast(Any, Number), 0, cast(Any, None), board, 0.0, "session")
