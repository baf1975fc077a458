"""Waiting for a bell: one connection for each session that listens."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from smallage.core.errors import StoreUnavailable
from smallage.stores.redis.link import Link
from smallage.stores.redis.wire import ServerError, Wire, pack

_SHORTEST = 0.01
"""Seconds; 0 would block for ever."""


class Listener:
    """A session's ear: a connection that blocks on bells, and on a list that `nudge` writes to."""

    def __init__(self, link: Link, session: str) -> None:
        self._link = link
        self._session = session
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._blocked: Wire | None = None
        self._nudged = self._waiting = self._closed = False

    def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """True when a bell rang or somebody nudged."""
        with self._lock:
            self._waiting = True
            try:
                if self._nudged:
                    self._nudged = False
                    return True
                heard = self._block(queues, max(timeout, _SHORTEST))
                if heard == b"z":
                    self._nudged = False
                return heard is not None
            finally:
                self._waiting = False

    def nudge(self) -> None:
        """Make `wait` return, now or when it is called next."""
        self._nudged = True
        if self._waiting:
            try:
                self._link.run("nudge", self._session)
            except StoreUnavailable:
                pass  # then the listener's own connection is most likely broken too, and it returns by that

    def close(self) -> None:
        """Let go of the connection; a `wait` in another thread ends as if the server had gone."""
        self._closed = True
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        if (blocked := self._blocked) is not None:
            blocked.hang_up()

    def forget(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.forget()

    def _block(self, queues: Sequence[str], seconds: float) -> bytes | None:
        """The kind of list that something came from: b (a bell) or z (a nudge); None in silence."""
        prefix = self._link.prefix
        keys = [f"{prefix}z:{self._session}", *(f"{prefix}b:{queue}" for queue in queues)]
        packed = pack(("BLPOP", *keys, f"{seconds:.3f}"))
        wire, self._wire = self._wire, None  # given back only after a whole reply
        if wire is None or not wire.idle():
            if wire is not None:
                wire.close()
            wire = self._link.dial()
        self._blocked = wire
        try:
            wire.send(packed)
            reply = wire.read(seconds)
        except ServerError as error:
            wire.close()
            raise self._link.refusal(error) from None
        finally:
            self._blocked = None
        if self._closed:
            wire.close()
        else:
            self._wire = wire
        if reply is None:
            return None
        start = len(prefix.encode())
        kind: bytes = reply[0][start : start + 1]
        return kind
