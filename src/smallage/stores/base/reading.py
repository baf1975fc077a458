"""What can be seen of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from smallage.core.states import State


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """A task as readers see it."""

    id: str
    state: State
    name: str = ""
    queue: str = ""
    priority: int = 0
    gen: int = 1
    tok: int = 0
    """Highest token issued for it."""
    settled: int = 0
    """Token of the last accepted settlement, 0 if none."""
    reason: str | None = None
    result: bytes | None = None
    progress: bytes | None = None
    session: str | None = None
    failures: int = 0
    crashes: int = 0
    lost: int = 0
    releases: int = 0
    ran: bool = False
    """running, done, or cancelled while it ran: the `b` of the delivery count."""
    group: str | None = None
    index: int | None = None
    due_us: int | None = None
    expires_us: int | None = None
    pushed_us: int = 0
    started_us: int = 0
    ended_us: int = 0
    ignored: bool = False
    """A tombstone: the result was not kept."""


class Watch(Protocol):
    """A subscription to ends of tasks and changes of groups. One thread waits; any thread may `add` and `wake`."""

    def add(self, ids: Sequence[str]) -> None:
        """Watch these task or group ids too. After it returns, no later change is missed; read the state after it."""

    def discard(self, ids: Sequence[str]) -> None:
        """Stop watching these ids."""

    def wait(self, timeout: float | None) -> set[str]:
        """Ids that may have changed; empty after `timeout` seconds or `wake()`. Spurious ids are allowed, and after a
        broken connection all watched ids are returned."""

    def wake(self) -> None:
        """Make the waiting thread return."""

    def close(self) -> None:
        """End the subscription; twice is fine."""


class Reading(Protocol):
    """The verbs of whoever looks."""

    def state(self, ids: Sequence[str]) -> list[TaskView | None]:
        """The tasks, in order; None where there is no record. Unclaimed like members read as ready."""

    def watch(self) -> Watch:
        """A new subscription."""

    def counts(self) -> dict[str, dict[str, int]]:
        """{queue: {state: number}} for open tasks, unclaimed rows counted as ready; under "" the totals of dead, done,
        cancelled (tombstones not counted) and the counters `stale`, `pruned`, `purged`."""

    def find(self, state: State, n: int = 100, after: str | None = None) -> list[TaskView]:
        """Up to `n` tasks with records in a state, after the id `after` in the store's own order."""

    def payload(self, task_id: str) -> tuple[bytes, bytes | None] | None:
        """(payload or template, row) of a task while they are kept."""

    def audit(self) -> list[str]:
        """A sentence for each breach of the store's invariants: index against state (what a limit holds back stands in
        one line, seats in none), running against session and token, group bits against counters, keys that hold
        something back against what comes due, follow-ups against what they follow. Empty when all is well. For tests
        and `doctor`; not bounded."""
