"""Verbs for schedules: named records, and the one act that makes a tick happen once."""

from __future__ import annotations

from collections.abc import Sequence

from smallage.core.message import Message
from smallage.stores.base import MAX_SCHEDULES, FireVerdict, SchedulePut, ScheduleView
from smallage.stores.redis import sending
from smallage.stores.redis.partition import Partition
from smallage.stores.redis.wire import Word

_FIRED: dict[int, FireVerdict] = {
    ord("f"): "fired",
    ord("l"): "late",
    ord("p"): "paused",
    ord("u"): "unknown",
    ord("c"): "changed",
}
_PAGE = 250
"""Schedules read by one script: about a millisecond of the server's time."""


class Scheduling(Partition):
    """schedule_put, schedules_put, schedule_pause, schedule_remove, schedules, fire."""

    def schedule_put(self, name: str, spec: bytes, source: str = "") -> None:
        """See `Store.schedule_put`."""
        self.schedules_put([SchedulePut(name=name, spec=spec, source=source)])

    def schedules_put(self, puts: Sequence[SchedulePut]) -> list[bool]:
        """See `Store.schedules_put`."""
        if len(puts) > MAX_SCHEDULES:
            raise ValueError(f"schedules_put takes at most {MAX_SCHEDULES} schedules a call; split the batch")
        words: list[Word] = [len(puts)]
        for put in puts:
            words += (put.name, put.spec, put.source, int(put.keep), *sending.absent_or_bytes(put.over))
        return [letter == ord("o") for letter in self._grow("schedules_put", *words)[0]]

    def schedule_pause(self, name: str, paused: bool = True) -> bool:
        """See `Store.schedule_pause`."""
        return bool(self._link.run("schedule_pause", name, 1 if paused else 0))

    def schedule_remove(self, name: str) -> bool:
        """See `Store.schedule_remove`."""
        return bool(self._link.run("schedule_remove", name, repeat=False))

    def schedules(self, names: Sequence[str] | None = None) -> list[ScheduleView]:
        """See `Store.schedules`."""
        found = self._link.run("schedule_names") if names is None else [name.encode() for name in names]
        wanted = sorted(set(found))
        views: list[ScheduleView] = []
        for start in range(0, len(wanted), _PAGE):
            flat = self._link.run("schedules", *wanted[start : start + _PAGE])
            views += [_view(flat[i : i + 7]) for i in range(0, len(flat), 7)]
        return views

    def fire(
        self, name: str, instant_us: int, message: Message | None, skip: bool = False, spec: bytes | None = None
    ) -> FireVerdict:
        """See `Store.fire`."""
        words = sending.runs([] if skip or message is None else [message])
        return _FIRED[self._grow("fire", name, instant_us, *sending.absent_or_bytes(spec), *words)[0][0]]


def _view(items: list[bytes]) -> ScheduleView:
    name, spec, source, paused, since, last, fired = items
    return ScheduleView(
        name=name.decode(), spec=spec, source=source.decode(), paused=paused == b"1", since_us=int(since),
        last_us=int(last) if last else None, fired=int(fired or 0),
    )  # fmt: skip
