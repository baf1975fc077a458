"""Calls to the server: a pool of connections, repeats where they are safe, and errors in our own words."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from smallage.core.errors import StoreError, StoreFull, StoreRefused, StoreUnavailable
from smallage.stores.redis import scripts
from smallage.stores.redis.address import Address
from smallage.stores.redis.wire import ServerError, Wire, Word, pack

FIRST_WAIT = 0.05
LONGEST_WAIT = 1.0
_AWAY = frozenset({"READONLY", "LOADING", "MASTERDOWN", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS", "UNBLOCKED"})
_FORBIDDEN = frozenset({"NOAUTH", "NOPERM", "WRONGPASS"})
GROWING = frozenset({"announce", "fire", "group_push", "push", "push_one", "schedule_put", "setup"})
"""Verbs that a full server refuses."""


def jitter(attempt: int) -> float:
    """Seconds to wait after failed attempt `attempt` (from 0): anything up to a limit that doubles to 1 s."""
    from random import uniform

    return uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempt, 10)))


class Link:
    """The server as the store's verbs see it. Threads share the pool and never a connection."""

    def __init__(self, address: Address, prefix: str, clock: Callable[[], int] | None, attempts: int = 4) -> None:
        self.address = address
        self.prefix = prefix
        self.attempts = attempts
        self._clock = clock
        self._pool: deque[Wire] = deque()
        self._pid = os.getpid()
        self._closed = False

    def run(self, verb: str, *words: Word, repeat: bool = True) -> Any:
        """Run a verb's script. With `repeat` false it is not sent again once it may have happened."""
        script = scripts.load(verb)
        now: Word = "" if self._clock is None else self._clock()
        packed = pack(("EVALSHA", script.sha, 1, self.prefix, now, *words))
        try:
            return self._exchange(packed, repeat)
        except ServerError as error:
            if error.code != "NOSCRIPT":
                raise self.refusal(error, verb in GROWING) from None
        try:  # NOSCRIPT means that nothing was executed; EVAL leaves the script in the server's cache
            return self._exchange(pack(("EVAL", script.text, 1, self.prefix, now, *words)), repeat)
        except ServerError as error:
            raise self.refusal(error, verb in GROWING) from None

    def command(self, *words: Word, repeat: bool = True) -> Any:
        """Run one command. Raises ServerError where the server says no."""
        return self._exchange(pack(words), repeat)

    def dial(self) -> Wire:
        """A connection of one's own, for blocking commands; the caller closes it."""
        if self._closed:
            raise StoreUnavailable("The store was closed.")
        return Wire(self.address)

    def close(self) -> None:
        self._closed = True
        self._drop(Wire.close)

    def after_fork(self) -> None:
        self._pid = os.getpid()
        self._drop(Wire.forget)

    def refusal(self, error: ServerError, growing: bool = False) -> StoreError:
        """The error of ours that says what an error reply means; `growing` verbs bring new work."""
        code, where = error.code, self.address.shown
        if code == "ERR" and "Error running script" in str(error):  # so Redis 6.2 wraps the errors of scripts
            code = next((known for known in ("OOM", "MISCONF", *_AWAY) if f"-{known} " in str(error)), code)
        if code == "OOM":
            return StoreFull(f"{where} has no memory left for new tasks. Raise maxmemory, or let workers catch up.")
        if code == "MISCONF":
            text = f"{where} cannot write to its disk and takes nothing new. See the server's log."
            return StoreFull(text) if growing else StoreUnavailable(text)
        if code in _AWAY or _is_away(error):
            return StoreUnavailable(f"{where} cannot serve just now ({code}).")
        if code in _FORBIDDEN:
            return StoreRefused(f"{where} forbids a command that Smallage needs: {error}. Extend the user's ACL.")
        return StoreError(f"{where} refused a command: {error}")

    def _exchange(self, packed: bytes, repeat: bool) -> Any:
        attempt = 0
        while True:
            try:
                return self._once(packed, checked=not repeat)
            except _Unsent as unsent:
                lost: StoreUnavailable = unsent.why
            except StoreUnavailable as error:
                if not repeat:
                    raise
                lost = error
            except ServerError as error:
                if not _is_away(error):
                    raise
                lost = StoreUnavailable(str(self.refusal(error)))
            attempt += 1
            if attempt >= self.attempts or self._closed:
                raise lost
            if attempt > 1:  # the first repeat is at once: a pooled connection may simply have grown old
                time.sleep(jitter(attempt - 2))

    def _once(self, packed: bytes, checked: bool) -> Any:
        wire = self._borrow(checked)
        try:
            wire.send(packed)
            reply = wire.read()
        except StoreUnavailable:
            self._drop(Wire.close)  # its neighbours in the pool are most likely dead too
            raise
        except ServerError as error:
            if error.code == "READONLY":
                wire.close()  # a demoted primary: the name may lead elsewhere by now
            else:
                self._pool.append(wire)
            raise
        self._pool.append(wire)
        if self._closed:
            self._drop(Wire.close)
        return reply

    def _borrow(self, checked: bool) -> Wire:
        if self._pid != os.getpid():
            self.after_fork()
        try:
            while True:
                wire = self._pool.pop()
                if not checked or wire.idle():
                    return wire
                wire.close()
        except IndexError:
            pass
        try:
            return self.dial()
        except StoreUnavailable as error:
            raise _Unsent(error) from None

    def _drop(self, how: Callable[[Wire], None]) -> None:
        while True:
            try:
                how(self._pool.pop())
            except IndexError:
                return


def _is_away(error: ServerError) -> bool:
    """True for a refusal that passes by itself: loading, failover, too many clients."""
    return error.code in _AWAY or "max number of clients" in str(error)


class _Unsent(Exception):
    """No connection: surely nothing happened, whatever the verb."""

    def __init__(self, why: StoreUnavailable) -> None:
        super().__init__(why)
        self.why = why
