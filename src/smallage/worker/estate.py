"""What a dead child leaves: its claims, each charged with no more than it deserves.

Bodies that had started when their child died are charged with the crash, all others go back at once. Where we killed
the child ourselves, only the one that we killed it for is charged.
"""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from smallage.core.codec import encode_error
from smallage.core.errors import TimeLimitExceeded, WorkerLostError
from smallage.core.message import Crashed, Failed, Outcome, Released, Settlement

if TYPE_CHECKING:
    from smallage.stores.base import Held, Store
    from smallage.worker.children import ChildProcess


class Estate(msgspec.Struct, frozen=True):
    """What is known at a child's death; `settle` may be repeated until the store answers."""

    session: str
    started: frozenset[int]
    """Tokens of the bodies that ran."""
    overdue: dict[int, float]
    """{token: limit in seconds, as far as it is known} of those whose hard limit was over."""
    once: frozenset[int]
    """Started bodies that may not be started again, whether they have ended or not."""
    cause: str
    spared: bool
    """The child was ended by us: started bodies are not charged, but for the overdue and those of `once`."""

    def settle(self, store: Store) -> int:
        """Settle all that the session holds and leave it; returns how many started bodies went back unfinished."""
        held = store.held(self.session)
        store.settle(self.session, [Settlement(h.id, h.gen, h.tok, h.nonce, self._outcome(h)) for h in held])
        store.leave(self.session)
        charged = self.once.union(self.overdue)
        return sum(h.tok in self.started and self.spared and h.tok not in charged for h in held)

    def _outcome(self, held: Held) -> Outcome:
        if held.tok in self.overdue:
            return Failed(encode_error(TimeLimitExceeded(round(self.overdue[held.tok], 3))))
        if held.tok not in self.once and (self.spared or held.tok not in self.started):
            return Released()
        return Crashed(encode_error(WorkerLostError(f"The process that ran this task died: {self.cause}.")))


def estate_of(child: ChildProcess, cause: str) -> Estate:
    """Read the dead child's board."""
    board, now = child.board, monotonic()
    running = board.running()
    overdue = {}
    if child.killed in ("limit", "") or board.farewell:
        for tok, slot in running.items():
            if 0 < board.hard[slot] <= now:
                overdue[tok] = board.limit[slot]
    return Estate(
        session=child.session,
        started=frozenset(running),
        overdue=overdue,
        once=board.once(),
        cause=cause,
        spared=bool(child.killed or board.farewell),
    )


def first_overdue(child: ChildProcess, patience: float) -> float:
    """When the nearest hard limit of a running body will have been over for `patience` seconds; infinity if none."""
    board = child.board
    return min((board.hard[slot] + patience for slot in board.running().values() if board.hard[slot]), default=math.inf)
