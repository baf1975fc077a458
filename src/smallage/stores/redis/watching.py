"""Watches: one subscribed connection each. Whichever thread waits reads for all who wait."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from smallage.core.errors import StoreUnavailable
from smallage.stores.redis.keys import encode_id
from smallage.stores.redis.link import Link, jitter
from smallage.stores.redis.wire import ServerError, Wire, pack

_ALIVE_SECONDS = 30.0
"""A silent connection is asked whether it is still there this often."""


class RedisWatch:
    """See `Watch`. A like member is told of through its own channel, and through its group's when the group's unclaimed
    rows end in one step."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._turn = threading.Condition()
        self._wire: Wire | None = None
        self._ids: dict[str, tuple[bytes, ...]] = {}
        self._channels: dict[bytes, set[str]] = {}
        self._pending: set[str] = set()
        self._asked = self._confirmed = 0
        self._reading = self._woken = self._closed = self._pinged = False
        self._heard = time.monotonic()
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)

    def add(self, ids: Sequence[str]) -> None:
        """See `Watch.add`."""
        with self._turn:
            fresh = []
            for task_id in ids:
                if task_id in self._ids:
                    continue
                self._ids[task_id] = channels = self._channels_of(task_id)
                for channel in channels:
                    if channel not in self._channels:
                        fresh.append(channel)
                    self._channels.setdefault(channel, set()).add(task_id)
            if self._wire is None:
                self._connect()
                self._pull()  # whoever waits without a connection lets go, so that this one is read
            elif fresh:
                self._subscribe("SUBSCRIBE", fresh)
            target = self._asked
            wire = self._wire
            deadline = time.monotonic() + self._link.address.read_seconds
            self._pump(lambda: self._confirmed >= target or self._wire is not wire, deadline)
            if self._confirmed < target or self._wire is not wire:
                self._drop()
                raise StoreUnavailable(f"{self._link.address.shown} did not confirm a subscription.")

    def discard(self, ids: Sequence[str]) -> None:
        """See `Watch.discard`."""
        with self._turn:
            empty = []
            for task_id in ids:
                self._pending.discard(task_id)
                for channel in self._ids.pop(task_id, ()):
                    watchers = self._channels[channel]
                    watchers.discard(task_id)
                    if not watchers:
                        del self._channels[channel]
                        empty.append(channel)
            if empty and self._wire is not None:
                try:
                    self._subscribe("UNSUBSCRIBE", empty)
                except StoreUnavailable:
                    self._drop()

    def wait(self, timeout: float | None) -> set[str]:
        """See `Watch.wait`. A broken connection is made anew, as often as the time allows."""
        deadline = None if timeout is None else time.monotonic() + timeout
        attempt = 0
        with self._turn:
            while not (self._pending or self._woken or self._closed):
                if self._wire is None and self._ids:
                    try:
                        self._connect()
                        self._pending.update(self._ids)
                        break
                    except StoreUnavailable:
                        pause = time.monotonic() + jitter(attempt)
                        attempt += 1
                        self._pump(self._is_due, pause if deadline is None else min(pause, deadline))
                else:
                    wire = self._wire  # None while there is nothing to watch: then until something is, or a wake
                    self._pump(lambda wire=wire: self._is_due() or self._wire is not wire, deadline)  # type: ignore[misc]
                if deadline is not None and time.monotonic() >= deadline:
                    break
            self._woken = False
            pending, self._pending = self._pending, set()
            return pending

    def wake(self) -> None:
        """See `Watch.wake`."""
        self._woken = True
        self._pull()

    def close(self) -> None:
        """See `Watch.close`."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            self._drop()
            self._pull()
            self._turn.notify_all()
            if not self._reading:
                self._bell.close()
                self._rope.close()

    def _is_due(self) -> bool:
        return bool(self._pending or self._woken or self._closed)

    def _pull(self) -> None:
        try:
            self._rope.send(b"!")
        except OSError:
            pass  # full is loud enough; closed has nobody waiting

    def _channels_of(self, task_id: str) -> tuple[bytes, ...]:
        start = f"{self._link.prefix}e:".encode()
        raw = encode_id(task_id)
        if raw[:1] == b"m" and len(raw) > 17:
            return (start + raw, start + raw[1:17])
        return (start + raw,)

    def _connect(self) -> None:
        """Dial and subscribe to everything; the confirmations are awaited by `add`, and by nobody in `wait`, which
        reports all ids anyway once this returns."""
        self._asked = self._confirmed = 0
        self._wire = self._link.dial()
        self._heard, self._pinged = time.monotonic(), False
        if self._channels:
            self._subscribe("SUBSCRIBE", list(self._channels))

    def _subscribe(self, verb: str, channels: Iterable[bytes]) -> None:
        assert self._wire is not None
        names = list(channels)
        try:
            self._wire.send(pack((verb, *names)))
        except StoreUnavailable:
            self._drop()
            raise
        self._asked += len(names)

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _pump(self, done: Callable[[], bool], deadline: float | None) -> None:
        """Read and hand on until `done` or the deadline. One thread reads, outside the lock; the others wait for it."""
        while not done():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            if self._reading:
                self._turn.wait(left)
                continue
            self._reading = True
            wire = self._wire
            self._turn.release()
            try:
                readable = self._select(wire, _ALIVE_SECONDS if left is None else min(left, _ALIVE_SECONDS))
            finally:
                self._turn.acquire()
                self._reading = False
            if self._closed:
                self._bell.close()
                self._rope.close()
            elif wire is not None and wire is self._wire:
                self._take(wire, readable)
            self._turn.notify_all()

    def _select(self, wire: Wire | None, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        number = -1 if wire is None else wire.fileno()
        if number >= 0:
            poll.register(number, select.POLLIN)
        events = poll.poll(max(1, round(seconds * 1000)))
        try:
            while self._bell.recv(4096):
                pass
        except OSError:
            pass
        return any(found == number for found, _ in events)

    def _take(self, wire: Wire, readable: bool) -> None:
        now = time.monotonic()
        try:
            if readable:
                self._heard, self._pinged = now, False
                for reply in wire.arrived():
                    self._hand_on(reply)
            elif now - self._heard >= _ALIVE_SECONDS:
                if self._pinged:
                    self._drop()
                    return
                self._pinged, self._heard = True, now - _ALIVE_SECONDS + self._link.address.read_seconds
                wire.send(pack(("PING",)))
        except StoreUnavailable:
            self._drop()

    def _hand_on(self, reply: Any) -> None:
        if isinstance(reply, ServerError):
            raise StoreUnavailable(f"{self._link.address.shown} refused a subscription: {reply.code}.")
        kind = reply[0]
        if kind in (b"subscribe", b"unsubscribe"):
            self._confirmed += 1
        elif kind == b"message":
            for task_id in self._channels.get(reply[1], ()):
                own = self._ids[task_id][0] == reply[1]
                if own or reply[2] == b"all" or task_id.rpartition(".")[2].encode() in reply[2].split(b","):
                    self._pending.add(task_id)
