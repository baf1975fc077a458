"""Verbs for schedules: named records, and the one act that makes a tick happen once."""

from __future__ import annotations

from smallage.core.message import Message
from smallage.stores.base import FireVerdict, ScheduleView
from smallage.stores.redis import sending
from smallage.stores.redis.partition import Partition

_FIRED: dict[int, FireVerdict] = {ord("f"): "fired", ord("l"): "late", ord("p"): "paused", ord("u"): "unknown"}


class Scheduling(Partition):
    """schedule_put, schedule_pause, schedule_remove, schedules, fire."""

    def schedule_put(self, name: str, spec: bytes, source: str = "") -> None:
        """See `Store.schedule_put`."""
        self._grow("schedule_put", name, spec, source)

    def schedule_pause(self, name: str, paused: bool = True) -> bool:
        """See `Store.schedule_pause`."""
        return bool(self._link.run("schedule_pause", name, 1 if paused else 0))

    def schedule_remove(self, name: str) -> bool:
        """See `Store.schedule_remove`."""
        return bool(self._link.run("schedule_remove", name, repeat=False))

    def schedules(self) -> list[ScheduleView]:
        """See `Store.schedules`."""
        flat = self._link.run("schedules")
        return sorted([_view(flat[i : i + 7]) for i in range(0, len(flat), 7)], key=lambda view: view.name)

    def fire(self, name: str, instant_us: int, message: Message | None, skip: bool = False) -> FireVerdict:
        """See `Store.fire`."""
        words = sending.runs([] if skip or message is None else [message])
        return _FIRED[self._grow("fire", name, instant_us, *words)[0][0]]


def _view(items: list[bytes]) -> ScheduleView:
    name, spec, source, paused, since, last, fired = items
    return ScheduleView(
        name=name.decode(), spec=spec, source=source.decode(), paused=paused == b"1", since_us=int(since),
        last_us=int(last) if last else None, fired=int(fired or 0),
    )  # fmt: skip
