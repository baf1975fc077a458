"""Group commit: who leads, who follows, and what a failing act leaves behind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import apsw
import pytest

from smallage.core.errors import SoftTimeLimitExceeded, StoreFull, StoreUnavailable
from smallage.stores.sqlite import writer as writer_module
from smallage.stores.sqlite.writer import Writer


@pytest.fixture
def commits() -> list[None]:
    return []


@pytest.fixture
def writer(tmp_path: Path, commits: list[None]) -> Writer:
    def committed() -> bool:
        commits.append(None)
        return False  # go on

    def connect() -> apsw.Connection:
        connection = apsw.Connection(str(tmp_path / "w.db"))
        connection.execute(
            "pragma synchronous = full; pragma journal_mode = wal; create table if not exists t (a unique)"
        ).fetchall()
        connection.set_commit_hook(committed)
        return connection

    return Writer(tmp_path / "w.db", connect)


Act: TypeAlias = Callable[[apsw.Connection], Any]


def insert(value: object) -> Act:
    def act(connection: apsw.Connection) -> object:
        connection.execute("insert into t values (?)", (value,))
        return value

    return act


def rows(writer: Writer) -> list[object]:
    found: list[Any] = writer.run(lambda c: c.execute("select a from t order by a").fetchall())
    return [row[0] for row in found]


def test_a_lone_act(writer: Writer) -> None:
    assert writer.run(insert(1)) == 1
    assert rows(writer) == [1]


class Boom(Exception):
    pass


def test_an_act_that_fails_leaves_no_trace(writer: Writer) -> None:
    def act(connection: apsw.Connection) -> None:
        insert(1)(connection)
        raise Boom

    with pytest.raises(Boom):
        writer.run(act)
    writer.run(insert(2))
    assert rows(writer) == [2]


def together(writer: Writer, acts: list[Act]) -> list[object]:
    """Run acts in threads of their own that all arrive while a first one is at work; their results or errors."""
    first_runs, all_wait = threading.Event(), threading.Event()
    outcomes: list[object] = [None] * len(acts)

    def first(connection: apsw.Connection) -> None:
        first_runs.set()
        assert all_wait.wait(20)

    def run(place: int, act: Act) -> None:
        try:
            outcomes[place] = writer.run(act)
        except BaseException as error:
            outcomes[place] = error

    leader = threading.Thread(target=writer.run, args=(first,))
    leader.start()
    assert first_runs.wait(20)
    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for n, thread in enumerate(threads, 1):
        thread.start()
        while len(writer._waiting) < n:
            pass
    all_wait.set()
    for thread in [leader, *threads]:
        thread.join(20)
        assert not thread.is_alive()
    return outcomes


def test_those_who_wait_share_one_commit(writer: Writer, commits: list[None]) -> None:
    writer.run(insert(0))
    before = len(commits)
    assert together(writer, [insert(n) for n in range(1, 9)]) == list(range(1, 9))
    assert len(commits) - before == 2  # the first act's and theirs
    assert rows(writer) == list(range(9))


def test_one_failing_act_does_not_harm_its_neighbours(writer: Writer) -> None:
    def fails(connection: apsw.Connection) -> None:
        insert(99)(connection)
        raise Boom

    def breaks_the_rules(connection: apsw.Connection) -> None:
        insert(98)(connection)
        insert(1)(connection)

    outcomes = together(writer, [insert(1), fails, insert(2), breaks_the_rules, insert(3)])
    assert [type(each).__name__ for each in outcomes] == ["int", "Boom", "int", "StoreUnavailable", "int"]
    assert rows(writer) == [1, 2, 3]


def test_a_rollback_by_sqlite_itself_fails_all(writer: Writer) -> None:
    """A full disk or an I/O error takes the whole transaction with it: nobody may believe in a commit."""

    def full(connection: apsw.Connection) -> None:
        connection.execute("rollback")
        raise apsw.FullError("disk full")

    outcomes = together(writer, [insert(1), full, insert(2)])
    assert [type(each) for each in outcomes] == [StoreUnavailable] * 3
    assert rows(writer) == []
    writer.run(insert(5))
    assert rows(writer) == [5]


def test_full_is_said_to_those_who_add(writer: Writer) -> None:
    def full(connection: apsw.Connection) -> None:
        raise apsw.FullError("disk full")

    with pytest.raises(StoreFull):
        writer.run(full, growing=True)
    with pytest.raises(StoreUnavailable):
        writer.run(full)


def test_an_interrupted_leader_hands_on(writer: Writer) -> None:
    def interrupted(connection: apsw.Connection) -> None:
        insert(7)(connection)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer.run(interrupted)
    writer.run(insert(8))
    assert rows(writer) == [8]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SoftTimeLimitExceeded])
def test_an_interruption_is_for_the_leader_alone(writer: Writer, interruption: type[BaseException]) -> None:
    """The acts of the others, which the interrupted thread was running for them, are run by the next leader."""
    times = 0

    def interrupted_once(connection: apsw.Connection) -> str:
        nonlocal times
        times += 1
        insert(7)(connection)
        if times == 1:
            raise interruption
        return "done"

    outcomes = together(writer, [insert(1), interrupted_once, insert(2)])
    assert [each if isinstance(each, (int, str)) else type(each) for each in outcomes] == [interruption, "done", 2]
    assert rows(writer) == [2, 7]


def test_nobody_writes_during_a_pause(writer: Writer) -> None:
    writer.run(insert(1))
    assert writer.pause(1.0)
    assert writer._connection is None
    done = threading.Event()

    def insert_later() -> None:
        writer.run(insert(2))
        done.set()

    thread = threading.Thread(target=insert_later)
    thread.start()
    while not writer._waiting:
        pass
    assert not done.is_set()
    writer.resume()
    thread.join(20)
    assert rows(writer) == [1, 2]


def level(writer: Writer) -> int:
    assert writer._connection is not None
    return int(writer._connection.pragma("synchronous"))


FULL, NORMAL = 2, 1


def test_only_what_must_survive_a_power_cut_waits_for_the_disk(writer: Writer) -> None:
    writer.run(insert(1))
    assert level(writer) == FULL
    writer.run(insert(2), durable=False)
    assert level(writer) == NORMAL
    writer.run(insert(3))
    assert level(writer) == FULL


def test_a_durable_act_never_joins_a_transaction_that_does_not_wait_for_the_disk(writer: Writer) -> None:
    runs, goes_on = threading.Event(), threading.Event()
    levels: list[int] = []

    def lenient(connection: apsw.Connection) -> None:
        runs.set()
        assert goes_on.wait(20)

    def strict(connection: apsw.Connection) -> None:
        insert(1)(connection)
        levels.append(int(connection.pragma("synchronous")))

    threads = [threading.Thread(target=writer.run, args=(lenient,), kwargs={"durable": False})]
    threads[0].start()
    assert runs.wait(20)
    for act, durable in ((insert(5), False), (strict, True), (insert(6), False)):
        threads.append(threading.Thread(target=writer.run, args=(act,), kwargs={"durable": durable}))
        threads[-1].start()
        while len(writer._waiting) < len(threads) - 1:
            pass
    goes_on.set()
    for thread in threads:
        thread.join(20)
    assert levels == [FULL]
    assert rows(writer) == [1, 5, 6]


def test_a_commit_stands_while_another_process_copies_the_log(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's own copying is then refused; that must not be taken for a failure of the commit before it."""
    monkeypatch.setattr(writer_module, "WAL_PAGES", 1)
    writer.run(lambda connection: connection.execute("insert into t values (1)"))
    copying, over = threading.Event(), threading.Event()

    def patience(times: int) -> bool:
        copying.set()  # it has the lock of those who copy, and waits for our transaction to end
        over.wait(20)
        return False

    def copy() -> None:
        other = apsw.Connection(str(tmp_path / "w.db"))
        other.execute("select count(*) from t").fetchall()  # opens the log
        other.set_busy_handler(patience)
        with contextlib.suppress(apsw.BusyError):
            other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
        other.close()

    copier = threading.Thread(target=copy)

    def act(connection: apsw.Connection) -> str:
        connection.execute("insert into t values (2)")
        copier.start()
        assert copying.wait(20)
        return "done"

    try:
        assert writer.run(act) == "done"
    finally:
        over.set()
        copier.join()
    assert writer.run(lambda connection: connection.execute("select count(*) from t").fetchone()) == (2,)
