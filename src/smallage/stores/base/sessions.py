"""Who lives and who is dead.

* Grace: the store remembers the last announce or tick. When one comes more than half a lease after it (the longest
  lease of the live sessions, else `LEASE_US`), or when the clock went back, leases are not judged for one lease from
  then; when the clock went back, lease ends further than one lease ahead are cut to that.
* Taken back and left tasks go to the front so that the one with the smallest token comes first. `released`
  settlements go to the front one by one in the order given. A tick takes sessions back one by one: those in `dead` in
  the order given, then by lease end, then by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from smallage.stores.base.bounds import LEASE_US


class Host(msgspec.Struct, frozen=True):
    """Where a session lives, precisely enough to prove its death from the same machine."""

    name: str = ""
    boot_id: str = ""
    pid_namespace: str = ""
    pid: int = 0
    pid_started: int = 0
    """Start time of the process in clock ticks after boot; tells it from a later one with the same pid."""


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a session announces of itself."""

    host: Host = Host()
    inbox: str = ""
    """Mailbox that orders for this session go to: its supervisor's."""
    node: str = ""
    """Name of the worker that the session belongs to, such as `celery@host`."""
    pool: str = ""
    concurrency: int = 0
    queues: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Registered task names: parked tasks of these names come back."""
    lease_us: int = LEASE_US
    listens: bool = True
    """False: its worker hears no questions and no orders but those of the store itself, to stop a body."""


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A live session as `workers` shows it."""

    session: str
    info: SessionInfo
    lease_end_us: int
    held: int


class Held(msgspec.Struct, frozen=True):
    """A claim that a session holds."""

    id: str
    gen: int
    tok: int
    nonce: str


class Ticked(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `tick`."""

    now_us: int
    next_due_us: int | None = None
    next_lease_us: int | None = None
    """Earliest lease end of a session that was not renewed by this tick."""
    unknown: tuple[str, ...] = ()
    """Renewed sessions that do not exist (any more): their work was taken back, their holders must stop."""
    promoted: int = 0
    taken_back: tuple[str, ...] = ()
    """Ids of tasks that were taken back from lost sessions."""


class Sessions(Protocol):
    """The verbs of a worker's life."""

    def announce(self, session: str, info: SessionInfo) -> None:
        """Start (or update) a session; its lease begins now. Parked tasks of its names go back to their queues."""

    def tick(self, sessions: Sequence[str], dead: Sequence[str] = ()) -> Ticked:
        """Renew the leases of live `sessions`, promote due tasks (all of them, in bounded steps), take back the work of
        lost sessions and prune a little. Lost: the lease is over and no grace runs, or named in `dead` (proven dead by
        the caller; a session renewed here is never taken). All a lost session held is charged one loss."""

    def leave(self, session: str) -> list[str]:
        """End a session; what it still holds is released. Returns those ids. An unknown session: empty."""

    def held(self, session: str) -> list[Held]:
        """What a session holds."""

    def workers(self) -> list[SessionView]:
        """All announced sessions."""

    def dead_peers(self) -> list[str]:
        """Sessions that the store itself can prove dead (SQLite: their record lock is free); else empty."""
