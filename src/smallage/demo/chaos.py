"""`smallage demo --chaos`: kills children of the worker at the two worst moments."""

from __future__ import annotations

import os
import signal

from smallage.demo.fetch import fetch
from smallage.demo.report import ENOUGH, Kill
from smallage.demo.view import Counts

AFTER = 0.25
"""Share of the items that must be done before the second kill, so that work is under way again after the first."""


class Chaos:
    """Kills the child that runs the foreman, once it has pushed; then one with at least `ENOUGH` running tasks."""

    def __init__(self, party: str) -> None:
        self._party = party
        self.kills: list[Kill] = []

    def foreman(self, pid: int, total: int) -> Kill:
        """Kill the child that runs the foreman, which has just pushed `total` tasks."""
        return self._kill(Kill(pid, f"the foreman, {total:,} tasks pushed", foreman=True))

    def look(self, counts: Counts) -> Kill | None:
        """Kill the child with the most requests under way, once, when the time has come."""
        if counts.ended < AFTER * counts.total or any(not kill.foreman for kill in self.kills):
            return None
        waiting = {int(pid): n for pid, n in fetch(self._party, "/open").items() if int(pid) not in self._killed()}
        pid, n = max(waiting.items(), key=lambda pair: pair[1], default=(0, 0))
        if n < ENOUGH:
            return None
        return self._kill(Kill(pid, f"it was waiting for {n} answers"))

    def _killed(self) -> set[int]:
        return {kill.pid for kill in self.kills}

    def _kill(self, kill: Kill) -> Kill:
        os.kill(kill.pid, signal.SIGKILL)
        self.kills.append(kill)
        return kill
