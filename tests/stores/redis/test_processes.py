"""Forks, threads, and what an import costs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from smallage.core.message import Done
from smallage.stores.base import Order
from smallage.stores.redis import RedisStore
from tests.contract.kit import Session, task, uid
from tests.redis_server import RedisServer


@pytest.mark.redis
def test_a_forked_child_leaves_its_parents_connections_alone(store: RedisStore) -> None:
    worker = Session(store)
    store.push([task(n) for n in range(20)])
    mine = worker.claim(1)
    inherited = {wire.fileno() for wire in store._link._pool}
    assert inherited
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.after_fork()
            clean = not store._link._pool
            own = Session(store, "child")
            (claim,) = own.claim(1)
            code = 0 if clean and own.settle(claim, Done(b"child")) == "ok" else 2
        finally:
            os._exit(code)
    for claim in mine + worker.claim(3):
        assert worker.settle(claim, Done(b"parent")) == "ok"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.counts()[""]["done"] == len(mine) + 4
    assert {wire.fileno() for wire in store._link._pool} == inherited


@pytest.mark.redis
def test_a_child_that_forgot_to_say_so_is_noticed(store: RedisStore) -> None:
    store.push([task(1)])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if store.push([task(2)]) == ["ok"] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.push([task(2)]) == ["dup"]


@pytest.mark.redis
def test_threads_share_a_store(store: RedisStore) -> None:
    sessions = [Session(store, f"s{n}") for n in range(8)]
    store.push([task(n) for n in range(400)])
    done: list[str] = []

    def work(session: Session) -> None:
        while claims := session.claim(7):
            for claim in claims:
                assert session.settle(claim, Done(claim.id.encode())) == "ok"
                done.append(claim.id)

    threads = [threading.Thread(target=work, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == [uid(n) for n in range(400)]
    assert all(view and view.result == view.id.encode() for view in store.state(done))
    assert store.audit() == []


@pytest.mark.redis
def test_a_nudge_before_and_during_a_wait(server: RedisServer, store: RedisStore) -> None:
    Session(store)
    store.nudge("s1")
    assert store.listen("s1", ["celery"], 30) is True
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(store.listen("s1", ["celery"], 30)))
    thread.start()
    with server.client() as client:
        while not client.info("clients")["blocked_clients"]:
            pass
    store.nudge("s1")
    thread.join(30)
    assert heard == [True]
    assert store.listen("s1", ["celery"], 0.01) is False


@pytest.mark.redis
def test_many_orders_are_taken_in_order(store: RedisStore) -> None:
    Session(store, "w", inbox="box")
    box = store.mailbox("box")
    sent = [Order("w", "cancel", uid(n), n, "größe") for n in range(300)]
    for order in sent:
        assert store.control(order)
    taken: list[Order] = []
    while len(taken) < len(sent):
        taken += box.take()
    assert taken == sent
    box.close()
    box.close()
    again = store.mailbox("box")
    assert again.take() == []
    again.close()


def test_the_store_does_not_import_redis_py() -> None:
    """It costs more time than the start of Python and all of Smallage; hiredis alone costs next to nothing."""
    heavy = ("redis", "asyncio", "ssl", "logging", "threading", "hashlib")
    code = f"import sys, smallage.stores.redis; print(sorted(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
