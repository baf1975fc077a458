"""The file opened and kept: connections, checks once a second, acts that tell of themselves, forks."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import apsw

from smallage.core.errors import StoreFull, StoreRefused
from smallage.stores.shelter import sheltered
from smallage.stores.sqlite import liveness, place, schema
from smallage.stores.sqlite.connection import Readers, connect, opening, said_plainly
from smallage.stores.sqlite.ears import Ear, Folder, Speaker, bell, box, change
from smallage.stores.sqlite.ledger import Act
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rates import token_for
from smallage.stores.sqlite.rows import NEVER, Reader
from smallage.stores.sqlite.waiting import Bells
from smallage.stores.sqlite.writer import Writer

T = TypeVar("T")

CHECK_S: Final = 1.0
"""How often the file is made sure to be the one that was opened, and the disk to have room."""
RESERVE: Final = 16 * 2**20
"""Bytes of free disk below which no new tasks are taken, so that the old ones can still be worked off."""
FORK_PATIENCE_S: Final = 5.0

QUEUE_HAS_READY = query("queue_has_ready")

_opened: weakref.WeakSet[OpenedFile] = weakref.WeakSet()


def _wall_us() -> int:
    return time.time_ns() // 1000


class OpenedFile:
    """What the verbs stand on. Options: see `smallage.stores.sqlite.open`."""

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
        _opened.add(self)

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
            self._judge(self._identity.check)
            if self._folder is not None:
                self._folder.refresh()
            disk = os.statvfs(self.path.parent)
            free = disk.f_bavail * disk.f_frsize
            log = self._writer.wal_pages * 4096  # the next checkpoint may need as much again
            self._room = free > log + min(RESERVE, disk.f_blocks * disk.f_frsize // 20)

    def _judge(self, check: Callable[[], None]) -> None:
        """Remember what a check says."""
        try:
            check()
            self._refused = None
        except StoreRefused as error:
            self._refused = error
            raise

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

        with sheltered():
            result = self._writer.run(run, growing, durable)
            identity = self._identity
            if growing and identity is not None:
                self._judge(identity.check_file)  # what is accepted is in a file that others find
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
        with sheltered(), said_plainly(self.path), self._readers.lend() as connection:
            yield connection

    def _new_ear(self, kind: str) -> Ear:
        if self._folder is None:
            with self._read():
                pass
        assert self._folder is not None
        with said_plainly(self.path):
            return Ear(self._folder, kind)

    def _anything_ready(self, queues: Sequence[str], first: bool) -> bool:
        """Whether there is something to claim; with `first`, whether a bell may have rung that nobody has heard."""
        with self._read() as reader:
            now = NEVER if first else self._wall()
            return any(
                reader.execute(QUEUE_HAS_READY, (queue,)).fetchone() or token_for(reader, queue, now)
                for queue in queues
            )


_paused: list[OpenedFile] = []


def _before_fork() -> None:
    if len(_opened):
        # For `leak`, in the child: what another thread is importing during a fork stays locked there for ever.
        import ctypes  # noqa: F401
    for store in list(_opened):
        if store.before_fork():
            _paused.append(store)


def _after_fork_in_parent() -> None:
    while _paused:
        _paused.pop().forked()


def _after_fork_in_child() -> None:
    _paused.clear()
    for store in list(_opened):
        store.after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
