"""Several processes on one file: sharing, dying, forking."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from smallage.core.message import Done, settlement
from smallage.stores.base import ClaimRequest, SessionInfo
from smallage.stores.sqlite import liveness, place
from smallage.stores.sqlite.store import SqliteStore
from tests.contract.kit import Session, task, uid
from tests.stores.sqlite.conftest import Program, line, tell

LONG = 20.0


def test_two_processes_share_the_work(store: SqliteStore, program: Program) -> None:
    store.push([task(n) for n in range(400)])
    text = """
store.announce(sys.argv[2], SessionInfo(queues=("celery",)))
n = done = 0
while claims := store.claim(sys.argv[2], ClaimRequest(("celery",), 7, str(n))).claims:
    n += 1
    done += store.settle(sys.argv[2], [settlement(c, Done(b"1")) for c in claims]).verdicts.count("ok")
say(done)
"""
    workers = [program(text, name) for name in ("a", "b", "c")]
    assert sum(int(line(worker)) for worker in workers) == 400
    assert store.counts()[""]["done"] == 400
    assert store.audit() == []


def test_a_bell_reaches_another_process(store: SqliteStore, program: Program) -> None:
    other = program(
        """
store.announce("far", SessionInfo(queues=("celery",)))
while store.listen("far", ("celery",), 0.0): pass
say("listening")
say(store.listen("far", ("celery",), 20.0), len(store.claim("far", ClaimRequest(("celery",), 1, "n")).claims))
"""
    )
    assert line(other) == "listening"
    store.push([task(1)])
    assert line(other) == "True 1"


def test_a_result_reaches_a_watch_in_another_process(store: SqliteStore, program: Program) -> None:
    worker = Session(store)
    store.push([task(1)])
    claim = worker.one()
    other = program(
        """
watch = store.watch()
watch.add([task(1).id])
say("watching")
changed = watch.wait(20.0)
say(changed == {task(1).id}, store.state([task(1).id])[0].result)
"""
    )
    assert line(other) == "watching"
    worker.settle(claim, Done(b"42"))
    assert line(other) == "True b'42'"


def test_an_order_reaches_a_mailbox_in_another_process(store: SqliteStore, program: Program) -> None:
    other = program(
        """
import select
box = store.mailbox("super")
box.take()
store.announce("child", SessionInfo(inbox="super"))
store.push([task(1)])
say(len(store.claim("child", ClaimRequest(("celery",), 1, "n")).claims))
orders = []
while not orders and select.select([box], [], [], 20.0)[0]:
    orders = box.take()
say([(o.session, o.kind, o.id) for o in orders] == [("child", "cancel", task(1).id)])
"""
    )
    assert line(other) == "1"
    assert store.revoke([uid(1)], terminate=True) == ["cancelled"]
    assert line(other) == "True"


# -- liveness ---------------------------------------------------------------------------------------------------------

HOLDER = """
store.announce("far", SessionInfo())
say(len(store.claim("far", ClaimRequest(("celery",), 2, "n")).claims))
input()
"""


def test_a_killed_holder_is_proven_dead(store: SqliteStore, program: Program) -> None:
    store.push([task(1), task(2)])
    other = program(HOLDER)
    assert line(other) == "2"
    assert store.dead_peers() == []
    other.kill()
    other.wait()
    assert store.dead_peers() == ["far"]
    assert store.tick([], store.dead_peers()).taken_back == (uid(1), uid(2))
    assert store.dead_peers() == []
    assert not liveness.lock_file(place.runtime_of(store.path), "far").exists()


def test_a_stopped_holder_is_alive(store: SqliteStore, program: Program) -> None:
    other = program(HOLDER)
    line(other)
    os.kill(other.pid, signal.SIGSTOP)
    assert store.dead_peers() == []
    os.kill(other.pid, signal.SIGCONT)


def test_a_grandchild_does_not_keep_a_dead_holder_alive(store: SqliteStore, program: Program) -> None:
    other = program(
        """
store.announce("far", SessionInfo())
child = os.fork()
if not child:
    say("forked")
    input()
    os._exit(0)
os.waitpid(child, 0)
"""
    )
    assert line(other) == "forked"
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert store.dead_peers() == ["far"]
    tell(other)


def test_asking_does_not_give_up_our_own_lock(store: SqliteStore, program: Program) -> None:
    store.announce("near", SessionInfo())
    for _ in range(3):
        assert store.dead_peers() == []
    other = program("say(store.dead_peers())")
    assert line(other) == "[]"
    store.leave("near")
    assert line(program("say(store.dead_peers())")) == "[]"


def test_a_session_of_an_older_boot_is_dead(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.announce("old", SessionInfo())
    store.push([task(1)])
    store.claim("old", ClaimRequest(("celery",), 1, "n"))
    monkeypatch.setattr("smallage.stores.sqlite.store.liveness.boot_id", lambda: "another boot")
    monkeypatch.setattr("smallage.stores.sqlite.sessions.boot_id", lambda: "another boot")
    assert store.dead_peers() == ["old"]
    ticked = store.tick(["old"])
    assert (ticked.unknown, ticked.taken_back) == (("old",), (uid(1),))


def test_the_log_of_a_lone_producer_stays_short(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smallage.stores.sqlite.writer.WAL_PAGES", 100)
    for n in range(0, 6000, 100):
        store.push([task(n + i) for i in range(100)])
    assert place.wal_of(store.path).stat().st_size < 400 * 4096


def test_the_log_begins_anew_under_steady_load(
    store: SqliteStore, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallage.stores.sqlite.store.CHECKPOINT_PAGES", 50)
    monkeypatch.setattr("smallage.stores.sqlite.store.RESTART_PAGES", 100)
    other = program(
        """
