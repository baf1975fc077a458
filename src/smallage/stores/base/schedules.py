"""Schedules, and what makes a tick happen once.

* Schedules are named records whose content the store does not read; `fire` is what makes a tick happen once. Any change
  of one tells watchers of the id `SCHEDULES`, but for ticks: whoever offers one late is told so then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from smallage.core.message import Message

FireVerdict: TypeAlias = Literal["fired", "late", "paused", "changed", "unknown"]
"""late: this or a later instant has fired already. changed: the schedule has another spec by now."""


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


class SchedulePut(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that is to be created or changed."""

    name: str
    spec: bytes
    source: str = ""
    keep: bool = False
    """The instants stay as they are: what is changed is not when it is due."""
    over: bytes | None = None
    """The spec that it replaces, b"" if there is no such schedule; None: whatever there is."""


class Scheduling(Protocol):
    """The verbs of schedules."""

    def schedule_put(self, name: str, spec: bytes, source: str = "") -> None:
        """Create a schedule or change its spec and source; the same again changes nothing. A new spec starts `since_us`
        anew and forgets `last_us`; a new source alone changes neither. A pause and `fired` stay."""

    def schedules_put(self, puts: Sequence[SchedulePut]) -> list[bool]:
        """As `schedule_put`, at most `MAX_SCHEDULES` in one act, one after another. With `keep` a new spec leaves
        `since_us` and `last_us`. False for those that name in `over` another spec than there is, which change nothing;
        one that is there already as it is put is fine. Raises ValueError for too many."""

    def schedule_pause(self, name: str, paused: bool = True) -> bool:
        """Pause or resume; False if there is no such schedule."""

    def schedule_remove(self, name: str) -> bool:
        """Remove a schedule; False if there is none. If it ever fired, its last instant is remembered for a day or
        until the name is put again: with the same spec it gets that `last_us` back, so that no tick is repeated."""

    def schedules(self, names: Sequence[str] | None = None) -> list[ScheduleView]:
        """All schedules by name, or those of these names that there are. Many are read in pages: each is as it was when
        its page was read."""

    def fire(
        self, name: str, instant_us: int, message: Message | None, skip: bool = False, spec: bytes | None = None
    ) -> FireVerdict:
        """Push `message` (as by `push`; an id that is there already, even another task's, is fine) and remember the
        nominal instant, unless the schedule is gone ("unknown"), paused ("paused"), has another spec than the given one
        ("changed") or has fired at this or a later instant ("late"): the first of these that holds. With `skip`, or
        without a message, nothing is pushed or counted in `fired` and the instant is remembered: ticks that a catch-up
        policy leaves out."""
