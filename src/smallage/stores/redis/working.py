"""Verbs of those who run tasks: claim, settle, progress, and waiting for a bell."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from smallage.core.errors import StoreUnavailable
from smallage.core.message import Claim, Settlement
from smallage.stores.base import Claimed, ClaimRequest, Settled, SettleVerdict
from smallage.stores.redis import receiving, sending
from smallage.stores.redis.keys import encode_id
from smallage.stores.redis.link import Link
from smallage.stores.redis.partition import Partition
from smallage.stores.redis.wire import ServerError, Wire, Word, pack

_VERDICTS: dict[int, SettleVerdict] = {ord("o"): "ok", ord("d"): "dup", ord("s"): "stale"}
_SHORTEST = 0.01
"""Seconds; 0 would block for ever."""


class Working(Partition):
    """claim, settle, progress, listen and nudge."""

    _listeners: dict[str, Listener]

    def claim(self, session: str, request: ClaimRequest) -> Claimed:
        """See `Store.claim`."""
        reply = self._link.run("claim", *sending.request_words(session, request))
        return receiving.claimed(reply, request.nonce)

    def settle(self, session: str, settlements: Sequence[Settlement], request: ClaimRequest | None = None) -> Settled:
        """See `Store.settle`."""
        words: list[Word] = [len(settlements)]
        for given in settlements:
            sending.settlement_words(words, given)
        if request is None:
            words.append(0)
        else:
            words.append(1)
            words += sending.request_words(session, request)
        letters, claimed = self._link.run("settle", *words)
        verdicts = tuple([_VERDICTS[letter] for letter in letters])
        return Settled(verdicts, receiving.claimed(claimed, request.nonce if request else ""))

    def progress(self, claim: Claim, note: bytes) -> SettleVerdict:
        """See `Store.progress`."""
        return _VERDICTS[self._link.run("progress", encode_id(claim.id), claim.gen, claim.tok, claim.nonce, note)[0]]

    def listen(self, session: str, queues: Sequence[str], timeout: float) -> bool:
        """See `Store.listen`."""
        listener = self._listeners.get(session)
        if listener is None:
            listener = self._listeners.setdefault(session, Listener(self._link, session))
        return listener.wait(queues, timeout)

    def nudge(self, session: str) -> None:
        """See `Store.nudge`."""
        self._listeners.setdefault(session, Listener(self._link, session)).nudge()


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