n = 0
while True:
    store.push([task(n + i) for i in range(10)])
    n += 10
    say(n)
"""
    )
    longest = restarts = 0
    while restarts < 3:  # or the test's own time is over
        line(other)
        store.tick([])
        pages = store._writer.wal_pages
        restarts += pages < longest
        longest = 0 if pages < longest else pages


# -- dying ------------------------------------------------------------------------------------------------------------

BUSY = """
import itertools
store.announce(sys.argv[2], SessionInfo(queues=("celery",)))
base = int(sys.argv[3])
say("going")
for n in itertools.count():
    store.push([task(base + n * 3 + i) for i in range(3)])
    say(base + n * 3)
    claims = store.claim(sys.argv[2], ClaimRequest(("celery",), 2, f"n{n}")).claims
    if claims:
        store.settle(sys.argv[2], [settlement(c, Done(b"1")) for c in claims], ClaimRequest(("celery",), 1, f"m{n}"))
"""


@pytest.mark.slow
def test_killed_at_any_moment_the_file_is_whole_and_nothing_accepted_is_lost(
    store: SqliteStore, program: Program
) -> None:
    accepted: list[int] = []
    for round_ in range(8):
        names = [f"w{round_}a", f"w{round_}b"]
        workers = [program(BUSY, name, str(1_000_000 * (2 * round_ + i))) for i, name in enumerate(names)]
        for worker in workers:
            assert line(worker) == "going"
        for _ in range(3 + 5 * round_):
            accepted.append(int(line(workers[0])))
        for worker in workers:
            worker.kill()
        for worker in workers:
            said, _ = worker.communicate()
            accepted += [int(word) for word in said.split()[:-1]]
        dead = store.dead_peers()
        assert sorted(dead) == names
        store.tick([], dead)
        assert store.audit() == []
    ids = [uid(first + i) for first in accepted for i in range(3)]
    for start in range(0, len(ids), 1000):
        assert None not in store.state(ids[start : start + 1000])
    counts = store.counts()
    assert counts["celery"].get("running", 0) == 0


# -- forking ----------------------------------------------------------------------------------------------------------


def test_a_fork_inherits_no_connection_and_both_go_on(store: SqliteStore, program: Program) -> None:
    other = program(
        """
store.announce("parent", SessionInfo())
watch = store.watch()
store.push([task(1)])
def databases():
    return sum("queue.db" in os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
               if os.path.islink(f"/proc/self/fd/{fd}") and not os.readlink(f"/proc/self/fd/{fd}").endswith(".d"))
say(databases() > 1)
child = os.fork()
if not child:
    say(store._writer._connection is None, len(store._readers._idle))
    store.after_fork()
    say(store.push([task(2)]), store.held("parent"))
    store.announce("child", SessionInfo())
    store.close()
    os._exit(0)
os.waitpid(child, 0)
say(store.push([task(3)]), sorted(store.dead_peers()))
"""
    )
    assert [line(other) for _ in range(4)] == ["True", "True 0", "['ok'] []", "['ok'] ['child']"]
    assert [view is not None for view in store.state([uid(n) for n in (1, 2, 3)])] == [True] * 3


def test_commits_of_a_child_outlive_the_parents_connections(store: SqliteStore, program: Program) -> None:
    """SQLite takes locks that a parent had for the child's own; the log must not be deleted under the child."""
    other = program(
        """
store.push([task(1)])
reading, writing = os.pipe()
child = os.fork()
if not child:
    store.push([task(2)])
    say("child pushed")
    os.read(reading, 1)
    store.push([task(3)])
    os._exit(0)
input()
store.push([task(4)])
store.close()
os.write(writing, b"x")
os.waitpid(child, 0)
say("over")
"""
    )
    assert line(other) == "child pushed"
    store.close()
    tell(other)
    assert line(other) == "over"
    assert [view is not None for view in store.state([uid(n) for n in (1, 2, 3, 4)])] == [True] * 4


def test_a_fork_amid_other_threads_writes(store: SqliteStore, program: Program) -> None:
    other = program(
        """
import threading
stop = threading.Event()
def pushing(base):
    n = base
    while not stop.is_set():
        store.push([task(n)])
        n += 1
threads = [threading.Thread(target=pushing, args=(10_000 * i,)) for i in range(1, 4)]
for thread in threads: thread.start()
for i in range(10):
    child = os.fork()
    if not child:
        store.push([task(i)])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
say("over")
"""
    )
    assert line(other) == "over"
    assert None not in store.state([uid(n) for n in range(10)])
    assert store.audit() == []


def test_a_fork_amid_another_threads_import(store: SqliteStore, program: Program) -> None:
    """What a thread was importing stays locked in the child for ever: nothing may be needed that was not loaded."""
    other = program(
        """
store.push([task(1)])
say("ctypes" in sys.modules)
child = os.fork()
if not child:
    os._exit(0)
os.waitpid(child, 0)
say("ctypes" in sys.modules)
"""
    )
    assert [line(other) for _ in range(2)] == ["False", "True"]


def test_settles_of_many_threads_are_gathered(store: SqliteStore) -> None:
    """Each thread hears of its own act, once it is on disk."""
    store.push([task(n) for n in range(200)])
    worker = Session(store)
    claims = [claim for _ in range(2) for claim in worker.claim(100)]
    verdicts: list[str] = []

    def settle_some(mine: int) -> None:
        for claim in claims[mine::8]:
            verdicts.extend(store.settle("s1", [settlement(claim, Done(b"%d" % mine))]).verdicts)
            (seen,) = store.state([claim.id])
            assert seen is not None
            assert seen.state == "done"

    threads = [threading.Thread(target=settle_some, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == ["ok"] * 200
    assert store.audit() == []
