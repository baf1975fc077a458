"""How tasks are handed out, and how they end.

* Budgets: a task charged with a crash or loss runs again at once (front) the first time (crashes + lost == 1), then
  after `reclaim_delay_us(crashes + lost)`; with crashes > max_crashes or lost > max_lost it is dead, reason "crashed"
  or "lost".
* Counts per task and generation: deliveries = failures + crashes + lost + releases + (1 if running, done, or cancelled
  while running). A Failed outcome counts one failure too. Members of a like group obey all this, with their group's
  envelope; the template's delay and expiry count from the group's opening.
* A running task that was revoked without terminate finishes; if it would go back to wait instead (retry, snooze,
  release, replacement, park, crash, loss) the count is taken and it ends cancelled, reason "revoked".
* A claim that leaves a queue empty silences its bell.
* Tasks that come due are lined up in order of their instants; those of one instant in any order.
* `Replaced`: releases + 1, payload and progress are dropped, and the record is a seat. Filling it starts a new run:
  failures, crashes and lost move into releases, so that the deliveries go on rising; generation and token stay. A like
  member that is replaced becomes an unlike member of its group. A body that is replaced has ended as far as its group
  is concerned; what fills it carries no `body_of` (but that of a group whose body fills it). A revoked task that is
  replaced ends cancelled like any that would go back to wait, with its own follow-up, and its `then` is dropped.
* `then` and `ends` of a settlement take effect in its act, `ends` first; more than `MAX_THEN` of both raises
  ValueError. A message of `then` whose id is absent is pushed; one that meets a seat fills it; else it changes nothing.
  An `End` ends a waiting seat or a waiting body (these keep their own name, queue and retention; a body that dies keeps
  its payload); where there is no record it makes one that has ended, in no group (no payload, no digest; priority 0,
  generation 1, pushed and ended now; queue, name and `keep_us` as given); else, and where there is no record for the id
  of a like member, it changes nothing. Members are counted as by any end, bodies released.
* Follow-ups: when the store itself ends a task whose envelope says so (`follow`) — by expiry, budget, revoke (also of a
  running one that is taken back, or ended by a `Cancelled` outcome), purge or age, but not by `Done`, `Failed` or an
  `End` — it makes in the same act a new ready record at the front of the same queue and priority: id `after_id(id,
  gen)`, the same name, payload and row, no group, `keep_us` 0, default budgets, `follow` 0. Its claims carry `after`
  (the ended task's id) and `reason`. Without a payload there is none (seats). For like members `FOLLOW_ANY` counts as
  `FOLLOW_DEAD`: they expire and are cancelled without. A follow-up can be neither revoked (the answer is "running") nor
  purged. If one with that id is still open, it stays the only one; one that has ended is replaced. Those of one act
  stand in the order of the ends reversed (each went to the front); for purge, and for parked tasks given up, in any
  order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from smallage.core.message import Claim, Settlement

SettleVerdict: TypeAlias = Literal["ok", "dup", "stale"]


def after_id(task_id: str, gen: int) -> str:
    """Id of the record that follows up the end of a task made by the store."""
    return f"after:{gen}:{task_id}"


class ClaimRequest(msgspec.Struct, frozen=True):
    """What a session wants to run next. `nonce` is random for each new request and the same for a repeat."""

    queues: tuple[str, ...]
    n: int
    nonce: str


class Claimed(msgspec.Struct, frozen=True):
    """Answer of `claim`."""

    claims: tuple[Claim, ...] = ()
    next_due_us: int | None = None
    """Store instant of the earliest scheduled task of the partition, if any."""
    now_us: int = 0


class Settled(msgspec.Struct, frozen=True):
    """Answer of `settle`: a verdict for each settlement, and what was claimed."""

    verdicts: tuple[SettleVerdict, ...]
    claimed: Claimed = Claimed()


class Working(Protocol):
    """The verbs of whoever runs tasks."""

    def claim(self, session: str, request: ClaimRequest) -> Claimed:
        """Hand out up to `request.n` ready tasks, trying the queues in the order given; due tasks are promoted first.
        Paused queues are passed over; expired tasks end as dead ("expired") on the way, damaged ones as "damaged".
        With the nonce of the session's last claim it returns the same claims as far as they are still held (if that
        one found nothing, the store may try anew). A session that is not announced gets nothing."""

    def settle(self, session: str, settlements: Sequence[Settlement], request: ClaimRequest | None = None) -> Settled:
        """End or move claims. ok: (gen, tok, nonce) was current and the outcome took effect, with its result, its
        group's counters and the messages of `then`. dup: this very settlement was accepted before. stale: another
        claim, an end or a revoke came first; nothing changed. With `request`, claims next in the same round trip.

        done/failed/cancelled end it. replaced: releases + 1, to waiting as a seat; `then` may fill it in the same act.
        retry: failures + 1, to scheduled (or to ready, back, when due now). snooze:
        releases + 1, scheduled. released: releases + 1, ready, front. parked: releases + 1; scheduled 1 s if a live
        session announced the name, else parked under its name. crashed: crashes + 1 and the budget rule. A member of a
        revoked group that would go back to wait is cancelled instead."""

    def progress(self, claim: Claim, note: bytes) -> SettleVerdict:
        """Keep `note` as the task's progress and tell watchers; ok or stale."""

    def listen(self, session: str, queues: Sequence[str], timeout: float) -> bool:
        """Block until a bell of one of the queues rings (True) or `timeout` seconds pass (False). May return True
        without cause. A bell rung before the call counts. A bell rings for every edge into ready, and for a push whose
        due time is nearer than all others. Raises nothing but StoreUnavailable."""

    def nudge(self, session: str) -> None:
        """Make a `listen` of this session, made in this process, return."""
