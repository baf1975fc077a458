"""Schedules, which fire once however many ask for it, and answers of nodes to questions."""

from __future__ import annotations

from typing import Any

from smallage.core.message import DAY_US, Message
from smallage.stores.base import ANSWER_US, SCHEDULES, FireVerdict, ScheduleView
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
    act.run(SCHEDULE_SAVE, (s.name, s.spec, s.source, s.paused, s.since_us, s.last_us, s.fired, s.removed_us))
    act.changed.append(SCHEDULES)


def put(act: Act, name: str, spec: bytes, source: str) -> None:
    """See `Store.schedule_put`."""
    known = _load(act, name)
    if known is None or known.removed_us is not None:
        last = known.last_us if known is not None and known.spec == spec else None
        _save(act, _Schedule((name, spec, source, 0, act.now, last, 0, None)))
    elif known.spec != spec:
        known.spec, known.source, known.since_us, known.last_us = spec, source, act.now, None
        _save(act, known)
    elif known.source != source:
        known.source = source
        _save(act, known)


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


def fire(act: Act, name: str, instant_us: int, message: Message | None, skip: bool) -> FireVerdict:
    """See `Store.fire`."""
    known = _load(act, name)
    if known is None or known.removed_us is not None:
        return "unknown"
    if known.paused:
        return "paused"
    if known.last_us is not None and instant_us <= known.last_us:
        return "late"
    known.last_us = instant_us
    if message is not None and not skip:
        known.fired += 1
        insert_new(act, [message], repeats=True)
    _save(act, known)
    return "fired"


def schedules(reader: Reader) -> list[ScheduleView]:
    """See `Store.schedules`."""
    return [
        ScheduleView(
            name=name, spec=spec, source=source, paused=bool(paused), since_us=since_us, last_us=last_us, fired=fired
        )
        for name, spec, source, paused, since_us, last_us, fired in reader.execute(SCHEDULES_ALL)
    ]


def answer(act: Act, ticket: str, node: str, data: bytes) -> None:
    """See `Store.answer`."""
    act.run(ANSWERS_OVER, (ticket, act.now - ANSWER_US))
    act.run(ANSWER_PUT, (ticket, node, data, act.now))
    act.changed.append(ticket)


def answers(reader: Reader, ticket: str, now: int) -> dict[str, bytes]:
    """See `Store.answers`."""
    return dict(reader.execute(ANSWERS_OF, (ticket, now - ANSWER_US)).fetchall())
