"""When a schedule is due: its nominal instants, in µs since the epoch, and which of them to fire.

Crontabs are read on the clock of a zone, and clocks change:

* Spring. A time that the clock skips happens once, later by what was skipped: 02:30 at 03:30.
* Autumn. A time that comes twice happens at its first coming. Crontabs of every hour (`hour='*'`) are served at both.

Intervals are elapsed time, counted from a stored start. Relative ones are rounded down to their unit on the clock.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from smallage.core.cron import crontab
from smallage.core.schedule import schedule

if TYPE_CHECKING:
    from smallage.core.schedule import BaseSchedule

SECOND_US: Final = 1_000_000
ON_TIME_US: Final = 60 * SECOND_US
"""Lateness up to which a tick still counts as served in time, not caught up."""
LAST_YEAR: Final = 9_000
"""Crontabs are not searched beyond it."""

CatchUp: TypeAlias = Literal["none", "latest", "all"]
"""What becomes of ticks that nobody served: nothing, one for the last of them, or one each."""
CATCH_UP: Final[tuple[CatchUp, ...]] = ("none", "latest", "all")

_EPOCH = dt.datetime(1970, 1, 1)
_US = dt.timedelta(microseconds=1)
_DAY = dt.timedelta(days=1)


# -- instants of local times --------------------------------------------------------------------------------------
def _instant(local: dt.datetime, zone: dt.tzinfo, fold: int = 0) -> int:
    """A naive local time as an instant. In a gap (fold 0) it is later by the gap; fold 1 is the second coming."""
    offset = local.replace(tzinfo=zone, fold=fold).utcoffset() or dt.timedelta()
    return (local - _EPOCH - offset) // _US


def _local(instant_us: int, zone: dt.tzinfo) -> dt.datetime:
    """The naive local time of an instant."""
    return (_EPOCH.replace(tzinfo=dt.UTC) + dt.timedelta(microseconds=instant_us)).astimezone(zone).replace(tzinfo=None)


# -- crontabs -----------------------------------------------------------------------------------------------------
def crontab_after(cron: crontab, instant_us: int, zone: dt.tzinfo) -> int | None:
    """The first instant of `cron` after `instant_us`; None if none comes before the year `LAST_YEAR`."""
    best: int | None = None
    for day in _days(cron, _local(instant_us, zone) - _DAY):
        if best is not None and _instant(day, zone) >= best:
            return best
        found = _after_on(cron, day, instant_us, zone)
        if found is not None and (best is None or found < best):
            best = found  # a skipped time may fall on the next day, whose own times may be earlier
    return best


def _days(cron: crontab, since: dt.datetime) -> Iterator[dt.datetime]:
    """The midnights of the days that match, from that of `since` on."""
    months, days = sorted(cron.month_of_year), sorted(cron.day_of_month)
    year = since.year
    while year < LAST_YEAR:
        for month in months:
            if (year, month) < (since.year, since.month):
                continue
            least = since.day if (year, month) == (since.year, since.month) else 1
            for day in days[bisect_left(days, least) :]:
                try:
                    midnight = dt.datetime(year, month, day)
                except ValueError:  # the month is shorter
                    break
                if midnight.isoweekday() % 7 in cron.day_of_week:
                    yield midnight
        year += 1


def _after_on(cron: crontab, midnight: dt.datetime, instant_us: int, zone: dt.tzinfo) -> int | None:
    """The first instant after `instant_us` among those of one day's times."""
    start = _instant(midnight, zone)
    ends = {_instant(midnight + _DAY, zone), _instant(midnight + _DAY, zone, fold=1)}  # it may end twice
    if ends != {start + 86_400 * SECOND_US}:
        return min((one for one in _changing_day(cron, midnight, zone) if one > instant_us), default=None)
    passed = (instant_us - start) // (60 * SECOND_US) + 1 if instant_us >= start else 0  # minutes of the day
    for hour in sorted(cron.hour):
        if hour * 60 + 59 < passed:
            continue
        for minute in sorted(cron.minute):
            if hour * 60 + minute >= passed:
                return start + (hour * 60 + minute) * 60 * SECOND_US
    return None


def _changing_day(cron: crontab, midnight: dt.datetime, zone: dt.tzinfo) -> Iterator[int]:
    """All instants of the times of a day on which the clock changes."""
    every_hour = len(cron.hour) == 24
    for hour in cron.hour:
        for minute in cron.minute:
            local = midnight + dt.timedelta(hours=hour, minutes=minute)
            first = _instant(local, zone)
            yield first
            if every_hour and (second := _instant(local, zone, fold=1)) > first:
                yield second


# -- intervals ----------------------------------------------------------------------------------------------------
def _unit(every_us: int) -> int:
    """The unit that a relative interval is rounded to."""
    for unit in (86_400 * SECOND_US, 3_600 * SECOND_US, 60 * SECOND_US, SECOND_US):
        if every_us >= unit:
            return unit
    return 1


def _rounded(instant_us: int, unit: int, zone: dt.tzinfo) -> int:
    """The last instant, not after this one, at which the clock of the zone showed a whole unit."""
    local = _local(instant_us, zone)
    into_day = (local - dt.datetime(local.year, local.month, local.day)) // _US
    whole = local - (into_day % unit) * _US
    comings = (_instant(whole, zone), _instant(whole, zone, fold=1))
    if unit == 86_400 * SECOND_US:
        return comings[0]
    return max((one for one in comings if one <= instant_us), default=comings[0])


