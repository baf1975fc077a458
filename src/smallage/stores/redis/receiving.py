"""Replies of scripts as the store's values."""

from __future__ import annotations

from typing import Any, cast

from smallage.core.message import DAY_US, Claim
from smallage.core.states import State
from smallage.stores.base import Claimed, MemberResult, TaskView
from smallage.stores.redis.keys import STATES, decode_id, uuid_text

_names: dict[bytes, str] = {}
"""Task and queue names seen: the same few come again and again."""


def name_of(raw: bytes) -> str:
    """A name as text."""
    name = _names.get(raw)
    if name is None:
        if len(_names) > 10_000:
            _names.clear()
        name = _names[raw] = raw.decode()
    return name


def number(raw: bytes | None, default: int = 0) -> int:
    """An integer field. Damaged ones read as the default: a reader must show the record, not fall over it."""
    if not raw:
        return default
    try:
        return int(raw)
    except ValueError:
        return default


def _optional(raw: bytes | None) -> int | None:
    return number(raw) or None


def counts(raw: bytes | None) -> tuple[int, int, int, int]:
    """Failures, crashes, losses, releases."""
    parts = raw.split() if raw else []
    if len(parts) != 4:
        return (0, 0, 0, 0)
    failures, crashes, lost, releases = (number(part) for part in parts)
    return (failures, crashes, lost, releases)


_NO_COUNTS = (0, 0, 0, 0)


def claimed(reply: list[Any], nonce: str) -> Claimed:
    """The answer of include/claiming.lua."""
    now = int(reply[0])
    if len(reply) == 1:
        return Claimed(now_us=now)
    due = reply[1]
    templates = {raw: rest for raw, *rest in reply[3]} if reply[3] else {}
    claims = tuple([_claim(item, now, nonce, templates) for item in reply[2]])
    return Claimed(claims, int(due) if due else None, now)


def _claim(item: list[Any], now: int, nonce: str, templates: dict[bytes, list[Any]]) -> Claim:
    raw, tok, queue, priority, fields, *started = item
    name, payload, row, *rest = fields
    rest += [None] * (8 - len(rest))
    expires, _, tally, gen, pushed, keep, group, body_of = rest[:8]
    keep_us = DAY_US if keep is None else int(keep)
    group_id, index = (None, None) if group is None else (uuid_text(group[:16]), int(group[16:]))
    pushed_us = number(pushed)
    if raw[:1] == b"m" and len(raw) > 17 and raw[1:17] in templates:
        its_name, template, opened, group_expires, group_keep = templates[raw[1:17]]
        name = its_name
        group_id, index = uuid_text(raw[1:17]), int(raw[17:])
        pushed_us = int(opened)
        keep_us = DAY_US if group_keep is None else int(group_keep)
        expires = group_expires if expires is None else expires
        if payload is None:
            payload = template
        else:
            row = None
    failures, crashes, lost, releases = counts(tally) if tally else _NO_COUNTS
    return Claim(
        id=decode_id(raw), gen=1 if gen is None else int(gen), tok=int(tok), nonce=nonce, name=name_of(name),
        payload=payload, queue=name_of(queue), priority=int(priority), row=row, failures=failures, crashes=crashes,
        lost=lost, releases=releases, group=group_id, index=index,
        body_of=None if body_of is None else uuid_text(body_of), pushed_us=pushed_us,
        claimed_us=int(started[0]) if started else now, expires_us=_optional(expires), keep_us=keep_us,
    )  # fmt: skip


