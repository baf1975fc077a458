"""Acts of many threads gathered into one transaction of the one writing connection.

There is no writer thread. A caller that finds nobody writing becomes the leader, runs its own act and those of all
callers that have queued up meanwhile, commits once, and wakes them; then the first of the callers that came later
leads. A lone caller pays for no hand-off. Each act has a savepoint when there are several, so that one that fails
leaves no trace and harms nobody.

Acts that nobody needs to find again after a power cut (claims, leases: their holders are gone then too) do not wait for
the disk; they are written before whatever is committed later, and survive the death of any process.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import apsw

from smallage.core.errors import SoftTimeLimitExceeded
from smallage.stores.sqlite.connection import WAL_PAGES, in_our_words, leak

T = TypeVar("T")
MAX_ACTS = 64


class _Job(Generic[T]):
    __slots__ = ("act", "durable", "error", "gate", "growing", "handed_on", "over", "result")

    def __init__(self, act: Callable[[apsw.Connection], T], growing: bool, durable: bool) -> None:
        self.act = act
        self.growing = growing
        self.durable = durable
        self.gate: threading.Lock | None = None
        self.over = False
        self.handed_on = False
        self.result: T | None = None
        self.error: BaseException | None = None


def _nothing(_: apsw.Connection) -> None:
    """The act of one who wants to lead and to write nothing."""


def _interrupts(error: BaseException) -> bool:
    """Whether an error was not made by an act but sent to the thread: it is nobody's answer but its own."""
    return isinstance(error, SoftTimeLimitExceeded) or not isinstance(error, Exception)


class Writer:
    """See the module's text. `connect` opens the writing connection when it is first needed."""

    def __init__(self, path: Path, connect: Callable[[], apsw.Connection]) -> None:
        self._path = path
        self._connect = connect
        self._connection: apsw.Connection | None = None
        self._pid = os.getpid()
        self._fresh()

    def _fresh(self) -> None:
        self._mutex = threading.Lock()
        self._busy = False
        self._waiting: deque[_Job[Any]] = deque()
        self._durable = True
        self.wal_pages = 0
        self._backstop = WAL_PAGES
        self._paused_by: _Job[None] | None = None

    def run(self, act: Callable[[apsw.Connection], T], growing: bool = False, durable: bool = True) -> T:
        """Run `act(connection)` in a write transaction; its result once that is on disk, or with `durable=False` once
        other processes see it. Raises what it raises, or StoreFull, StoreUnavailable or StoreRefused; then nothing of
        it was written."""
        if self._pid != os.getpid():
            self.forget()
        job = _Job(act, growing, durable)
        leads = False
        try:
            with self._mutex:
                if self._busy:
                    job.gate = threading.Lock()
                    job.gate.acquire()
                    self._waiting.append(job)
                else:
                    leads = self._busy = True
            if job.gate is not None:
                self._wait(job, job.gate)
                leads = not job.over
            if leads:
                self._lead(job)
        except BaseException:
            if leads and not job.handed_on:
                self._hand_on(job)
            raise
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]

    def _wait(self, job: _Job[Any], gate: threading.Lock) -> None:
        """Until the act is done or it is our turn to lead; if we are interrupted meanwhile, leave the line."""
        try:
            gate.acquire()
        except BaseException:
            with self._mutex:
                queued = job in self._waiting
                if queued:
                    self._waiting.remove(job)
            if not queued:
                gate.acquire()
                if not job.over:
                    self._hand_on(job)
            raise

    def _lead(self, own: _Job[Any]) -> None:
        jobs = [own]
        try:
            self._transact(jobs)
        except BaseException as error:
            if _interrupts(error):
                with self._mutex:  # this thread is wanted elsewhere; the others' acts are for the next leader
                    self._waiting.extendleft(reversed(jobs[1:]))
                del jobs[1:]
                raise
            for job in jobs:
                if job.error is None:
                    job.error = in_our_words(error, self._path, job.growing) if isinstance(error, apsw.Error) else error
            if isinstance(error, (apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError)):
                self.close()  # a new connection, when it is next needed, finds out whether the disk is well again
        finally:
            self._hand_on(own)
            for job in jobs:
                job.over = True
                if job.gate is not None and job is not own:
                    job.gate.release()

    def _hand_on(self, job: _Job[Any]) -> None:
        """`job` has led: let the first of those who wait lead, or nobody."""
        with self._mutex:
            job.handed_on = True
            if self._waiting:
                heir = self._waiting.popleft()
                assert heir.gate is not None
                heir.gate.release()
            else:
                self._busy = False

    def _transact(self, jobs: list[_Job[Any]]) -> None:
        """Run the first job and all that wait, which are added to `jobs`, in one transaction."""
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect()
            self._durable = True
            connection.set_wal_hook(self._after_commit)
        with self._mutex:
            durable = jobs[0].durable or any(job.durable for job in self._waiting)
        if durable != self._durable:
            connection.execute("pragma synchronous = full" if durable else "pragma synchronous = normal")
            self._durable = durable
        connection.execute("begin immediate")
        try:
            with self._mutex:
                while self._waiting and len(jobs) < MAX_ACTS and self._fits(self._waiting[0], durable):
                    jobs.append(self._waiting.popleft())
            if len(jobs) == 1:
                jobs[0].result = jobs[0].act(connection)
            else:
                for job in jobs:
                    self._run_one(connection, job)
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise

    @staticmethod
    def _fits(job: _Job[Any], durable: bool) -> bool:
        return job.act is not _nothing and (durable or not job.durable)

    def _run_one(self, connection: apsw.Connection, job: _Job[Any]) -> None:
        connection.execute("savepoint act")
        try:
            job.result = job.act(connection)
        except Exception as error:
            if _interrupts(error):
                raise
            if not connection.in_transaction:
                raise  # SQLite has rolled back everything: a full disk, an I/O error
            connection.execute("rollback to act")
            job.error = in_our_words(error, self._path, job.growing) if isinstance(error, apsw.Error) else error
        connection.execute("release act")

    def _after_commit(self, connection: apsw.Connection, database: str, pages: int) -> int:
        """The backstop for a log that no `tick` has checkpointed in time."""
        self.wal_pages = pages
        if pages < WAL_PAGES:
            self._backstop = WAL_PAGES
        elif pages >= self._backstop:
            self._backstop = pages + WAL_PAGES // 4
            try:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.Error:
                pass  # another process is at it, or the disk is full; raising would deny a commit that has taken place
        return apsw.SQLITE_OK

    def pause(self, patience: float) -> bool:
        """Before a fork: become the leader, so that nobody writes, and close the connection. False if a transaction
        went on for longer than `patience` seconds."""
        job: _Job[None] = _Job(_nothing, False, True)
        job.gate = threading.Lock()
        job.gate.acquire()
        with self._mutex:
            if self._busy:
                self._waiting.append(job)
            else:
                self._busy = True
                job.gate.release()
        if not job.gate.acquire(timeout=patience):
            with self._mutex:
                if job in self._waiting:
                    self._waiting.remove(job)
                    return False
        self._paused_by = job
        self.close()
        return True

    def resume(self) -> None:
        """In the parent, after a fork."""
        assert self._paused_by is not None
        self._hand_on(self._paused_by)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """After a fork: never touch the parent's connection again."""
        if self._connection is not None:
            leak(self._connection)
            self._connection = None
        self._pid = os.getpid()
        self._fresh()
