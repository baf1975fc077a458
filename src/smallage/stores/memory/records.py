"""What the memory store remembers: tasks, groups, sessions."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from smallage.core.message import DAY_US, FOREVER, Envelope, Message, digest, member_id
from smallage.core.states import TERMINAL, State
from smallage.stores.base import TOMBSTONE_US, GroupView, SessionInfo, TaskView


@dataclass(slots=True)
class Record:
    """One task. `payload` None: gone, or (for a like member) the group's template and row."""

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


def new_record(message: Message, now: int, state: State = "ready") -> Record:
    """A record for a message pushed at `now`; a later due time makes it scheduled."""
    envelope = message.envelope
    due, expires = envelope_times(envelope, now)
    if due is not None and due > now and state == "ready":
        state = "scheduled"
    return Record(
        id=message.id, envelope=envelope, payload=message.payload, digest=digest(message), state=state,
        queue=envelope.queue, priority=envelope.priority, group=message.group, index=message.index,
        due_us=due if state == "scheduled" else None, expires_us=expires, pushed_us=now,
    )  # fmt: skip


def envelope_times(envelope: Envelope, now: int) -> tuple[int | None, int | None]:
    """(due, expiry) as instants of the store's clock for something pushed or released at `now`."""
    due = envelope.due_us
    if due is None and envelope.delay_us > 0:
        due = now + envelope.delay_us
    ends = [at for at in (envelope.expires_us, envelope.expires_in_us and now + envelope.expires_in_us) if at]
    return due, min(ends) if ends else None
