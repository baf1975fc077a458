"""Replies of scripts as the store's values."""

from __future__ import annotations

from typing import Any, cast

from smallage.core.message import DAY_US, Claim
from smallage.core.states import State
from smallage.stores.base import Claimed, MemberResult, TaskView
from smallage.stores.redis.keys import STATES, decode_id, uuid_text

GIVEN = 4096
"""Flag of a record whose end was given by another task."""
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


def claimed(reply: list[Any], nonce: str) -> Claimed:
    """The answer of include/claiming.lua."""
    now = int(reply[0])
    if len(reply) == 1:
        return Claimed(now_us=now)
    _, due, first_token, flat, line_pairs, name_pairs, template_rows = reply
    if not flat:
        return Claimed((), int(due) if due else None, now)
    tok = int(first_token) if first_token else 0
    lines = [(name_of(queue), int(priority)) for queue, priority in line_pairs]
    names = {name_pairs[i]: name_of(name_pairs[i + 1]) for i in range(0, len(name_pairs), 2)}
    templates = {row[0]: row for row in template_rows}
    claims = []
    for i in range(0, len(flat), 7):
        raw, line, name, payload, pushed, keep, rare = flat[i : i + 7]
        queue, priority = lines[line - 1]
        if name is not None and rare is None:
            claim = Claim(
                id=decode_id(raw), gen=1, tok=tok, nonce=nonce, name=names[name], payload=payload, queue=queue,
                priority=priority, pushed_us=number(pushed), claimed_us=now, keep_us=number(keep, DAY_US),
            )  # fmt: skip
        else:
            claim = _rare_claim(flat[i : i + 7], tok, nonce, queue, priority, now, names, templates)
        claims.append(claim)
        tok += 1
    return Claimed(tuple(claims), int(due) if due else None, now)


def _rare_claim(
    item: list[Any], tok: int, nonce: str, queue: str, priority: int, now: int,
    names: dict[bytes, str], templates: dict[bytes, list[Any]],
) -> Claim:  # fmt: skip
    """A member of a group, a body, or a task that has been claimed before or may expire."""
    raw, _, name, payload, pushed, keep, rare = item
    if isinstance(rare, list):
        expires, tally, gen, place, body_of, row, follows, own_tok, started = (*rare, None, None, None, None)[:9]
    else:
        expires = tally = gen = place = body_of = follows = own_tok = started = None
        row = rare
    group, index = (None, None) if place is None else (uuid_text(place[:16]), int(place[16:]))
    if name is None:
        _, its_name, template, pushed, group_expires, keep = templates[raw[1:17]]
        expires = group_expires if expires is None else expires
        payload, row = (template, row) if payload is None else (payload, None)
        group, index = uuid_text(raw[1:17]), int(raw[17:])
        task_name = name_of(its_name)
    else:
        task_name = names[name]
    after = reason = None
    if follows is not None:
        after, reason, row = _followed(follows)
    failures, crashes, lost, releases = counts(tally)
    return Claim(
        id=decode_id(raw), gen=number(gen, 1), tok=int(own_tok) if own_tok else tok, nonce=nonce, name=task_name,
        payload=payload, queue=queue, priority=priority, row=row, failures=failures, crashes=crashes, lost=lost,
        releases=releases, group=group, index=index, body_of=None if body_of is None else uuid_text(body_of),
        pushed_us=number(pushed), claimed_us=int(started) if started else now, expires_us=_optional(expires),
        keep_us=number(keep, DAY_US), after=after, reason=reason,
    )  # fmt: skip


def _followed(raw: bytes) -> tuple[str, str, bytes | None]:
    """Id, reason and row of the ended task that a claim follows, as include/following.lua writes them."""
    end = 2 + int.from_bytes(raw[:2], "big")
    reason_end = end + 1 + raw[end]
    row = raw[reason_end + 1 :] if raw[reason_end:] else None
    return decode_id(raw[2:end]), raw[end + 1 : reason_end].decode(errors="replace"), row


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
    flags = number(fields.get(b"f"))
    settled = b"1" if state == "done" and not flags & GIVEN else fields.get(b"z")
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
        lost=lost, releases=releases, ran=_ran(state, flags),
        group=group, index=index, due_us=number(due) if due else None, expires_us=_optional(expires),
        pushed_us=number(opened if opened else fields.get(b"a")),
        started_us=tok - number(fields.get(b"b")) if tok else 0, ended_us=number(fields.get(b"e")),
        ignored=keep == 0 and group is None and state in ("done", "cancelled"),
    )  # fmt: skip


def _ran(state: State, flags: int) -> bool:
    if state == "done":
        return not flags & GIVEN
    return state == "running" or (state == "cancelled" and bool(flags & 2))


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
    """An entry of g:<id>:r:<chunk>, as `member_end` in include/moves.lua writes it."""

    __slots__ = ("ended_us", "gen", "place", "reason", "result", "settled", "started_us", "state")

    def __init__(self, entry: bytes) -> None:
        self.place, flags = entry[0], entry[1]
        self.state = cast(State, STATES[str(flags & 15)])
        self.settled = int.from_bytes(entry[2:9], "big")
        if flags & 16:
            self.started_us = int.from_bytes(entry[9:16], "big")
            self.ended_us = int.from_bytes(entry[16:23], "big")
            rest = 23
        else:
            self.started_us = self.settled - int.from_bytes(entry[9:13], "big")
            self.ended_us = self.started_us + int.from_bytes(entry[13:17], "big")
            rest = 17
        self.gen = 1
        if flags & 32:
            self.gen = int.from_bytes(entry[rest : rest + 2], "big")
            rest += 2
        self.reason: str | None = None
        if flags & 64:
            end = rest + 1 + entry[rest]
            self.reason = entry[rest + 1 : end].decode(errors="replace")
            rest = end
        self.result = entry[rest:] if flags & 128 else None


def member_result(index: int, view: TaskView) -> MemberResult:
    """How a member stands, from its view."""
    return MemberResult(index, view.id, view.state, view.result, view.reason)
