"""Other workers on this machine: their death is seen at once, and what they held is taken back without waiting.

A session's host names its supervisor's process. While that lives it witnesses its children's deaths itself and charges
each task justly, so we keep out; the children die with it.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from smallage.hosts import proven_dead

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smallage.stores.base import Host, SessionView


class Peers:
    """The sessions of other workers as last seen, with a descriptor for each of their processes."""

    def __init__(self, here: Host, poll: select.poll) -> None:
        self._here, self._poll = here, poll
        self._sessions: dict[str, Host] = {}
        self._pidfds: dict[int, int] = {}
        """{supervisor's pid: its pidfd}"""
        self._suspects: set[str] = set()

    def ended(self, readable: set[int]) -> bool:
        """Whether these descriptors, on which the poll has returned, tell of the end of a peer's process."""
        pids = [pid for pid, fd in self._pidfds.items() if fd in readable]
        for pid in pids:
            self._forget(pid)
        return bool(pids)

    def see(self, views: Iterable[SessionView], own: set[str]) -> None:
        """These sessions exist now; `own` are ours."""
        self._sessions = {v.session: v.info.host for v in views if v.session not in own}
        pids = {host.pid for host in self._sessions.values() if self._near(host)} - {os.getpid()}
        for pid in set(self._pidfds) - pids:
            self._forget(pid)
        for pid in pids - set(self._pidfds):
            self._follow(pid)

    def unwatched(self) -> bool:
        """Whether there are sessions whose end no descriptor will tell of, so that the store has to be asked."""
        return any(host.pid not in self._pidfds for host in self._sessions.values())

    def dead(self) -> list[str]:
        """Sessions whose supervisor is provably dead."""
        return [session for session, host in self._sessions.items() if proven_dead(host, self._here)]

    def confirmed(self, without_lock: Iterable[str], own: set[str]) -> list[str]:
        """Of the sessions that the store says are dead, those that nobody else will settle: of dead supervisors at
        once, of living ones only when they have left them so for a whole round."""
        suspects = set(without_lock) - own
        known = {session for session in suspects if self._is_dead(session)}
        known |= suspects & self._suspects
        self._suspects = suspects
        return sorted(known)

    def close(self) -> None:
        for pid in list(self._pidfds):
            self._forget(pid)

    def _is_dead(self, session: str) -> bool:
        host = self._sessions.get(session)
        return host is not None and proven_dead(host, self._here)

    def _near(self, host: Host) -> bool:
        here = self._here
        same = (host.boot_id, host.pid_namespace) == (here.boot_id, here.pid_namespace)
        return same and bool(host.boot_id and host.pid and host.pid_started)

    def _follow(self, pid: int) -> None:
        opener = getattr(os, "pidfd_open", None)
        if opener is None:
            return
        try:
            fd = opener(pid)
        except OSError:  # gone already: `dead` will tell
            return
        self._pidfds[pid] = fd
        self._poll.register(fd, select.POLLIN)

    def _forget(self, pid: int) -> None:
        fd = self._pidfds.pop(pid)
        self._poll.unregister(fd)
        os.close(fd)
