"""The verbs put together: each write is one act in one transaction, then bells, changes and orders go out."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import apsw

from smallage.core.errors import StoreFull, StoreRefused
from smallage.core.message import Claim, Message, Settlement
from smallage.core.states import State
from smallage.stores.base import (
    MAX_PUSH,
    Claimed,
    ClaimRequest,
    GroupBatch,
    GroupView,
    Held,
    MemberResult,
    Order,
    PushVerdict,
    RevokeVerdict,
    SessionInfo,
    SessionView,
    Settled,
    SettleVerdict,
    TaskView,
    Ticked,
)
from smallage.stores.sqlite import (
    audit,
    claim,
    groups,
    liveness,
    operators,
    place,
    push,
    readers,
    schema,
    sessions,
    settle,
)
from smallage.stores.sqlite.connection import Readers, connect, opening, patience, said_plainly
from smallage.stores.sqlite.ears import Ear, Folder, Speaker, bell, box, change
from smallage.stores.sqlite.ledger import NEXT_DUE, Act
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import Reader
from smallage.stores.sqlite.waiting import Bells, SqliteMailbox, SqliteWatch
from smallage.stores.sqlite.writer import Writer

T = TypeVar("T")

CHECK_S: Final = 1.0
"""How often the file is made sure to be the one that was opened, and the disk to have room."""
RESERVE: Final = 16 * 2**20
"""Bytes of free disk below which no new tasks are taken, so that the old ones can still be worked off."""
FORK_PATIENCE_S: Final = 5.0
CHECKPOINT_PAGES: Final = 1_000
PRUNING_S: Final = 0.2
RESTART_PAGES: Final = 3_000
RESTART_S: Final = 0.25
"""Longest wait for readers while writers are held up."""

SESSION_BY_NAME = query("session_by_name")
SESSIONS_JUDGED = query("sessions_judged")
QUEUE_HAS_READY = query("queue_has_ready")
INBOX_PEEK = query("inbox_peek")

_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()


def _wall_us() -> int:
    return time.time_ns() // 1000


class SqliteStore:
    """See `smallage.stores.base.Store`."""

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "smallage",
        clock: Callable[[], int] | None = None,
        nonce: Callable[[], str] | None = None,
    ) -> None:
        self.url = url
        self.path = place.path_of(url, namespace)
        self._wall = clock or _wall_us
        self._boot = clock or liveness.boot_us
        self._nonce = nonce or (lambda: os.urandom(8).hex())
        self._start()
        _stores.add(self)

    def _start(self) -> None:
        """Nothing is open yet: what this process needs is opened when it is first used."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._identity: place.Identity | None = None
        self._checked = 0.0
        self._room = True
        self._closed = False
        self._refused: StoreRefused | None = None
        self._folder: Folder | None = None
        self._speaker: Speaker | None = None
        self._bells = Bells(self._new_ear, self._anything_ready)
        self._announced: set[str] = set()
        self._writer = Writer(self.path, self._connect)
        self._readers = Readers(self._connect)

    # -- opening ----------------------------------------------------------------------------------------------------
    def setup(self) -> None:
        with opening(), said_plainly(self.path):
            place.make_file(self.path)
        with self._lock:
            with said_plainly(self.path, growing=True):
                self._check_place()
                connection = connect(self.path)
                try:
                    connection.execute("begin immediate")
                    schema.create_or_check(connection, self.path, self._nonce())
                    connection.execute("commit")
                finally:
                    connection.close()
        self._write(lambda act: None)

    def _check_place(self) -> None:
        place.check_folder(self.path.parent)
        place.check_file(self.path)
        place.make_runtime(self.path)

    def _connect(self) -> apsw.Connection:
        """A checked connection; the first one of a process checks the schema too and opens the runtime folder."""
        with self._lock, opening(), said_plainly(self.path):
            if self._identity is None:
                self._check_place()
                identity = place.Identity(self.path)
                connection = connect(self.path)
                schema.check(connection, self.path)
                self._folder = Folder(place.runtime_of(self.path))
                self._speaker = Speaker(self._folder)
                self._checked = 0.0
                self._identity = identity
                return connection
            place.check_file(self.path)
            return connect(self.path)

    def _check(self) -> None:
        """Once a second: is the file still ours, and is there room?"""
        if self._pid != os.getpid():
            self.after_fork()
        now = time.monotonic()
        if now - self._checked < CHECK_S:
            if self._refused is not None:
                raise self._refused
            return
        self._checked = now
        if self._identity is not None:
            try:
                self._identity.check()
                self._refused = None
            except StoreRefused as error:
                self._refused = error
                raise
            if self._folder is not None:
                self._folder.refresh()
            disk = os.statvfs(self.path.parent)
            free = disk.f_bavail * disk.f_frsize
            log = self._writer.wal_pages * 4096  # the next checkpoint may need as much again
            self._room = free > log + min(RESERVE, disk.f_blocks * disk.f_frsize // 20)

    def close(self) -> None:
        if self._pid != os.getpid():
            self.after_fork()
            return
        with self._lock:
            self._bells.close()
            self._writer.close()
            self._readers.close()
            for session in self._announced:
                liveness.release(place.runtime_of(self.path), session, ended=False)
            if self._folder is not None and self._speaker is not None:
                self._speaker.close()
                self._folder.close()
            self._start()

    def after_fork(self) -> None:
        if self._pid == os.getpid():
            return  # the hook below was here already
        self._writer.forget()
        self._readers.forget()
        self._bells.forget()
        if self._folder is not None:
            self._folder.forget()
        self._start()

    def before_fork(self) -> bool:
        """Close the connections, so that a child inherits none: SQLite would take the parent's locks for its own."""
        paused = self._writer.pause(FORK_PATIENCE_S)
        if self._readers.close(FORK_PATIENCE_S) and paused and self._identity is not None:
            self._identity.forget_log()
        return paused

    def forked(self) -> None:
        """In the parent, after the fork."""
        self._writer.resume()

    # -- acts and reads -----------------------------------------------------------------------------------------------
    def _write(self, verb: Callable[[Act], T], growing: bool = False, durable: bool = True) -> T:
        """Run a verb in a transaction; tell of it once it is written."""
        self._check()
        if growing and not self._room:
            raise StoreFull(
                f"Less than {RESERVE >> 20} MiB are free on the disk of {self.path}: no new tasks are taken"
            )
        act: Act | None = None

        def run(connection: apsw.Connection) -> T:
            nonlocal act
            act = Act(connection, self._wall(), self._boot())
            result = verb(act)
            act.finish()
            return result

        result = self._writer.run(run, growing, durable)
        if act is not None:
            self._tell(act)
        return result

    def _tell(self, act: Act) -> None:
        speaker = self._speaker
        if speaker is None or not speaker.listeners():
            return
        if act.all_changed:
            speaker.shout()
        else:
            speaker.say([*map(box, act.boxes), *map(change, act.changed)])
        speaker.ring({bell(queue): strokes for queue, strokes in act.rings.items()})

    @contextmanager
    def _read(self) -> Iterator[Reader]:
        self._check()
        with said_plainly(self.path), self._readers.lend() as connection:
            yield connection

    def _new_ear(self, kind: str) -> Ear:
        if self._folder is None:
            with self._read():
                pass
        assert self._folder is not None
        with said_plainly(self.path):
            return Ear(self._folder, kind)

    # -- in ---------------------------------------------------------------------------------------------------------
    def push(self, messages: Sequence[Message]) -> list[PushVerdict]:
        if len(messages) > MAX_PUSH:
            raise ValueError(f"push takes at most {MAX_PUSH} messages a call; split the batch")
        return self._write(lambda act: push.push(act, messages), growing=True) if messages else []

    def group_push(self, batch: GroupBatch) -> PushVerdict:
        if len(batch.rows) + len(batch.members) > MAX_PUSH:
            raise ValueError(f"group_push takes at most {MAX_PUSH} rows or members a call; split the batch")
        return self._write(lambda act: groups.group_push(act, batch), growing=True)

    # -- work -------------------------------------------------------------------------------------------------------
    def claim(self, session: str, request: ClaimRequest) -> Claimed:
        self._bells.quiet(session)
        idle = self._nothing_to_claim(session, request)
        if idle is not None:
            return idle
        return self._write(lambda act: claim.claim(act, session, request), durable=False)

    def _nothing_to_claim(self, session: str, request: ClaimRequest) -> Claimed | None:
        """The answer, without troubling the writers, if no queue has anything ready or due."""
        with self._read() as reader:
            now = self._wall()
            known = reader.execute(SESSION_BY_NAME, (session,)).fetchone()
            (due,) = reader.execute(NEXT_DUE).fetchone()
            if (due is not None and due <= now) or (known is not None and known[1] == request.nonce):
                return None
            if known is not None and request.n > 0:
                for queue in request.queues:
                    if reader.execute(QUEUE_HAS_READY, (queue,)).fetchone():
                        return None
            return Claimed(next_due_us=due, now_us=now)

    def settle(self, session: str, settlements: Sequence[Settlement], request: ClaimRequest | None = None) -> Settled:
        if not settlements:
            return Settled((), self.claim(session, request) if request else Claimed(now_us=self._wall()))
        if request is not None:
            self._bells.quiet(session)
        return self._write(lambda act: settle.settle(act, session, settlements, request))

    def progress(self, claim: Claim, note: bytes) -> SettleVerdict:
        return self._write(lambda act: settle.progress(act, claim, note), durable=False)

    def listen(self, session: str, queues: Sequence[str], timeout: float) -> bool:
        self._check()
        return self._bells.listen(session, queues, timeout)

    def nudge(self, session: str) -> None:
        self._bells.nudge(session)

    def _anything_ready(self, queues: Sequence[str]) -> bool:
        with self._read() as reader:
            return any(reader.execute(QUEUE_HAS_READY, (queue,)).fetchone() for queue in queues)

    # -- sessions ---------------------------------------------------------------------------------------------------
    def announce(self, session: str, info: SessionInfo) -> None:
        self._check()
        with said_plainly(self.path), self._read():
            pass
        folder = place.make_runtime(self.path)
        liveness.sweep(folder)
        liveness.hold(folder, session)
        self._announced.add(session)
        self._write(lambda act: sessions.announce(act, session, info), growing=True, durable=False)

    def tick(self, sessions_: Sequence[str], dead: Sequence[str] = ()) -> Ticked:
        ticked, pruned_all = self._write(lambda act: sessions.tick(act, sessions_, dead), durable=False)
        for session in dead:
            liveness.remove(place.runtime_of(self.path), session)
        end = time.monotonic() + PRUNING_S
        while not pruned_all and time.monotonic() < end:  # in small steps, so that nobody waits long for the lock
            pruned_all = self._write(sessions.prune, durable=False)
        if self._writer.wal_pages >= CHECKPOINT_PAGES:
            self._checkpoint()
        return ticked

    def _checkpoint(self) -> None:
        """Copy the log into the database without holding anybody up; when it is long, hold writers up for the last few
        pages, after which the log begins anew. Under steady load it would grow for ever otherwise."""
        with said_plainly(self.path):
            connection = self._connect()
            try:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if self._writer.wal_pages >= RESTART_PAGES:
                    connection.set_busy_handler(patience(RESTART_S, longest=0.0002))
                    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
            except (apsw.BusyError, apsw.FullError):
                pass  # somebody reads or checkpoints, or there is no room; the next tick tries again
            finally:
                connection.close()

    def leave(self, session: str) -> list[str]:
        left = self._write(lambda act: sessions.leave(act, session), durable=False)
        self._bells.drop(session)
        self._announced.discard(session)
        liveness.release(place.runtime_of(self.path), session)
        return left

    def held(self, session: str) -> list[Held]:
        with self._read() as reader:
            return readers.held(reader, session)

    def workers(self) -> list[SessionView]:
        with self._read() as reader:
            return readers.workers(reader, self._wall(), self._boot())

    def dead_peers(self) -> list[str]:
        with self._read() as reader:
            rows = reader.execute(SESSIONS_JUDGED).fetchall()
        folder, here = place.runtime_of(self.path), liveness.boot_id()
        return [name for _, name, _, boot in rows if boot != here or liveness.is_dead(folder, name)]

    def control(self, order: Order) -> bool:
        return self._write(lambda act: sessions.control(act, order))

    def mailbox(self, name: str) -> SqliteMailbox:
        ear = self._new_ear("m")
        ear.want([box(name)])
        return SqliteMailbox(ear, lambda: self._take_orders(name))

    def _take_orders(self, name: str) -> list[Order]:
        with self._read() as reader:
            if reader.execute(INBOX_PEEK, (name,)).fetchone() is None:
                return []
        return self._write(lambda act: sessions.take_orders(act, name), durable=False)

    # -- readers ----------------------------------------------------------------------------------------------------
    def state(self, ids: Sequence[str]) -> list[TaskView | None]:
        with self._read() as reader:
            return readers.state(reader, ids, self._wall())

    def watch(self) -> SqliteWatch:
        return SqliteWatch(self._new_ear("w"))

    def group(self, group: str) -> GroupView | None:
        with self._read() as reader:
            return readers.group(reader, group, self._wall())

    def results(self, group: str, offset: int, n: int) -> list[MemberResult]:
        with self._read() as reader:
            return readers.results(reader, group, offset, n, self._wall())

    def counts(self) -> dict[str, dict[str, int]]:
        with self._read() as reader:
            return readers.counts(reader)

    def find(self, state: State, n: int = 100, after: str | None = None) -> list[TaskView]:
        with self._read() as reader:
            return readers.find(reader, state, n, after, self._wall())

    def payload(self, task_id: str) -> tuple[bytes, bytes | None] | None:
        with self._read() as reader:
            return readers.payload(reader, task_id, self._wall())

    def audit(self) -> list[str]:
        with self._read() as reader:
            return audit.breaches(reader)

    # -- operators --------------------------------------------------------------------------------------------------
    def revoke(self, ids: Sequence[str], terminate: bool = False) -> list[RevokeVerdict]:
        return self._write(lambda act: operators.revoke(act, ids, terminate))

    def group_revoke(self, group: str, terminate: bool = False) -> int:
        return self._write(lambda act: operators.group_revoke(act, group, terminate))

    def group_retry(self, group: str) -> int:
        return self._write(lambda act: operators.group_retry(act, group))

    def requeue(self, ids: Sequence[str]) -> list[bool]:
        return self._write(lambda act: operators.requeue(act, ids))

    def forget(self, ids: Sequence[str]) -> int:
        return self._write(lambda act: operators.forget(act, ids))

    def pause(self, queue: str) -> None:
        self._write(lambda act: operators.pause(act, queue, True))

    def resume(self, queue: str) -> None:
        self._write(lambda act: operators.pause(act, queue, False))

    def purge(self, queue: str) -> int:
        n, step, last = 0, 1, None
        while step:
            step, last = self._write(partial(operators.purge_plain, queue=queue, last=last))
            n += step
        return n + self._write(lambda act: operators.purge_linked(act, queue))

    def unpark(self, name: str | None = None) -> int:
        return self._write(lambda act: operators.unpark(act, name))


_paused: list[SqliteStore] = []


def _before_fork() -> None:
    for store in list(_stores):
        if store.before_fork():
            _paused.append(store)


def _after_fork_in_parent() -> None:
    while _paused:
        _paused.pop().forked()


def _after_fork_in_child() -> None:
    _paused.clear()
    for store in list(_stores):
        store.after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
