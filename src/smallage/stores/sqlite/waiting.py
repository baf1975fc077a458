"""What the store's users wait on: bells of a session, a watch, a mailbox. Each is an ear with its own manners."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from smallage.stores.base import Order
from smallage.stores.sqlite.ears import Ear, bell, change

LOOK_S: Final = 1.0
"""A listener that heard nothing for so long looks into the store itself."""


class _Listener:
    """The ear of one session, and what is to be said at its next `listen`."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.queues: set[str] = set()
        self.pending = False
        self.nudged = False

    def take_nudge(self) -> bool:
        was, self.nudged = self.nudged, False
        return was

    def take_pending(self) -> bool:
        was, self.pending = self.pending, False
        return was


class Bells:
    """The bells of this process's sessions."""

    def __init__(self, new_ear: Callable[[str], Ear], anything_ready: Callable[[Sequence[str], bool], bool]) -> None:
        self._new_ear = new_ear
        self._anything_ready = anything_ready
        self._lock = threading.Lock()
        self._listeners: dict[str, _Listener] = {}
        self._nudged: set[str] = set()

    def listen(self, session: str, queues: Sequence[str], timeout: float) -> bool:
        """See `Store.listen`."""
        listener = self._listener(session, queues)
        end = time.monotonic() + timeout
        while True:
            if listener.take_nudge() or listener.take_pending():
                return True
            left = end - time.monotonic()
            if listener.ear.hear_bell(max(0.0, min(LOOK_S, left))):
                return True
            if left <= LOOK_S:
                return listener.take_nudge()
            if self._anything_ready(queues, False):
                return True

    def _listener(self, session: str, queues: Sequence[str]) -> _Listener:
        with self._lock:
            listener = self._listeners.get(session)
            if listener is None:
                listener = self._listeners[session] = _Listener(self._new_ear("b"))
                listener.nudged = session in self._nudged
                self._nudged.discard(session)
        wanted = set(queues)
        if wanted != listener.queues:
            new = wanted - listener.queues
            listener.ear.want([bell(queue) for queue in new])
            listener.ear.drop([bell(queue) for queue in listener.queues - wanted])
            listener.queues = wanted
            if self._anything_ready(tuple(new), True):
                listener.pending = True
        return listener

    def nudge(self, session: str) -> None:
        """See `Store.nudge`."""
        with self._lock:
            listener = self._listeners.get(session)
            if listener is None:
                self._nudged.add(session)
                return
        listener.nudged = True
        listener.ear.wake()

    def quiet(self, session: str) -> None:
        """Before a claim: what has rung so far is answered by it."""
        listener = self._listeners.get(session)
        if listener is not None:
            listener.pending = False
            listener.ear.drain()

    def drop(self, session: str) -> None:
        """The session is over."""
        with self._lock:
            listener = self._listeners.pop(session, None)
            self._nudged.discard(session)
        if listener is not None:
            listener.ear.close()

    def close(self) -> None:
        for session in list(self._listeners):
            self.drop(session)

    def forget(self) -> None:
        """After a fork: the ears are the parent's."""
        self._lock = threading.Lock()
        self._listeners = {}
        self._nudged = set()


class SqliteWatch:
    """See `Watch`."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear

    def add(self, ids: Sequence[str]) -> None:
        self._ear.want([change(each) for each in ids])

    def discard(self, ids: Sequence[str]) -> None:
        self._ear.drop([change(each) for each in ids])

    def wait(self, timeout: float | None) -> set[str]:
        heard = self._ear.hear(timeout)
        return {key[1:] for key in (self._ear.wanted if heard is None else heard)}

    def wake(self) -> None:
        self._ear.wake()

    def close(self) -> None:
        self._ear.close()


class SqliteMailbox:
    """See `Mailbox`. The orders are in the store; the ear only says that there are some."""

    def __init__(self, ear: Ear, take: Callable[[], list[Order]]) -> None:
        self._ear = ear
        self._take = take
        self._ear.wake()  # orders may have waited

    def fileno(self) -> int:
        return self._ear.socket.fileno()

    def take(self) -> list[Order]:
        self._ear.drain()
        return self._take()

    def close(self) -> None:
        self._ear.close()
