"""Rows of the tables as Python objects, and the numbers that stand for states."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from smallage.core.message import DAY_US, FOREVER, Envelope, member_id
from smallage.core.states import State
from smallage.stores.base import TOMBSTONE_US, GroupView, TaskView

Reader: TypeAlias = Any
"""A connection, or what runs statements like one; its rows hold what the columns of our schema say."""

SCHEDULED, READY, RUNNING, WAITING, PARKED, DONE, DEAD, CANCELLED = range(1, 9)
NAMES: Final[tuple[State | None, ...]] = (
    None, "scheduled", "ready", "running", "waiting", "parked", "done", "dead", "cancelled",
)  # fmt: skip
NUMBERS: Final[dict[str, int]] = {name: number for number, name in enumerate(NAMES) if name is not None}
PLAIN, LIKE, CURSOR, KEY = range(4)
NEVER: Final = 1 << 62
FEW: Final = 4
"""Rows from which one statement for all is quicker than one for each."""
LARGE: Final = 8192
"""Bytes that are not worth spelling in hex, as one statement for many needs them."""
CHUNK: Final = 100
"""Rows of a group that are stored together."""

decode_rows = msgspec.msgpack.Decoder(list[bytes]).decode
encode_rows = msgspec.msgpack.Encoder().encode
encode_envelope = msgspec.msgpack.Encoder().encode
decode_after = msgspec.msgpack.Decoder(tuple[str, str | None, bytes | None]).decode
"""(ended task's id, why it ended, its row) of what follows up an end."""
decode_envelope = msgspec.msgpack.Decoder(Envelope).decode


def state_name(number: int) -> State:
    name = NAMES[number]
    assert name is not None
    return name


def prune_at(state: int, keep_us: int, ended_us: int, in_group: bool) -> int:
    """When an ended record goes. Members of groups go with their group."""
    if in_group or keep_us == FOREVER:
        return NEVER
    if state == DEAD:
        keep_us = max(keep_us, DAY_US)
    elif keep_us == 0:
        keep_us = TOMBSTONE_US
    return min(ended_us + keep_us, NEVER)


class Task:
    """A row of `task` without its bytes; the columns are those of the query `task_columns`."""

    __slots__ = (
        "after", "body_of", "crashes", "due_us", "ended_us", "expires_us", "failures", "follow", "gen", "grp", "hold",
        "id", "idx", "keep_us", "kept", "kind", "lost", "max_crashes", "max_lost", "name", "nonce", "priority",
        "prune_us", "pushed_us", "queue", "ran", "reason", "releases", "revoked", "seat", "seq", "session", "settled",
        "started_us", "state", "tok",
    )  # fmt: skip

    def __init__(self, row: Any) -> None:
        (
            self.seq, self.id, self.kind, self.state, self.queue, self.priority, self.name, self.gen, self.tok,
            self.settled, self.session, self.nonce, self.grp, self.idx, self.body_of, self.failures, self.crashes,
            self.lost, self.releases, self.ran, self.revoked, self.due_us, self.expires_us, self.pushed_us,
            self.started_us, self.ended_us, self.prune_us, self.keep_us, self.max_crashes, self.max_lost, self.kept,
            self.seat, self.follow, self.hold, self.after, self.reason,
        ) = row  # fmt: skip


class Group:
    """A row of `grp` with the envelope of its template, if it has one; columns as in the query `group_columns`."""

    __slots__ = (
        "body", "body_ended_us", "cancelled", "changes", "cursor", "done", "ended_us", "failed", "holes", "id",
        "keep_us", "late", "num", "opened_us", "prune_us", "retried", "revoked", "running", "sealed", "t_digest",
        "t_due_us", "t_expires_us", "t_follow", "t_keep_us", "t_max_crashes", "t_max_lost", "t_name", "t_priority",
        "t_queue",
        "total", "touched",
    )  # fmt: skip

    def __init__(self, row: Any) -> None:
        (
            self.num, self.id, self.keep_us, self.opened_us, self.total, self.cursor, self.holes, self.done,
            self.failed, self.cancelled, self.running, self.retried, self.sealed, self.revoked, self.body,
            self.body_ended_us, self.changes, self.ended_us, self.prune_us, self.late, self.t_name, self.t_queue,
            self.t_priority, self.t_due_us, self.t_expires_us, self.t_keep_us, self.t_max_crashes, self.t_max_lost,
            self.t_digest, self.t_follow,
        ) = row  # fmt: skip
        self.touched = False

    @property
    def like(self) -> bool:
        return self.t_name is not None

    @property
    def rows(self) -> int:
        """How many like members there are."""
        return int(self.total - self.late) if self.like else 0

    @property
    def unclaimed(self) -> int:
        return int(self.rows - self.cursor - self.holes) if self.like else 0

    def gone(self, now: int) -> bool:
        return self.prune_us is not None and self.prune_us <= now

    def reckon_prune(self) -> None:
        """When the group goes: its time counts from its end, or its body's if that is later."""
        if not self.ended_us or (self.body is not None and not self.body_ended_us) or self.keep_us == FOREVER:
            self.prune_us = None
        else:
            self.prune_us = max(self.ended_us, self.body_ended_us) + max(self.keep_us, TOMBSTONE_US)

    def view(self) -> GroupView:
        return GroupView(
            id=self.id, total=self.total, done=self.done, failed=self.failed, cancelled=self.cancelled,
            running=self.running, sealed=bool(self.sealed), revoked=bool(self.revoked), body=self.body,
            seq=self.changes, retried=self.retried, opened_us=self.opened_us, ended_us=self.ended_us,
        )  # fmt: skip


def task_view(row: Any) -> TaskView:
    """A view from a row of the query `view_columns`."""
    (
        task_id, state, name, queue, priority, gen, tok, settled, reason, result, progress, session, failures, crashes,
        lost, releases, ran, group, index, due_us, expires_us, pushed_us, started_us, ended_us, ignored,
    ) = row  # fmt: skip
    return TaskView(
        id=task_id, state=state_name(state), name=name, queue=queue, priority=priority, gen=gen, tok=tok,
        settled=settled, reason=reason, result=result, progress=progress, session=session, failures=failures,
        crashes=crashes, lost=lost, releases=releases, ran=bool(ran), group=group, index=index, due_us=due_us,
        expires_us=expires_us, pushed_us=pushed_us, started_us=started_us, ended_us=ended_us, ignored=bool(ignored),
    )  # fmt: skip


def member_view(group: Group, index: int, end: Any, due_us: int | None) -> TaskView:
    """A like member without a task: ended (`end` is its row of `grp_result`), or not yet claimed."""
    member = member_id(group.id, index)
    if end is None:
        return TaskView(
            id=member, state="ready" if due_us is None else "scheduled", name=group.t_name, queue=group.t_queue,
            priority=group.t_priority, group=group.id, index=index, due_us=due_us, expires_us=group.t_expires_us,
            pushed_us=group.opened_us,
        )  # fmt: skip
    state, gen, settled, started_us, ended_us, reason, result = end
    return TaskView(
        id=member, state=state_name(state), name=group.t_name, queue=group.t_queue, priority=group.t_priority,
        group=group.id, index=index, gen=gen, tok=settled, settled=settled, reason=reason, result=result,
        ran=state == DONE, expires_us=group.t_expires_us, pushed_us=group.opened_us, started_us=started_us,
        ended_us=ended_us,
    )  # fmt: skip
