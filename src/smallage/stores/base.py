"""The store protocol: broker, result store and lock service in one.

Each verb is one atomic act. Growing verbs (push, group_push, announce) are refused whole when the store is full;
draining verbs (claim, settle, tick, revoke, forget, purge) still work then. Every verb raises `StoreUnavailable` when
the store cannot be reached: the act may then have happened, and repeating it with the same id, token or nonce is
always safe. Stores are used from many threads at once. Whatever a store needs after a fork it opens anew.

Words: a *session* is one life of one worker process and holds what it has claimed; its *lease* is renewed by `tick`.
Rules that all stores share:

* Clock: the store's own, in µs. Tokens: max(last issued + 1, now in µs), unique and rising in the partition.
* Order in a queue: priority 0 first, then push order. Released tasks and those taken back for the first time go to the
  front; retries, snoozes and unparked tasks to the back of their priority.
* Budgets: a task charged with a crash or loss runs again at once (front) the first time (crashes + lost == 1), then
  after `reclaim_delay_us(crashes + lost)`; with crashes > max_crashes or lost > max_lost it is dead, reason "crashed"
  or "lost".
* Retention. Done and cancelled records lose their payload and live `keep_us` from their end. With `keep_us` 0 (results
  ignored) they shrink to a tombstone (state, digest, last settled token; no result) that lives `TOMBSTONE_US`, or less
  when there are more than `TOMBSTONE_MAX` of them. Dead records keep their payload and live max(`keep_us`, a day). From
  the instant end + life on a record is absent for every verb, push included, though `tick` may remove it later.
  Groups live `keep_us` (at least `TOMBSTONE_US`) from their end, or from the end of their body if that is later; their
  members' records and results live and go with them, whatever the members' own `keep_us`. Members with `keep_us` 0
  keep no result.
* Counts per task and generation: deliveries = failures + crashes + lost + releases + (1 if running, done, or cancelled
  while running). A Failed outcome counts one failure too. Members of a like group obey all this, with their group's
  envelope; the template's delay and expiry count from the group's opening.
* Time of a body: its `delay_us`, `expires_in_us` count from its release; while it waits it has neither instant.
* A running task that was revoked without terminate finishes; if it would go back to wait instead (retry, snooze,
  release, replacement, park, crash, loss) the count is taken and it ends cancelled, reason "revoked".
* Grace: the store remembers the last announce or tick. When one comes more than half a lease after it (the longest
  lease of the live sessions, else `LEASE_US`), or when the clock went back, leases are not judged for one lease from
  then; when the clock went back, lease ends further than one lease ahead are cut to that.
* A claim that leaves a queue empty silences its bell.
* Taken back and left tasks go to the front so that the one with the smallest token comes first. `released`
  settlements go to the front one by one in the order given. A tick takes sessions back one by one: those in `dead` in
  the order given, then by lease end, then by name.
* Tasks that come due are lined up in order of their instants; those of one instant in any order.
* Parked tasks that were pushed more than `PARKED_US` ago are made dead ("unknown-task") by tick.
* Seats: a message that `waits` becomes a record in state waiting, in no order, without instants and without payload
  (its payload counts for the digest only). A later message with its id *fills* it, by whichever verb: payload, digest,
  name and envelope are the new message's, it counts as pushed now, group and index stay, and the record goes to ready
  or scheduled; as the body of a group it stays waiting and is a seat no more. Filled seats answer "ok". A message that
  `waits` fills nothing: where it meets a record (of its place, for a member) it is dup. By `push` and `fire` a message
  with the seat's own digest is dup, as it repeats what made the seat. A body that waits for its group is no seat.
  A waiting seat can be revoked, alone or with its group, or ended by an `End`; none of these has a follow-up at once.
  When a message comes to fill a seat that a revoke cancelled meanwhile, it is accepted and its digest kept, the end
  stays, and that message's follow-up is made if its `follow` is `FOLLOW_ANY`. purge leaves waiting tasks alone.
* Membership comes by `group_push` only: group and index of messages that come by other verbs are ignored.
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
* A message, by whichever verb, that meets a record that an `End` made dead ("upstream") and that is in no group, and
  whose digest is not that record's, takes its place as a new task (generation 1), also as a member, a body or a seat.
* Follow-ups: when the store itself ends a task whose envelope says so (`follow`) — by expiry, budget, revoke (also of a
  running one that is taken back, or ended by a `Cancelled` outcome), purge or age, but not by `Done`, `Failed` or an
  `End` — it makes in the same act a new ready record at the front of the same queue and priority: id `after_id(id,
  gen)`, the same name, payload and row, no group, `keep_us` 0, default budgets, `follow` 0. Its claims carry `after`
  (the ended task's id) and `reason`. Without a payload there is none (seats). For like members `FOLLOW_ANY` counts as
  `FOLLOW_DEAD`: they expire and are cancelled without. A follow-up can be neither revoked (the answer is "running") nor
  purged. If one with that id is still open, it stays the only one; one that has ended is replaced. Those of one act
  stand in the order of the ends reversed (each went to the front); for purge, and for parked tasks given up, in any
  order.
* Revoked ahead: `revoke` of an id without a record (and of no row) answers "unknown" and is remembered for `AHEAD_US`
  from the latest such revoke. A message with that id, by whichever verb, or a row, is accepted ("ok") and ends at once,
  cancelled ("revoked"), with its follow-up; the memory stays. A seat ends so too, a cancelled seat. An `End` does not
  care. Repeating the push is dup. `forget` removes the memory (and does not count it). At most `AHEAD_MAX` are
  remembered; the oldest go first.
* Limits. A key with a limit hands out tokens by the generic cell rate rule on store time: with T = per_us / tokens
  (rounded up) and `tat` the key's theoretical arrival time (0 at first), the key has a token from its *instant*,
  tat - (burst - 1) * T, on; taking one sets tat = max(tat, now - slack) + T with slack = min(T // 2, 20,000 µs), which
  lets lateness of a wake-up not add up. A tat more than burst * T ahead (the clock went back) is cut to that when a
  claim asks for a token. A task of name N is under the key `"task:" + N`; follow-ups are under none. Every edge into
  running pays, retries and re-runs too; expiry is looked at first, and what expires pays nothing.
  When a claim meets a ready entry (a task, or a group's cursor) whose key has no token, the entry leaves the ready
  order and goes to the end of the *held back* line of that key, queue and priority; the claim goes on to the next
  entry. Held back tasks stay in state ready for every reader and verb. A claim that tries a queue takes, at each
  priority, first from the held back lines, keys in order of name, each as long as its key has tokens (a key without a
  limit always has), and only then from the ready line. A cursor stays first in its held back line until its rows are
  given out. A claim that has held back `MAX_HELD_BACK` entries stops and answers `next_due_us` = now.
  A key with held back entries comes due at its instant, like a scheduled task (it counts for `next_due_us`): whenever
  an entry is held back, a token is taken while some are, or a claim asks in vain for one for its held back lines, and
  by `limit`. When it is due, the bells of the queues with such entries ring (without a limit: once for each entry),
  nothing moves, and the key leaves the due order. When the last held back entry goes, however that happens, the key
  leaves the due order too. Held back entries whose key has no token do not count when a claim asks if a queue is empty.
* Schedules are named records whose content the store does not read; `fire` is what makes a tick happen once. Any change
  of one tells watchers of the id `SCHEDULES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from smallage.core.errors import ImproperlyConfigured
from smallage.core.message import DAY_US, MAX_INT, Claim, Envelope, Message, Settlement
from smallage.core.states import State

LEASE_US = 15_000_000
"""Default lease of a session."""
TOMBSTONE_US = 60_000_000
TOMBSTONE_MAX = 64 * 2**20 // 128
"""Tombstones kept at most: 64 MiB of them."""
PARKED_US = 7 * DAY_US
MAX_PUSH = 1_000
"""Messages or rows a call; callers split larger batches."""
MAX_CLAIM = 100
MAX_THEN = 1_000
"""Messages and ends together that one settlement may carry."""
MAX_HELD_BACK = 1_000
"""Entries that one claim holds back at most."""
AHEAD_US = 3 * 3600 * 1_000_000
AHEAD_MAX = 50_000
SCHEDULES = "schedules"
"""Watched by whoever wants to hear of changed schedules."""
ANSWER_US = 60_000_000
"""How long answers to a question are kept."""


def after_id(task_id: str, gen: int) -> str:
    """Id of the record that follows up the end of a task made by the store."""
    return f"after:{gen}:{task_id}"


def reclaim_delay_us(times: int) -> int:
    """Wait before a task that was taken back for the `times`-th time (from 2) runs again: 1 s, 2 s, 4 s … 60 s."""
    return min(60_000_000, 1_000_000 << min(max(times - 2, 0), 6))


PushVerdict: TypeAlias = Literal["ok", "dup", "conflict", "full"]
SettleVerdict: TypeAlias = Literal["ok", "dup", "stale"]
RevokeVerdict: TypeAlias = Literal["cancelled", "running", "ended", "unknown"]
"""cancelled: ended now by this call; running: it runs and may finish; ended: was over before."""


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


class LimitSpec(msgspec.Struct, frozen=True):
    """How fast claims of a key may follow one another: `tokens` in `per_us` microseconds, `burst` of them at once after
    a pause. `tokens` 0: no limit (an operator's, over a default). Raises ValueError for what is no rate."""

    tokens: int
    per_us: int = 1_000_000
    burst: int = 1

    def __post_init__(self) -> None:
        if self.tokens < 0 or self.per_us < 1 or self.burst < 1 or self.burst * self.every_us > MAX_INT // 4:
            raise ValueError("a limit takes tokens >= 0, per_us >= 1, burst >= 1, and burst * per_us below 2**51")

    @property
    def every_us(self) -> int:
        """T: the time from one token to the next, 0 without a limit."""
        return -(-self.per_us // self.tokens) if self.tokens else 0


class LimitView(msgspec.Struct, frozen=True):
    """A key's limits: the code's default and the operator's, which wins."""

    key: str
    default: LimitSpec | None = None
    override: LimitSpec | None = None
    held_back: int = 0
    """Entries that wait for a token; a group's cursor is one."""

    @property
    def effective(self) -> LimitSpec | None:
        """The limit that counts, None if there is none."""
        spec = self.override if self.override is not None else self.default
        return spec if spec is not None and spec.tokens > 0 else None


FireVerdict: TypeAlias = Literal["fired", "late", "paused", "unknown"]
"""late: this or a later instant has fired already."""


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as the store keeps it."""

    name: str
    spec: bytes
    source: str = ""
    """Who put it: "app" for those of the code, "operator"."""
    paused: bool = False
    since_us: int = 0
    """When it was first put, or put with another spec: intervals count from here."""
    last_us: int | None = None
    """Nominal instant of the last tick that fired, None before the first. A new spec forgets it."""
    fired: int = 0
    """Ticks that fired."""


class Settled(msgspec.Struct, frozen=True):
    """Answer of `settle`: a verdict for each settlement, and what was claimed."""

    verdicts: tuple[SettleVerdict, ...]
    claimed: Claimed = Claimed()


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


class Order(msgspec.Struct, frozen=True):
    """Something a running session is told. Kind "cancel": stop the task `id` if it still runs under `tok`."""

    session: str
    kind: str
    id: str = ""
    tok: int = 0
    text: str = ""


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


class Mailbox(Protocol):
    """A supervisor's inbox, made to be waited on together with other descriptors."""

    def fileno(self) -> int:
        """Readable when `take` has something to say."""

    def take(self) -> list[Order]:
        """The orders that have arrived, oldest first; never blocks. Raises StoreUnavailable when the connection broke:
        close it and open a new one; orders put meanwhile are not lost while their session lives."""

    def close(self) -> None:
        """Stop listening; twice is fine."""


class Store(Protocol):
    """The verbs. See the module's text for the rules that all share."""

    url: str
    """Where the store is, without secrets; fit for logs."""

    def setup(self) -> None:
        """Create or check the schema, write the epoch into an empty store; raise StoreRefused if the store is unfit."""

    def close(self) -> None:
        """Let go of connections; twice is fine."""

    def after_fork(self) -> None:
        """Forget, without closing or speaking, every connection inherited from the parent process."""

    # -- in ---------------------------------------------------------------------------------------------------------
    def push(self, messages: Sequence[Message]) -> list[PushVerdict]:
        """Accept new tasks, all or none; per task ok, dup (same id, same digest), conflict (other digest) or full. With
        any conflict or full nothing is written. The id of a like member is a conflict. The same task twice in a batch
        is ok, then dup. At most `MAX_PUSH` messages. Rings the bells of their queues.
        Raises StoreFull when there is no memory or disk for it."""

    def group_push(self, batch: GroupBatch) -> PushVerdict:
        """Open, fill or seal a group. dup: these places (or this seal) were there before. conflict: another template, a
        gap in the offsets, an addition after the seal, a member whose id is taken by a task that is not this member.
        An empty sealed group ends at once."""

    # -- work -------------------------------------------------------------------------------------------------------
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

    # -- sessions ---------------------------------------------------------------------------------------------------
    def answer(self, ticket: str, node: str, data: bytes) -> None:
        """Leave a node's answer under a ticket; a later one of the same node replaces it. Watchers of the ticket are
        told. All answers of a ticket are gone `ANSWER_US` after the latest."""

    def answers(self, ticket: str) -> dict[str, bytes]:
        """The answers so far, by node."""

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

    def control(self, order: Order) -> bool:
        """Put an order into the inbox of its session; False if there is no such session."""

    def mailbox(self, name: str) -> Mailbox:
        """Open the inbox `name`, to which orders for sessions announced with `inbox=name` go. One reader at a time."""

    # -- readers ----------------------------------------------------------------------------------------------------
    def state(self, ids: Sequence[str]) -> list[TaskView | None]:
        """The tasks, in order; None where there is no record. Unclaimed like members read as ready."""

    def watch(self) -> Watch:
        """A new subscription."""

    def group(self, group: str) -> GroupView | None:
        """A group's counters."""

    def results(self, group: str, offset: int, n: int) -> list[MemberResult]:
        """Members `offset` to `offset + n` (at most 1,000) in order of place."""

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

    # -- operators --------------------------------------------------------------------------------------------------
    def revoke(self, ids: Sequence[str], terminate: bool = False) -> list[RevokeVerdict]:
        """Cancel what has not started, for good. With `terminate` also what runs: its token dies at once and its
        session gets a "cancel" order."""

    def group_revoke(self, group: str, terminate: bool = False) -> int:
        """Cancel a group: unclaimed members end in one step, waiting ones too; later retries of running members end
        as cancelled. With `terminate` running members are cancelled as by `revoke`. Returns how many ended now."""

    def group_retry(self, group: str) -> int:
        """Push the failed members back (generation + 1, counters zero) and wait for them again. A body that was waiting
        stays; one that ran is not run again. Returns how many went back."""

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

    def limit(self, key: str, spec: LimitSpec | None, default: bool = False) -> None:
        """Set the limit of a key, the operator's, or with `default` the code's; None removes it. Takes effect at once,
        for tasks that wait already too: the bells of queues with held back entries ring, and the key comes due at its
        new instant (without a limit: now). The token time that was reached stays, cut to `burst` new T from now, so
        that repeating a limit gives nobody a free token; a key with neither limit forgets it."""

    def limits(self, keys: Sequence[str] | None = None) -> dict[str, LimitView]:
        """The limits of these keys, or all; keys without any are left out."""

    # -- schedules --------------------------------------------------------------------------------------------------
    def schedule_put(self, name: str, spec: bytes, source: str = "") -> None:
        """Create a schedule or change its spec and source; the same again changes nothing. A new spec starts `since_us`
        anew and forgets `last_us`; a new source alone changes neither. A pause and `fired` stay."""

    def schedule_pause(self, name: str, paused: bool = True) -> bool:
        """Pause or resume; False if there is no such schedule."""

    def schedule_remove(self, name: str) -> bool:
        """Remove a schedule; False if there is none. If it ever fired, its last instant is remembered for a day or
        until the name is put again: with the same spec it gets that `last_us` back, so that no tick is repeated."""

    def schedules(self) -> list[ScheduleView]:
        """All schedules by name."""

    def fire(self, name: str, instant_us: int, message: Message | None, skip: bool = False) -> FireVerdict:
        """Push `message` (as by `push`; an id that is there already, even another task's, is fine) and remember the
        nominal instant, unless the schedule is gone ("unknown"), paused ("paused") or has fired at this or a later
        instant ("late"). With `skip`, or without a message, nothing is pushed or counted in `fired` and the instant is
        remembered: ticks that a catch-up policy leaves out."""


class Opener(Protocol):
    def __call__(self, url: str, **options: Any) -> Store: ...


SCHEMES = {
    "memory": "memory",
    "sqlite": "sqlite",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "redis+socket": "redis",
    "valkey": "redis",
    "valkeys": "redis",
}


def open(url: str, **options: Any) -> Store:
    """Open the store at `url`; `setup()` is not called.

    Schemes: `memory://` (one process), `sqlite:///relative` or `sqlite:////absolute/path`, `redis://`, `rediss://`,
    `unix://path`, and Celery's and Valkey's spellings of those. Options: `namespace` (default "smallage"), `clock` and
    `nonce` for tests, and what the store itself takes. Raises ImproperlyConfigured for anything else.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if not scheme:
        raise ImproperlyConfigured(
            "The store's URL names no scheme; write sqlite:///path/to/queue.db, redis://host:6379/0 or memory://."
        )
    kind = SCHEMES.get(scheme)
    if kind is None:
        raise ImproperlyConfigured(
            f"'{scheme}://' is not a store of Smallage. It keeps tasks in SQLite (sqlite:///path/to/queue.db), "
            "in Redis or Valkey (redis://, rediss://, unix://, redis+socket://, valkey://) or in memory (memory://)."
        )
    if kind == "memory":
        from smallage.stores import memory

        return memory.open(url, **options)
    if kind == "sqlite":
        from smallage.stores import sqlite

        return sqlite.open(url, **options)
    from smallage.stores import redis

    return redis.open(url, **options)


__all__ = [
    "AHEAD_MAX",
    "AHEAD_US",
    "ANSWER_US",
    "LEASE_US",
    "MAX_CLAIM",
    "MAX_HELD_BACK",
    "MAX_PUSH",
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
    "Order",
    "ScheduleView",
    "SessionInfo",
    "SessionView",
    "Settled",
    "Store",
    "TaskView",
    "Ticked",
    "Watch",
    "after_id",
    "open",
    "reclaim_delay_us",
]
