"""The memory store's schedules."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from smallage.core.message import DAY_US, Message
from smallage.stores.base import MAX_SCHEDULES, SCHEDULES, FireVerdict, SchedulePut, ScheduleView
from smallage.stores.memory.pushing import Pushing


class Schedules(Pushing):
    """Named records, and the one verb that makes a tick happen once."""

    def schedule_put(self, name: str, spec: bytes, source: str = "") -> None:
        self.schedules_put([SchedulePut(name=name, spec=spec, source=source)])

    def schedules_put(self, puts: Sequence[SchedulePut]) -> list[bool]:
        if len(puts) > MAX_SCHEDULES:
            raise ValueError(f"schedules_put takes at most {MAX_SCHEDULES} schedules a call; split the batch")
        with self._act() as (_, now):
            return [self._put(put, now) for put in puts]

    def _put(self, put: SchedulePut, now: int) -> bool:
        books, name, spec, source = self._books, put.name, put.spec, put.source
        old = books.schedules.get(name)
        stands = old is not None and (old.spec, old.source) == (spec, source)
        if put.over is not None and not stands and put.over != (b"" if old is None else old.spec):
            return False
        if old is None:
            removed, last, at = books.removed_schedules.pop(name, (b"", 0, now - DAY_US))
            known = removed == spec and at + DAY_US > now
            new = ScheduleView(name=name, spec=spec, source=source, since_us=now, last_us=last if known else None)
        elif old.spec != spec and not put.keep:
            new = msgspec.structs.replace(old, spec=spec, source=source, since_us=now, last_us=None)
        else:
            new = msgspec.structs.replace(old, spec=spec, source=source)
        self._keep(old, new)
        return True

    def schedule_pause(self, name: str, paused: bool = True) -> bool:
        with self._act() as (books, _):
            old = books.schedules.get(name)
            if old is not None:
                self._keep(old, msgspec.structs.replace(old, paused=paused))
            return old is not None

    def schedule_remove(self, name: str) -> bool:
        with self._act() as (books, now):
            old = books.schedules.pop(name, None)
            if old is None:
                return False
            if old.last_us is not None:
                books.removed_schedules[name] = (old.spec, old.last_us, now)
            books.changed.add(SCHEDULES)
            return True

    def schedules(self, names: Sequence[str] | None = None) -> list[ScheduleView]:
        with self._act() as (books, _):
            if names is None:
                return [view for _, view in sorted(books.schedules.items())]
            return [books.schedules[name] for name in sorted({*names}) if name in books.schedules]

    def fire(
        self, name: str, instant_us: int, message: Message | None, skip: bool = False, spec: bytes | None = None
    ) -> FireVerdict:
        with self._act() as (books, now):
            old = books.schedules.get(name)
            if old is None:
                return "unknown"
            if old.paused:
                return "paused"
            if spec is not None and spec != old.spec:
                return "changed"
            if old.last_us is not None and instant_us <= old.last_us:
                return "late"
            fires = message is not None and not skip
            books.schedules[name] = msgspec.structs.replace(old, last_us=instant_us, fired=old.fired + fires)
            if message is not None and not skip and books.verdict(message, now) == "ok":
                books.accept(message, now)
            return "fired"

    def _keep(self, old: ScheduleView | None, new: ScheduleView) -> None:
        if new != old:
            self._books.schedules[new.name] = new
            self._books.changed.add(SCHEDULES)
