"""`crontab`: a schedule by minute, hour and day of the calendar, read in the app's zone.

All five fields must match; a day counts only if day of the week and day of the month both do. The hours of a clock
change are explained in `core/due.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from smallage.core.cronfields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH_OF_YEAR, expand
from smallage.core.schedule import BaseSchedule, Now, instant, schedstate

Cronspec: TypeAlias = int | str | Iterable[int]

_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class crontab(BaseSchedule):
    """Run at the minutes that match all five fields. Mind the order: the day of the week is third.

    Raises ValueError for values out of range and for a date that never comes (30 February), ParseException for an
    empty part or step, TypeError for a field that is no text, number or iterable of numbers.
    """

    def __init__(
        self,
        minute: Cronspec = "*",
        hour: Cronspec = "*",
        day_of_week: Cronspec = "*",
        day_of_month: Cronspec = "*",
        month_of_year: Cronspec = "*",
        nowfun: Now | None = None,
        app: Any = None,
    ) -> None:
        super().__init__(nowfun, app)
        self._orig_minute, self._orig_hour, self._orig_day_of_week = minute, hour, day_of_week
        self._orig_day_of_month, self._orig_month_of_year = day_of_month, month_of_year
        self.minute, self.hour = expand(MINUTE, minute), expand(HOUR, hour)
        self.day_of_week = expand(DAY_OF_WEEK, day_of_week)
        self.day_of_month = expand(DAY_OF_MONTH, day_of_month)
        self.month_of_year = expand(MONTH_OF_YEAR, month_of_year)
        if min(self.day_of_month) > max(_LONGEST[month - 1] for month in self.month_of_year):
            raise ValueError(
                f"The days {sorted(self.day_of_month)} never come in the months {sorted(self.month_of_year)}."
            )

    @classmethod
    def from_string(cls, crontab: str) -> crontab:
        """A crontab from cron's own order: "minute hour day-of-month month day-of-week"."""
        fields = crontab.split()
        if len(fields) != 5:
            raise ValueError(
                f"A crontab has five fields: minute hour day-of-month month day-of-week; {crontab!r} has {len(fields)}."
            )
        minute, hour, day_of_month, month_of_year, day_of_week = fields
        return cls(minute, hour, day_of_week, day_of_month, month_of_year)

    def remaining_estimate(self, last_run_at: dt.datetime) -> dt.timedelta:
        from smallage.core.due import crontab_after

        following = crontab_after(self, instant(self.maybe_make_aware(last_run_at)), self.tz)
        if following is None:
            return dt.timedelta.max
        return dt.timedelta(microseconds=following - instant(self.now()))

    def is_due(self, last_run_at: dt.datetime) -> tuple[bool, float]:
        """(due now, seconds until the next look). A missed run older than `beat_cron_starting_deadline` is not due."""
        remaining = self.remaining_estimate(last_run_at).total_seconds()
        if remaining > 0:
            return schedstate(False, remaining)
        now = self.now()
        deadline = self.app.conf.beat_cron_starting_deadline
        due = True
        if deadline is not None and remaining < 0:
            since = now.astimezone(dt.UTC) - dt.timedelta(seconds=deadline, microseconds=1)
            due = self.remaining_estimate(since).total_seconds() <= 0
        return schedstate(due, max(self.remaining_estimate(now).total_seconds(), 0.0))

    def text(self) -> str:
        """The crontab in cron's own order, as `from_string` reads it; equal for equal crontabs written alike."""
        minute, hour, day_of_week, day_of_month, month_of_year = map(_text, self._fields(), self._expanded())
        return f"{minute} {hour} {day_of_month} {month_of_year} {day_of_week}"

    def _fields(self) -> tuple[Cronspec, ...]:
        """The fields as they were given, in the order of the constructor."""
        day = (self._orig_day_of_week, self._orig_day_of_month, self._orig_month_of_year)
        return (self._orig_minute, self._orig_hour, *day)

    def __repr__(self) -> str:
        minute, hour, day_of_week, day_of_month, month_of_year = self._fields()
        return f"<crontab: {minute} {hour} {day_of_month} {month_of_year} {day_of_week} (m/h/dM/MY/d)>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, crontab):
            return NotImplemented
        return self._expanded() == other._expanded() and self.nowfun == other.nowfun

    def _expanded(self) -> tuple[set[int], ...]:
        return self.minute, self.hour, self.day_of_week, self.day_of_month, self.month_of_year

    def __reduce__(self) -> Any:
        return type(self), self._fields(), {"nowfun": self.nowfun}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.nowfun = state.get("nowfun")


def _text(given: Cronspec, values: set[int]) -> str:
    """A field as text without blanks."""
    return "".join(given.split()) if isinstance(given, str) else ",".join(str(value) for value in sorted(values))