def after_run(every: dt.timedelta, last_us: int, zone: dt.tzinfo) -> int:
    """The instant of a relative interval that follows a run at `last_us`."""
    every_us = every // _US
    unit = _unit(every_us)
    if unit == 86_400 * SECOND_US:
        return max(_rounded(_instant(_local(last_us, zone) + every, zone), unit, zone), last_us + 1)
    rounded = _rounded(last_us + every_us, unit, zone)
    return rounded if rounded > last_us or unit == 1 else last_us + every_us


def _relative_after(every: dt.timedelta, instant_us: int, zone: dt.tzinfo, start_us: int) -> int:
    """The first instant after `instant_us` of those that follow the first after `start_us` unit by unit."""
    first = after_run(every, start_us, zone)
    if instant_us < first:
        return first
    every_us = every // _US
    unit = _unit(every_us)
    step = every_us - every_us % unit
    turn = max((instant_us - first) // step - 1, 0)  # rounding moves an instant by less than a step
    while True:
        found = _turn(first, turn, step, unit, zone)
        if found > instant_us:
            return found
        turn += 1


def _turn(first: int, turn: int, step: int, unit: int, zone: dt.tzinfo) -> int:
    if unit == 86_400 * SECOND_US:
        day = _local(first, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return _instant(day + turn * step * _US, zone)
    return first if turn == 0 else _rounded(first + turn * step, unit, zone)


# -- both ---------------------------------------------------------------------------------------------------------
def next_after(when: BaseSchedule, instant_us: int, zone: dt.tzinfo, start_us: int = 0) -> int | None:
    """The first nominal instant of a crontab or interval after `instant_us`, or None if there is none.

    `start_us` is where intervals are counted from: their first instant is one interval later. Raises TypeError for
    schedules of other classes, whose instants are known only to themselves, and ValueError for an interval of nothing.
    """
    if isinstance(when, crontab):
        return crontab_after(when, instant_us, zone)
    if not isinstance(when, schedule):
        raise TypeError(f"{type(when).__name__} is a schedule of its own kind; ask its remaining_estimate.")
    every_us: int = when.run_every // _US
    if every_us <= 0:
        raise ValueError("An interval must be longer than nothing.")
    if when.relative:
        return _relative_after(when.run_every, instant_us, zone, start_us)
    return start_us + max((instant_us - start_us) // every_us + 1, 1) * every_us


def due_between(when: BaseSchedule, after_us: int, until_us: int, zone: dt.tzinfo, start_us: int = 0) -> Iterator[int]:
    """The nominal instants after `after_us` up to and including `until_us`, in order."""
    found = next_after(when, after_us, zone, start_us)
    while found is not None and found <= until_us:
        yield found
        found = next_after(when, found, zone, start_us)


def last_between(after: Callable[[int], int | None], after_us: int, until_us: int) -> int | None:
    """The last nominal instant after `after_us` up to `until_us`, found by halving: 30 looks for a year of minutes.

    `after` tells the first instant after another."""
    found = after(after_us)
    if found is None or found > until_us:
        return None
    high = until_us
    while True:
        following = after(found)
        if following is None or following > until_us:
            return found
        found = following
        middle = (found + high) // 2
        later = after(middle)
        if later is not None and later <= until_us:
            found = later
        else:
            high = middle


class Look(NamedTuple):
    """What a look at a schedule finds."""

    fire: tuple[int, ...]
    """Nominal instants to fire now, oldest first."""
    next_us: int | None
    """When to look again: the next nominal instant, or now if there was more than fits into one look."""
    skipped_us: int | None = None
    """The last instant that the policy leaves out, if nothing later is fired."""


def look(
    after: Callable[[int], int | None],
    last_us: int,
    now_us: int,
    catch_up: CatchUp = "latest",
    deadline_us: int | None = None,
    most: int = 100,
) -> Look:
    """Which instants after `last_us` are to be fired at `now_us`, and when to look next.

    `after` tells the first instant after another (`next_after` with the rest filled in). `last_us` is the last instant
    that fired, or the start. "latest": one tick for all that were missed; "all": one for each, at most `most` a look;
    "none": only a tick that is not later than `ON_TIME_US`. Ticks older than `deadline_us` are left out.
    """
    following = after(now_us)
    if catch_up == "none":
        deadline_us = ON_TIME_US if deadline_us is None else min(deadline_us, ON_TIME_US)
    since = last_us if deadline_us is None else max(last_us, now_us - deadline_us - 1)
    if catch_up == "all":
        fire: list[int] = []
        found = after(since)
        while found is not None and found <= now_us:
            if len(fire) == most:
                return Look(tuple(fire), now_us)
            fire.append(found)
            found = after(found)
        if fire:
            return Look(tuple(fire), following)
    else:
        last = last_between(after, since, now_us)
        if last is not None:
            return Look((last,), following)
    skipped = last_between(after, last_us, now_us) if since > last_us else None
    return Look((), following, skipped)
