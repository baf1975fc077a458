"""Calls to the server: a pool of connections, repeats where they are safe, and errors in our own words."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from smallage.core.errors import StoreError, StoreFull, StoreRefused, StoreUnavailable
from smallage.stores.redis import scripts
from smallage.stores.redis.address import Address
from smallage.stores.redis.wire import ServerError, Wire, Word, pack

if TYPE_CHECKING:
    from smallage.stores.redis.sentinels import Sentinels

FIRST_WAIT = 0.05
LONGEST_WAIT = 1.0
_AWAY = frozenset({"READONLY", "LOADING", "MASTERDOWN", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS", "UNBLOCKED"})
_ELSEWHERE = frozenset({"READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED"})
"""What a server says that is no longer, or not yet, or alone no good as, the primary: the name may lead elsewhere."""
_FORBIDDEN = frozenset({"NOAUTH", "NOPERM", "WRONGPASS"})
_PROBE_SECONDS = 1.0
"""How long a server may take to greet a newcomer, after a connection on which it did not answer in time."""
GROWING = frozenset({"announce", "fire", "group_push", "push", "push_one", "schedules_put", "setup"})
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
        self.breaks = 0
        self._sentinels: Sentinels | None = None
        if address.sentinels:
            from smallage.stores.redis.sentinels import Sentinels  # with threading: for those who have some only

            self._sentinels = Sentinels(address)

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
        return Wire(self.address) if self._sentinels is None else self._sentinels.dial()

    def close(self) -> None:
        self._closed = True
        self._drop(Wire.close)
        if self._sentinels is not None:
            self._sentinels.close()

    def after_fork(self) -> None:
        self._pid = os.getpid()
        self._drop(Wire.forget)
        if self._sentinels is not None:
            self._sentinels.after_fork()

    def refusal(self, error: ServerError, growing: bool = False) -> StoreError:
        """The error of ours that says what an error reply means; `growing` verbs bring new work."""
        code, where = _code(error), self.address.shown
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
        attempt, probed = 0, False
        while True:
            try:
                return self._once(packed, checked=not repeat)
            except _Unsent as unsent:
                lost: StoreUnavailable = unsent.why
                probed = True  # by this very attempt
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
            if lost.waited and self._sentinels is None:  # sentinels may lead to another server
                if probed or not self._greets():
                    raise lost
                probed = True
            if attempt > 1:  # the first repeat is at once: a pooled connection may simply have grown old
                time.sleep(jitter(attempt - 2))

    def _once(self, packed: bytes, checked: bool) -> Any:
        wire = self._borrow(checked)
        try:
            wire.send(packed)
            reply = wire.read()
        except StoreUnavailable:
            self._leave_server()  # its neighbours in the pool are most likely dead too
            raise
        except ServerError as error:
            if _code(error) in _ELSEWHERE:
                wire.close()
                self._leave_server()
            else:
                self._pool.append(wire)
            raise
        self._pool.append(wire)
        if self._closed:
            self._drop(Wire.close)
        return reply

    def _greets(self) -> bool:
        """Whether the server speaks to newcomers: then only the connection was dead. A short look."""
        short = min(_PROBE_SECONDS, self.address.read_seconds)
        try:
            Wire(msgspec.structs.replace(self.address, connect_seconds=short, read_seconds=short)).close()
        except StoreError:
            return False
        return True

    def _leave_server(self) -> None:
        self.breaks += 1
        self._drop(Wire.close)
        if self._sentinels is not None:
            self._sentinels.doubt()

    def _borrow(self, checked: bool) -> Wire:
        if self._pid != os.getpid():
            self.after_fork()
        if self._sentinels is not None and self._sentinels.moved():
            self._drop(Wire.close)
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


def _code(error: ServerError) -> str:
    """The code of an error reply; Redis 6.2 wraps those that a script ran into."""
    text = str(error)
    if error.code != "ERR" or "Error running script" not in text:
        return error.code
    return next((known for known in ("OOM", "MISCONF", *_AWAY) if f"-{known} " in text), error.code)


def _is_away(error: ServerError) -> bool:
    """True for a refusal that passes by itself: loading, failover, too many clients."""
    return _code(error) in _AWAY or "max number of clients" in str(error)


class _Unsent(Exception):
    """No connection: surely nothing happened, whatever the verb."""

    def __init__(self, why: StoreUnavailable) -> None:
        super().__init__(why)
        self.why = why
