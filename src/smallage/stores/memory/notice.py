"""How the memory store tells waiting threads: bells for workers, watches for readers, mailboxes for supervisors."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence

from smallage.stores.base import Order

MAX_BELLS = 64


class Bells:
    """Counted bells by queue; a listener takes one stroke."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._strokes: dict[str, int] = {}
        self._nudged: set[str] = set()

    def ring(self, queue: str, strokes: int = 1) -> None:
        with self._changed:
            self._strokes[queue] = min(MAX_BELLS, self._strokes.get(queue, 0) + strokes)
            self._changed.notify_all()

    def silence(self, queue: str) -> None:
        with self._changed:
            self._strokes.pop(queue, None)

    def nudge(self, session: str) -> None:
        with self._changed:
            self._nudged.add(session)
            self._changed.notify_all()

    def listen(self, session: str, queues: Sequence[str], timeout: float) -> bool:
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                if session in self._nudged:
                    self._nudged.discard(session)
                    return True
                for queue in queues:
                    if self._strokes.get(queue, 0) > 0:
                        self._strokes[queue] -= 1
                        return True
                left = end - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return False


class MemoryWatch:
    """See `Watch`. A change is queued for every watch that knows the id."""

    def __init__(self, watches: set[MemoryWatch]) -> None:
        self._watches = watches
        self._changed = threading.Condition()
        self._ids: set[str] = set()
        self._pending: set[str] = set()
        self._woken = False
        watches.add(self)

    def add(self, ids: Sequence[str]) -> None:
        with self._changed:
            self._ids.update(ids)

    def discard(self, ids: Sequence[str]) -> None:
        with self._changed:
            self._ids.difference_update(ids)
            self._pending.difference_update(ids)

    def tell(self, changed: Iterable[str]) -> None:
        with self._changed:
            known = self._ids.intersection(changed)
            if known:
                self._pending |= known
                self._changed.notify_all()

    def wait(self, timeout: float | None) -> set[str]:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._woken, timeout)
            pending, self._pending, self._woken = self._pending, set(), False
            return pending

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        self._watches.discard(self)


class MemoryMailbox:
    """See `Mailbox`. The socket pair only says that there is something to take."""

    def __init__(self, orders: deque[Order]) -> None:
        self._orders = orders
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        if orders:
            self.ring()

    def ring(self) -> None:
        try:
            self._writer.send(b"!")
        except (BlockingIOError, OSError):
            pass  # full is loud enough; closed has no reader

    def fileno(self) -> int:
        return self._reader.fileno()

    def take(self) -> list[Order]:
        try:
            while self._reader.recv(4096):
                pass
        except (BlockingIOError, OSError):
            pass
        taken = []
        while self._orders:
            taken.append(self._orders.popleft())
        return taken

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
