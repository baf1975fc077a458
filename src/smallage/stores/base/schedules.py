"""Schedules, and what makes a tick happen once.

* Schedules are named records whose content the store does not read; `fire` is what makes a tick happen once. Any change
  of one tells watchers of the id `SCHEDULES`.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

from smallage.core.message import Message

FireVerdict: TypeAlias = Literal["fired", "late", "paused", "unknown"]
"""late: this or a later instant has fired already."""


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as the store keeps it."""

    name: str
    spec: bytes
    source: str = ""
    """Who put it: "app" for those of the code, "operator"."""
    paused: bool = False
    since_us: int = 0
    """When it was first put, or put with another spec: intervals count from here."""
    last_us: int | None = None
    """Nominal instant of the last tick that fired, None before the first. A new spec forgets it."""
    fired: int = 0
    """Ticks that fired."""


class Scheduling(Protocol):
    """The verbs of schedules."""

    def schedule_put(self, name: str, spec: bytes, source: str = "") -> None:
        """Create a schedule or change its spec and source; the same again changes nothing. A new spec starts `since_us`
        anew and forgets `last_us`; a new source alone changes neither. A pause and `fired` stay."""

    def schedule_pause(self, name: str, paused: bool = True) -> bool:
        """Pause or resume; False if there is no such schedule."""

    def schedule_remove(self, name: str) -> bool:
        """Remove a schedule; False if there is none. If it ever fired, its last instant is remembered for a day or
        until the name is put again: with the same spec it gets that `last_us` back, so that no tick is repeated."""

    def schedules(self) -> list[ScheduleView]:
        """All schedules by name."""

    def fire(self, name: str, instant_us: int, message: Message | None, skip: bool = False) -> FireVerdict:
        """Push `message` (as by `push`; an id that is there already, even another task's, is fine) and remember the
        nominal instant, unless the schedule is gone ("unknown"), paused ("paused") or has fired at this or a later
        instant ("late"). With `skip`, or without a message, nothing is pushed or counted in `fired` and the instant is
        remembered: ticks that a catch-up policy leaves out."""
