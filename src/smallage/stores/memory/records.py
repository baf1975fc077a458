"""What the memory store remembers: tasks, groups, sessions, limits."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from smallage.core.message import DAY_US, FOREVER, Envelope, Message, digest, member_id
from smallage.core.states import TERMINAL, State
from smallage.stores.base import TOMBSTONE_US, GroupView, LimitSpec, LimitView, SessionInfo, TaskView

SLACK_US = 20_000
"""Lateness of a wake-up that a limit makes good, at most."""


@dataclass(slots=True)
class Record:
    """One task. `payload` None: gone, not there yet (a seat), or (for a like member) the group's template and row.

    `seat`: it waits for a message that fills it, or was cancelled while it did and none has come yet. `row`, `after`
    and `after_reason` belong to follow-ups.
    """

    id: str
    envelope: Envelope
    payload: bytes | None
    digest: bytes
    state: State
    queue: str
    priority: int
    group: str | None = None
    index: int | None = None
    like: bool = False
    body_of: str | None = None
    seat: bool = False
    row: bytes | None = None
    after: str | None = None
    after_reason: str | None = None
    gen: int = 1
    tok: int = 0
    nonce: str = ""
    settled: int = 0
    session: str | None = None
    failures: int = 0
    crashes: int = 0
    lost: int = 0
    releases: int = 0
    ran: bool = False
    revoked: bool = False
    due_us: int | None = None
    expires_us: int | None = None
    reason: str | None = None
    result: bytes | None = None
    progress: bytes | None = None
    pushed_us: int = 0
    started_us: int = 0
    ended_us: int = 0

    @property
    def entry(self) -> str:
        return self.id

    @property
    def tombstone(self) -> bool:
        return self.state in ("done", "cancelled") and self.envelope.keep_us == 0 and self.group is None

    def gone(self, now: int) -> bool:
        """True once the record's life after its end is over. Members of groups go with their group."""
        if self.state not in TERMINAL or self.group is not None:
            return False
        life = self.envelope.keep_us
        if life == FOREVER:
            return False
        if self.state == "dead":
            life = max(life, DAY_US)
        elif life == 0:
            life = TOMBSTONE_US
        return self.ended_us + life <= now

    def view(self) -> TaskView:
        return TaskView(
            id=self.id, state=self.state, name=self.envelope.name, queue=self.queue, priority=self.priority,
            gen=self.gen, tok=self.tok, settled=self.settled, reason=self.reason, result=self.result,
            progress=self.progress, session=self.session, failures=self.failures, crashes=self.crashes,
            lost=self.lost, releases=self.releases, ran=self.ran, group=self.group, index=self.index,
            due_us=self.due_us, expires_us=self.expires_us, pushed_us=self.pushed_us, started_us=self.started_us,
            ended_us=self.ended_us, ignored=self.tombstone,
        )  # fmt: skip


@dataclass(slots=True)
class MemberEnd:
    """A like member that ended and left no record of its own."""

    state: State
    result: bytes | None = None
    reason: str | None = None
    gen: int = 1
    settled: int = 0
    started_us: int = 0
    ended_us: int = 0


@dataclass(slots=True)
class Group:
    """A group: like members stand in `rows` behind one entry and a cursor, unlike ones are records of their own."""

    id: str
    keep_us: int
    opened_us: int
    template: Message | None = None
    digest: bytes | None = None
    due_us: int | None = None
    expires_us: int | None = None
    rows: list[bytes] = field(default_factory=list)
    cursor: int = 0
    unlike: dict[int, str] = field(default_factory=dict)
    ends: dict[int, MemberEnd] = field(default_factory=dict)
    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    running: int = 0
    retried: int = 0
    sealed: bool = False
    revoked: bool = False
    body: str | None = None
    body_ended_us: int = 0
    seq: int = 0
    ended_us: int = 0

    @property
    def entry(self) -> str:
        """Its place in ready and scheduled order; task ids never begin with a star."""
        return "*" + self.id

    def member(self, index: int) -> str:
        return self.unlike.get(index) or member_id(self.id, index)

    def gone(self, now: int) -> bool:
        if not self.ended_us or (self.body and not self.body_ended_us) or self.keep_us == FOREVER:
            return False
        return max(self.ended_us, self.body_ended_us) + max(self.keep_us, TOMBSTONE_US) <= now

    def view(self) -> GroupView:
        return GroupView(
            id=self.id, total=self.total, done=self.done, failed=self.failed, cancelled=self.cancelled,
            running=self.running, sealed=self.sealed, revoked=self.revoked, body=self.body, seq=self.seq,
            retried=self.retried, opened_us=self.opened_us, ended_us=self.ended_us,
        )  # fmt: skip


@dataclass(slots=True)
class Session:
    """One life of one worker process."""

    info: SessionInfo
    lease_end_us: int
    held: OrderedDict[str, None] = field(default_factory=OrderedDict)
    nonce: str = ""


Line = OrderedDict[str, None]
"""Entries in order."""


@dataclass(slots=True)
class Limit:
    """A key's limits, the time its tokens have reached, and what it holds back by queue and priority."""

    key: str
    default: LimitSpec | None = None
    override: LimitSpec | None = None
    tat: int = 0
    rung_us: int = 0
    """When its bells rang last."""
    lines: dict[tuple[str, int], Line] = field(default_factory=dict)

    def view(self) -> LimitView:
        return LimitView(self.key, self.default, self.override, sum(map(len, self.lines.values())))

    @property
    def spec(self) -> LimitSpec | None:
        return self.view().effective

    @property
    def forgotten(self) -> bool:
        return self.default is None and self.override is None

    @property
    def instant(self) -> int:
        """When the next token is there; 0 without a limit."""
        spec = self.spec
        return self.tat - (spec.burst - 1) * spec.every_us if spec else 0

    def cut(self, now: int) -> None:
        """Let the token time be no further ahead than a full burst."""
        if spec := self.spec:
            self.tat = min(self.tat, now + spec.burst * spec.every_us)

    def pay(self, now: int) -> None:
        """Take a token."""
        if spec := self.spec:
            every = spec.every_us
            self.tat = max(self.tat, now - min(every // 2, SLACK_US)) + every


def new_record(message: Message, now: int, group: str | None = None, index: int | None = None) -> Record:
    """A record for a message pushed at `now`: ready, scheduled for a later due time, or a seat."""
    envelope = message.envelope
    due, expires = envelope_times(envelope, now)
    state: State = "waiting" if message.waits else "scheduled" if due is not None and due > now else "ready"
    return Record(
        id=message.id, envelope=envelope, payload=None if message.waits else message.payload, digest=digest(message),
        state=state, queue=envelope.queue, priority=envelope.priority, group=group, index=index, seat=message.waits,
        due_us=due if state == "scheduled" else None, expires_us=None if message.waits else expires, pushed_us=now,
    )  # fmt: skip


def envelope_times(envelope: Envelope, now: int) -> tuple[int | None, int | None]:
    """(due, expiry) as instants of the store's clock for something pushed or released at `now`."""
    due = envelope.due_us
    if due is None and envelope.delay_us > 0:
        due = now + envelope.delay_us
    ends = [at for at in (envelope.expires_us, envelope.expires_in_us and now + envelope.expires_in_us) if at]
    return due, min(ends) if ends else None
