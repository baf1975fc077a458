"""The store protocol: broker, result store and lock service in one.

Each verb is one atomic act. Growing verbs (push, group_push, announce) are refused whole when the store is full;
draining verbs (claim, settle, tick, revoke, forget, purge) still work then. Every verb raises `StoreUnavailable` when
the store cannot be reached: the act may then have happened, and repeating it with the same id, token or nonce is
always safe. Stores are used from many threads at once. Whatever a store needs after a fork it opens anew.

Words: a *session* is one life of one worker process and holds what it has claimed; its *lease* is renewed by `tick`.
Rules that all share; those of one subject stand with it:

* Clock: the store's own, in µs. Tokens: max(last issued + 1, now in µs), unique and rising in the partition.
* Order in a queue: priority 0 first, then push order. Released tasks and those taken back for the first time go to the
  front; retries, snoozes and unparked tasks to the back of their priority.
* Retention. Done and cancelled records lose their payload and live `keep_us` from their end. With `keep_us` 0 (results
  ignored) they shrink to a tombstone (state, digest, last settled token; no result) that lives `TOMBSTONE_US`, or less
  when there are more than `TOMBSTONE_MAX` of them. Dead records keep their payload and live max(`keep_us`, a day). From
  the instant end + life on a record is absent for every verb, push included, though `tick` may remove it later.
  Groups live `keep_us` (at least `TOMBSTONE_US`) from their end, or from the end of their body if that is later; their
  members' records and results live and go with them, whatever the members' own `keep_us`. Members with `keep_us` 0
  keep no result.
"""

from smallage.core.message import Envelope
from smallage.stores.base.asking import Mailbox, Order
from smallage.stores.base.bounds import (
    AHEAD_MAX,
    AHEAD_US,
    ANSWER_US,
    LEASE_US,
    MAX_CLAIM,
    MAX_HELD_BACK,
    MAX_PUSH,
    MAX_SCHEDULES,
    MAX_THEN,
    PARKED_US,
    SCHEDULES,
    TOMBSTONE_MAX,
    TOMBSTONE_US,
    reclaim_delay_us,
)
from smallage.stores.base.groups import GroupBatch, GroupView, MemberResult
from smallage.stores.base.limits import LimitSpec, LimitView
from smallage.stores.base.opening import SCHEMES, Opener, open
from smallage.stores.base.operating import RevokeVerdict
from smallage.stores.base.protocol import Store
from smallage.stores.base.pushing import PushVerdict
from smallage.stores.base.reading import TaskView, Watch
from smallage.stores.base.schedules import FireVerdict, SchedulePut, ScheduleView
from smallage.stores.base.sessions import Held, Host, SessionInfo, SessionView, Ticked
from smallage.stores.base.working import Claimed, ClaimRequest, Settled, SettleVerdict, after_id

__all__ = [
    "AHEAD_MAX",
    "AHEAD_US",
    "ANSWER_US",
    "LEASE_US",
    "MAX_CLAIM",
    "MAX_HELD_BACK",
    "MAX_PUSH",
    "MAX_SCHEDULES",
    "MAX_THEN",
    "PARKED_US",
    "SCHEDULES",
    "SCHEMES",
    "TOMBSTONE_MAX",
    "TOMBSTONE_US",
    "ClaimRequest",
    "Claimed",
    "Envelope",
    "FireVerdict",
    "GroupBatch",
    "GroupView",
    "Held",
    "Host",
    "LimitSpec",
    "LimitView",
    "Mailbox",
    "MemberResult",
    "Opener",
    "Order",
    "PushVerdict",
    "RevokeVerdict",
    "SchedulePut",
    "ScheduleView",
    "SessionInfo",
    "SessionView",
    "SettleVerdict",
    "Settled",
    "Store",
    "TaskView",
    "Ticked",
    "Watch",
    "after_id",
    "open",
    "reclaim_delay_us",
]
