"""Verbs of those who run tasks: claim, settle, progress, and waiting for a bell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from smallage.core.message import Claim, Settlement
from smallage.stores.base import Claimed, ClaimRequest, Settled, SettleVerdict
from smallage.stores.redis import receiving, sending
from smallage.stores.redis.keys import encode_id
from smallage.stores.redis.partition import Partition
from smallage.stores.redis.wire import Word

if TYPE_CHECKING:
    from smallage.stores.redis.listening import Listener

_VERDICTS: dict[int, SettleVerdict] = {ord("o"): "ok", ord("d"): "dup", ord("s"): "stale"}


class Working(Partition):
    """claim, settle, progress, listen and nudge."""

    _listeners: dict[str, Listener]

    def claim(self, session: str, request: ClaimRequest) -> Claimed:
        """See `Store.claim`."""
        reply = self._link.run("claim", 1, *sending.request_words(session, request))
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
        return self._listener(session).wait(queues, timeout)

    def nudge(self, session: str) -> None:
        """See `Store.nudge`."""
        self._listener(session).nudge()

    def _listener(self, session: str) -> Listener:
        listener = self._listeners.get(session)
        if listener is None:
            from smallage.stores.redis.listening import Listener  # with threading: for workers only

            listener = self._listeners.setdefault(session, Listener(self._link, session))
        return listener
