"""Tasks cancelled, run again, forgotten; queues paused and emptied.

* Parked tasks that were pushed more than `PARKED_US` ago are made dead ("unknown-task") by tick.
* Revoked ahead: `revoke` of an id without a record (and of no row) answers "unknown" and is remembered for `AHEAD_US`
  from the latest such revoke. A message with that id, by whichever verb, or a row, is accepted ("ok") and ends at once,
  cancelled ("revoked"), with its follow-up; the memory stays. A seat ends so too, a cancelled seat. An `End` does not
  care. Repeating the push is dup. `forget` removes the memory (and does not count it). At most `AHEAD_MAX` are
  remembered; the oldest go first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

RevokeVerdict: TypeAlias = Literal["cancelled", "running", "ended", "unknown"]
"""cancelled: ended now by this call; running: it runs and may finish; ended: was over before."""


class Operating(Protocol):
    """The verbs of operators."""

    def revoke(self, ids: Sequence[str], terminate: bool = False) -> list[RevokeVerdict]:
        """Cancel what has not started, for good. With `terminate` also what runs: its token dies at once and its
        session gets a "cancel" order."""

    def requeue(self, ids: Sequence[str]) -> list[bool]:
        """Run ended tasks again (generation + 1, counters zero) where the payload is still kept."""

    def forget(self, ids: Sequence[str]) -> int:
        """Remove ended records, and memories of ids revoked ahead; returns how many records."""

    def pause(self, queue: str) -> None:
        """No claims from this queue until `resume`."""

    def resume(self, queue: str) -> None:
        """Claim from this queue again."""

    def purge(self, queue: str) -> int:
        """Remove the ready and scheduled tasks of a queue but not follow-ups, bodies that their end releases into it
        too; members of groups end as cancelled. Then groups' unclaimed rows end as cancelled, and a body that these
        release stays. Returns how many."""

    def unpark(self, name: str | None = None) -> int:
        """Send parked tasks (of one name, or all) back to their queues."""