def task_view(task_id: str, reply: list[Any] | None) -> TaskView | None:
    """One item of the answer of state.lua."""
    if not reply:
        return None
    if reply[0] == b"m":
        return _row_view(task_id, reply)
    _, name, queue, priority, due, opened, group_expires, *rest = reply
    fields: dict[bytes, bytes] = dict(zip(rest[::2], rest[1::2], strict=True))
    state, session = _state(fields.get(b"s"))
    tok = number(fields.get(b"k"))
    settled = fields.get(b"z")
    flags = number(fields.get(b"f"))
    failures, crashes, lost, releases = counts(fields.get(b"v"))
    group, index = _place(task_id, fields, opened)
    expires = fields.get(b"x", group_expires)
    reason = fields.get(b"c")
    keep = number(fields.get(b"t"), DAY_US)
    return TaskView(
        id=task_id, state=state, name=name_of(name), queue=name_of(queue), priority=number(priority),
        gen=number(fields.get(b"h"), 1), tok=tok, settled=tok if settled == b"1" else number(settled),
        reason="failed" if reason is None and state == "dead" else None if reason is None else reason.decode(),
        result=fields.get(b"y"), progress=fields.get(b"u"), session=session, failures=failures, crashes=crashes,
        lost=lost, releases=releases, ran=state in ("running", "done") or (state == "cancelled" and bool(flags & 2)),
        group=group, index=index, due_us=number(due) if due else None, expires_us=_optional(expires),
        pushed_us=number(opened if opened else fields.get(b"a")),
        started_us=tok - number(fields.get(b"b")) if tok else 0, ended_us=number(fields.get(b"e")),
        ignored=keep == 0 and group is None and state in ("done", "cancelled"),
    )  # fmt: skip


def _state(raw: bytes | None) -> tuple[State, str | None]:
    if raw is None:
        return "ready", None
    if raw[:1] == b"@":
        return "running", raw[1:].decode()
    return cast(State, STATES.get(raw.decode(errors="replace"), "dead")), None


def _place(task_id: str, fields: dict[bytes, bytes], opened: bytes | None) -> tuple[str | None, int | None]:
    if (place := fields.get(b"i")) is not None:
        return uuid_text(place[:16]), number(place[16:])
    if opened:
        group, _, index = task_id.rpartition(".")
        return group, int(index)
    return None, None


def _row_view(task_id: str, reply: list[Any]) -> TaskView:
    """A like member without a record of its own: ended, or not yet claimed."""
    _, name, queue, priority, opened, expires, due, entry, cancelled_at = reply
    group, _, index = task_id.rpartition(".")
    common: dict[str, Any] = {
        "id": task_id, "name": name_of(name), "queue": name_of(queue), "priority": int(priority), "group": group,
        "index": int(index), "expires_us": _optional(expires), "pushed_us": int(opened),
    }  # fmt: skip
    if entry:
        end = MemberEnd(entry)
        return TaskView(
            **common, state=end.state, gen=end.gen, tok=end.settled, settled=end.settled, reason=end.reason,
            result=end.result, ran=end.state == "done", started_us=end.started_us, ended_us=end.ended_us,
        )  # fmt: skip
    if cancelled_at:
        return TaskView(**common, state="cancelled", reason="revoked", ended_us=int(cancelled_at))
    return TaskView(**common, state="scheduled" if due else "ready", due_us=_optional(due))


class MemberEnd:
    """An entry of g:<id>:r:<chunk>."""

    __slots__ = ("ended_us", "gen", "place", "reason", "result", "settled", "started_us", "state")

    def __init__(self, entry: bytes) -> None:
        self.place = entry[0]
        self.state = cast(State, STATES[str(entry[1])])
        self.gen = int.from_bytes(entry[2:4], "big")
        self.settled = int.from_bytes(entry[4:11], "big")
        self.started_us = int.from_bytes(entry[11:18], "big")
        self.ended_us = int.from_bytes(entry[18:25], "big")
        rest = 26 + entry[25]
        self.reason = entry[26:rest].decode() or None
        self.result = entry[rest + 1 :] if len(entry) > rest else None


def member_result(index: int, view: TaskView) -> MemberResult:
    """How a member stands, from its view."""
    return MemberResult(index, view.id, view.state, view.result, view.reason)
