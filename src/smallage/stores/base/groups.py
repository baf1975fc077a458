"""Many tasks counted as one.

* Time of a body: its `delay_us`, `expires_in_us` count from its release; while it waits it has neither instant.
* A group that counts an ended member as open again (`requeue`, `group_retry`, a message for one that never ran) has not
  ended. Its body, if it is dead (then generation + 1, counters zero) or has not started, waits again, and is counted as
  open in its own group in the same way.
* Membership comes by `group_push` only: group and index of messages that come by other verbs are ignored.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from smallage.core.message import DAY_US, Message
from smallage.core.states import State
from smallage.stores.base.pushing import PushVerdict


class GroupBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A step in building a group. The first one opens it; repeats are `dup`.

    Like members: `template` (payload and envelope shared by all; its id is not used) and `rows`, each the member's own
    arguments as bytes, at places `offset`, `offset + 1`, …; member ids are `member_id(group, place)`. Unlike members:
    `members`, whole messages whose `group` and `index` are set. A group has one kind. Batches come in order of offset.
    The group's total is what was added; it can end only once sealed.
    """

    id: str
    """A canonical UUID."""
    template: Message | None = None
    offset: int = 0
    rows: tuple[bytes, ...] = ()
    members: tuple[Message, ...] = ()
    seal: bool = False
    late: bool = False
    """`members` (and `also`, but nothing else: ValueError) are added behind all places there are, though the group is
    sealed, as long as it has not ended; `offset` and the members' `group` and `index` are ignored, the store gives the
    next places, also in a group of like members. A member whose id is in the group already is dup, and the batch is dup
    if all are. Conflict: an id taken by another task, and a group that is unknown, has ended or is not sealed yet
    (places given before the seal would shift those of later batches; the caller waits for the seal)."""
    also: tuple[Message, ...] = ()
    """Pushed in the same act, after the members and in no group: the first steps of chains whose last steps are
    members. As for `then`, what is there already changes nothing; a batch that is dup or a conflict pushes none of
    them."""
    body: Message | None = None
    """With `seal`: pushed in state waiting, ready (or scheduled) when the last member has ended, however they ended."""
    keep_us: int = DAY_US
    """How long the group and its results are kept after its end."""


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """A group's counters; one read at any size."""

    id: str
    total: int
    done: int = 0
    failed: int = 0
    """Members that ended dead, expired ones included."""
    cancelled: int = 0
    running: int = 0
    sealed: bool = False
    revoked: bool = False
    """The group was cancelled as a whole."""
    body: str | None = None
    seq: int = 0
    """Rises with every change of the counters."""
    retried: int = 0
    """Attempts of members that ended in a retry."""
    opened_us: int = 0
    ended_us: int = 0

    @property
    def ended(self) -> int:
        return self.done + self.failed + self.cancelled


class MemberResult(msgspec.Struct, frozen=True):
    """How a member of a group stands: its place, its state and, once ended, its result or error bytes."""

    index: int
    id: str
    state: State
    result: bytes | None = None
    reason: str | None = None


class Groups(Protocol):
    """The verbs of groups."""

    def group_push(self, batch: GroupBatch) -> PushVerdict:
        """Open, fill or seal a group. dup: these places (or this seal) were there before. conflict: another template, a
        gap in the offsets, an addition after the seal, a member whose id is taken by a task that is not this member.
        An empty sealed group ends at once."""

    def group(self, group: str) -> GroupView | None:
        """A group's counters."""

    def results(self, group: str, offset: int, n: int) -> list[MemberResult]:
        """Members `offset` to `offset + n` (at most 1,000) in order of place."""

    def group_revoke(self, group: str, terminate: bool = False) -> int:
        """Cancel a group: unclaimed members end in one step, waiting ones too; later retries of running members end
        as cancelled. With `terminate` running members are cancelled as by `revoke`. Returns how many ended now."""

    def group_retry(self, group: str) -> int:
        """Push the failed members back (generation + 1, counters zero) and wait for them again. A body that was waiting
        stays; one that ran is not run again. Returns how many went back."""
