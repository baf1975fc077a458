"""Bounded reads: tasks, groups, results, counts, pages. Each sees one moment of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from smallage.core.message import member_of
from smallage.core.states import State
from smallage.stores.base import MAX_PUSH, GroupView, Held, MemberResult, SessionInfo, SessionView, TaskView
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import (
    CHUNK,
    DONE,
    LIKE,
    NAMES,
    NUMBERS,
    SCHEDULED,
    Group,
    Reader,
    decode_after,
    decode_rows,
    member_view,
    state_name,
    task_view,
)
from smallage.stores.sqlite.transaction import GROUP_BY_ID, RESULT_ONE, rows_by_ids

VIEW_ONE = f"{query('view_columns')} {query('view_one')}"
VIEW_MANY = f"{query('view_columns')} {query('view_many')}"
FIND: Final = {
    name: f"{query('view_columns')} {query('find_from')} {query(f'find_{name}' if number < DONE else 'find_ended')}"
    for name, number in NUMBERS.items()
}
KNOWN_ID = query("known_id")
HELD_BACK_OF = query("held_back_of")
CURSOR_DUE = query("cursor_due")
PAYLOAD_KEPT = query("payload_kept")
TEMPLATE_PAYLOAD = query("template_payload")
ROWS_LOAD = query("rows_load")
RESULTS_PAGE = query("results_page")
MEMBERS_PAGE = query("members_page")
COUNTS: Final = {name: query(f"count_{name}") for name in ("ready", "scheduled", "running", "waiting", "parked")}
COUNT_HELD_BACK = query("count_held_back")
FIND_HELD_BACK = f"{query('view_columns')} {query('find_from')} {query('find_held_back')}"
COUNT_UNCLAIMED = query("count_unclaimed")
COUNT_ENDED = query("count_ended")
COUNT_MEMBERS = query("count_members")
COUNT_BOOK = query("count_book")
SESSIONS_ALL = query("sessions_all")
HELD_BY = query("held_by")

_decode_info = msgspec.msgpack.Decoder(SessionInfo).decode


def state(reader: Reader, ids: Sequence[str], now: int) -> list[TaskView | None]:
    """See `Store.state`."""
    found: dict[str, TaskView | None] = {}
    for row in rows_by_ids(reader.execute, VIEW_MANY, VIEW_ONE, ids):
        if (row[25] is None or row[25] > now) and (row[26] is None or row[26] > now):
            found[row[0]] = task_view(row[:25])
    for task_id in ids:
        if task_id not in found:
            found[task_id] = _member(reader, task_id, now)
    return [found[task_id] for task_id in ids]


def group_of(reader: Reader, group_id: str, now: int) -> Group | None:
    """The group, unless its life is over."""
    row = reader.execute(GROUP_BY_ID, (group_id,)).fetchone()
    group = Group(row) if row is not None else None
    return None if group is None or group.gone(now) else group


def _rowed(reader: Reader, task_id: str, now: int) -> tuple[Group, int] | None:
    place = member_of(task_id)
    group = group_of(reader, place[0], now) if place else None
    return (group, place[1]) if place and group and place[1] < group.rows else None


def _member(reader: Reader, task_id: str, now: int) -> TaskView | None:
    """A like member that has no task of its own."""
    rowed = _rowed(reader, task_id, now)
    if rowed is None:
        return None
    group, index = rowed
    end = reader.execute(RESULT_ONE, (group.num, index)).fetchone()
    due = reader.execute(CURSOR_DUE, (group.id,)).fetchone() if end is None else None
    return member_view(group, index, end, due[0] if due else None)


def group(reader: Reader, group_id: str, now: int) -> GroupView | None:
    """See `Store.group`."""
    found = group_of(reader, group_id, now)
    return found.view() if found else None


def results(reader: Reader, group_id: str, offset: int, n: int, now: int) -> list[MemberResult]:
    """See `Store.results`."""
    found = group_of(reader, group_id, now)
    if found is None:
        return []
    end = min(offset + min(n, MAX_PUSH), found.total)
    members: dict[int, MemberResult] = {}
    if found.like:
        due = reader.execute(CURSOR_DUE, (found.id,)).fetchone()
        waiting: State = "scheduled" if due else "ready"
        for place in range(offset, min(end, found.rows)):
            members[place] = MemberResult(place, f"{found.id}.{place}", waiting)
        for place, number, result, reason in reader.execute(RESULTS_PAGE, (found.num, offset, end)):
            members[place] = MemberResult(place, f"{found.id}.{place}", state_name(number), result, reason)
    for place, task_id, number, result, reason in reader.execute(MEMBERS_PAGE, (found.id, offset, end)):
        if task_id is not None:
            members[place] = MemberResult(place, task_id, state_name(number), result, reason)
    return [members[place] for place in sorted(members)]


def counts(reader: Reader) -> dict[str, dict[str, int]]:
    """See `Store.counts`."""
    stale, pruned, purged = reader.execute(COUNT_BOOK).fetchone()
    totals = {"done": 0, "dead": 0, "cancelled": 0, "stale": stale, "pruned": pruned, "purged": purged}
    out: dict[str, dict[str, int]] = {"": totals}
    for name, statement in COUNTS.items():
        for queue, n in reader.execute(statement):
            _add(out, queue, name, n)
    for queue, n in reader.execute(COUNT_HELD_BACK):
        _add(out, queue, "ready", n)
    for queue, number, n in reader.execute(COUNT_UNCLAIMED):
        _add(out, queue, "scheduled" if number == SCHEDULED else "ready", n)
    for number, n in [*reader.execute(COUNT_ENDED), *reader.execute(COUNT_MEMBERS)]:
        _add(out, "", str(NAMES[number]), n)
    return out


def _add(out: dict[str, dict[str, int]], queue: str, name: str, n: int) -> None:
    if n:
        of = out.setdefault(queue, {})
        of[name] = of.get(name, 0) + n


def find(reader: Reader, name: State, n: int, after: str | None, now: int) -> list[TaskView]:
    """See `Store.find`. A task that has left the state since the last page begins the list anew."""
    number = NUMBERS[name]
    if after is not None and reader.execute(KNOWN_ID, (after, number)).fetchone() is None:
        after = None
    if name == "ready":
        return _find_ready(reader, n, after)
    values: tuple[Any, ...] = (n, after) if number < DONE else (n, after, number, now)
    return [task_view(row[:25]) for row in reader.execute(FIND[name], values)]


def _find_ready(reader: Reader, n: int, after: str | None) -> list[TaskView]:
    """Those that stand in the order, then those that limits hold back."""
    held = after is not None and reader.execute(HELD_BACK_OF, (after,)).fetchone() is not None
    rows = [] if held else reader.execute(FIND["ready"], (n, after)).fetchall()
    if len(rows) < n:
        rows += reader.execute(FIND_HELD_BACK, (n - len(rows), after if held else None)).fetchall()
    return [task_view(row[:25]) for row in rows]


def payload(reader: Reader, task_id: str, now: int) -> tuple[bytes, bytes | None] | None:
    """See `Store.payload`."""
    row = reader.execute(PAYLOAD_KEPT, (task_id,)).fetchone()
    if row is not None and (row[4] is None or row[4] > now) and (row[5] is None or row[5] > now):
        kind, group_id, index, kept = row[:4]
        if kept is not None or kind != LIKE:
            return (kept, decode_after(row[6])[2] if row[6] else None) if kept is not None else None
        found = group_of(reader, group_id, now)
        return _template_and_row(reader, found, index) if found else None
    rowed = _rowed(reader, task_id, now)
    if rowed is None or reader.execute(RESULT_ONE, (rowed[0].num, rowed[1])).fetchone() is not None:
        return None
    return _template_and_row(reader, *rowed)


def _template_and_row(reader: Reader, found: Group, index: int) -> tuple[bytes, bytes | None]:
    template = reader.execute(TEMPLATE_PAYLOAD, (found.num,)).fetchone()
    chunk = reader.execute(ROWS_LOAD, (found.num, index // CHUNK)).fetchone()
    return template[0], decode_rows(chunk[0])[index % CHUNK]


def workers(reader: Reader, now: int, boot: int) -> list[SessionView]:
    """See `Store.workers`."""
    return [
        SessionView(session=name, info=_decode_info(info), lease_end_us=lease_end - boot + now, held=held)
        for name, info, lease_end, _, held in reader.execute(SESSIONS_ALL)
    ]


def held(reader: Reader, session: str) -> list[Held]:
    """See `Store.held`."""
    return [Held(*row) for row in reader.execute(HELD_BY, (session,))]
