"""Schedules, which fire once however many ask for it, and answers of nodes to questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smallage.core.message import DAY_US, Message
from smallage.stores.base import ANSWER_US, SCHEDULES, FireVerdict, SchedulePut, ScheduleView
from smallage.stores.sqlite.ledger import Act
from smallage.stores.sqlite.push import insert_new
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import Reader

SCHEDULE_LOAD = query("schedule_load")
SCHEDULE_SAVE = query("schedule_save")
SCHEDULES_ALL = query("schedules_all")
ANSWER_PUT = query("answer_put")
ANSWERS_OVER = query("answers_over")
ANSWERS_OF = query("answers_of")


class _Schedule:
    """A row of `schedule`; `removed_us` is set in one that is only remembered."""

    def __init__(self, row: Any) -> None:
        (
            self.name, self.spec, self.source, self.paused, self.since_us, self.last_us, self.fired, self.removed_us,
        ) = row  # fmt: skip


def _load(act: Act, name: str) -> _Schedule | None:
    row = act.row(SCHEDULE_LOAD, name)
    found = _Schedule(row) if row is not None else None
    return None if found is None or (found.removed_us or act.now) <= act.now - DAY_US else found


def _save(act: Act, s: _Schedule) -> None:
    _write(act, s)
    if SCHEDULES not in act.changed[-1:]:
        act.changed.append(SCHEDULES)


def _write(act: Act, s: _Schedule) -> None:
    act.run(SCHEDULE_SAVE, (s.name, s.spec, s.source, s.paused, s.since_us, s.last_us, s.fired, s.removed_us))


def put(act: Act, new: SchedulePut) -> bool:
    """See `Store.schedules_put`; of one."""
    known = _load(act, new.name)
    there = known if known is not None and known.removed_us is None else None
    if there is not None and (there.spec, there.source) == (new.spec, new.source):
        return True
    if new.over is not None and new.over != (b"" if there is None else there.spec):
        return False
    if there is None:
        last = known.last_us if known is not None and known.spec == new.spec else None
        _save(act, _Schedule((new.name, new.spec, new.source, 0, act.now, last, 0, None)))
        return True
    if there.spec != new.spec and not new.keep:
        there.since_us, there.last_us = act.now, None
    there.spec, there.source = new.spec, new.source
    _save(act, there)
    return True


def pause(act: Act, name: str, paused: bool) -> bool:
    """See `Store.schedule_pause`."""
    known = _load(act, name)
    if known is None or known.removed_us is not None:
        return False
    if bool(known.paused) != paused:
        known.paused = int(paused)
        _save(act, known)
    return True


def remove(act: Act, name: str) -> bool:
    """See `Store.schedule_remove`."""
    known = _load(act, name)
    if known is None or known.removed_us is not None:
        return False
    known.removed_us = act.now
    _save(act, known)
    return True


def refusal(row: Any, instant_us: int, spec: bytes | None) -> FireVerdict | None:
    """Why a tick of the schedule in this row is not fired; None if it is."""
    known = _Schedule(row) if row is not None else None
    if known is None or known.removed_us is not None:
        return "unknown"
    if known.paused:
        return "paused"
    if spec is not None and spec != known.spec:
        return "changed"
    return "late" if known.last_us is not None and instant_us <= known.last_us else None


def refused(reader: Reader, name: str, instant_us: int, spec: bytes | None) -> FireVerdict | None:
    """The same, without troubling the writers: of many who offer a tick all but one are too late."""
    return refusal(reader.execute(SCHEDULE_LOAD, (name,)).fetchone(), instant_us, spec)


def fire(
    act: Act, name: str, instant_us: int, message: Message | None, skip: bool, spec: bytes | None = None
) -> FireVerdict:
    """See `Store.fire`."""
    row = act.row(SCHEDULE_LOAD, name)
    verdict = refusal(row, instant_us, spec)
    if verdict is not None:
        return verdict
    known = _Schedule(row)
    known.last_us = instant_us
    if message is not None and not skip:
        known.fired += 1
        insert_new(act, [message], repeats=True)
    _write(act, known)
    return "fired"


def schedules(reader: Reader, names: Sequence[str] | None = None) -> list[ScheduleView]:
    """See `Store.schedules`."""
    if names is None:
        return [_view(row) for row in reader.execute(SCHEDULES_ALL)]
    rows = [reader.execute(SCHEDULE_LOAD, (name,)).fetchone() for name in sorted({*names})]
    return [_view(row[:7]) for row in rows if row is not None and row[7] is None]


def _view(row: Any) -> ScheduleView:
    name, spec, source, paused, since_us, last_us, fired = row
    return ScheduleView(
        name=name, spec=spec, source=source, paused=bool(paused), since_us=since_us, last_us=last_us, fired=fired
    )


def answer(act: Act, ticket: str, node: str, data: bytes) -> None:
    """See `Store.answer`."""
    act.run(ANSWERS_OVER, (ticket, act.now - ANSWER_US))
    act.run(ANSWER_PUT, (ticket, node, data, act.now))
    act.changed.append(ticket)


def answers(reader: Reader, ticket: str, now: int) -> dict[str, bytes]:
    """See `Store.answers`."""
    return dict(reader.execute(ANSWERS_OF, (ticket, now - ANSWER_US)).fetchall())
