"""How tasks come in.

* Seats: a message that `waits` becomes a record in state waiting, in no order, without instants and without payload
  (its payload counts for the digest only). A later message with its id *fills* it, by whichever verb: payload, digest,
  name and envelope are the new message's, it counts as pushed now, group and index stay, and the record goes to ready
  or scheduled; as the body of a group it stays waiting and is a seat no more. Filled seats answer "ok". A message that
  `waits` fills nothing: where it meets a record (of its place, for a member) it is dup. By `push` and `fire` a message
  with the seat's own digest is dup, as it repeats what made the seat. A body that waits for its group is no seat.
  A waiting seat can be revoked, alone or with its group, or ended by an `End`; none of these has a follow-up at once.
  When a message comes to fill a seat that a revoke cancelled meanwhile, it is accepted and its digest kept, the end
  stays, and that message's follow-up is made if its `follow` is `FOLLOW_ANY`. purge leaves waiting tasks alone.
* A message, by whichever verb, that meets a record that an `End` made dead ("upstream" or "expired"; it never ran) and
  whose digest is not that record's brings the task after all, since an earlier one was sent round again. In no group
  it takes its place as a new task (generation 1), also as a member, a body or a seat. A member that is no body becomes
  a seat again (generation + 1, counters zero), is counted as open, and is filled, but not by a message that `waits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from smallage.core.message import Message

PushVerdict: TypeAlias = Literal["ok", "dup", "conflict", "full"]


class Pushing(Protocol):
    """The verb that brings tasks in."""

    def push(self, messages: Sequence[Message]) -> list[PushVerdict]:
        """Accept new tasks, all or none; per task ok, dup (same id, same digest), conflict (other digest) or full. With
        any conflict or full nothing is written. The id of a like member is a conflict. The same task twice in a batch
        is ok, then dup. At most `MAX_PUSH` messages. Rings the bells of their queues.
        Raises StoreFull when there is no memory or disk for it."""
