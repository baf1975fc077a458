"""Schedules as programs write them: the base class, the interval, and what a number or timedelta becomes.

A schedule holds no clock: `nowfun`, else its app, tells it the time. What the scheduler itself works with are the
nominal instants of `core/due.py`; `is_due` and `remaining_estimate` are Celery's questions, answered by the same
arithmetic.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from smallage.core.errors import ImproperlyConfigured

Now: TypeAlias = Callable[[], dt.datetime]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_US = dt.timedelta(microseconds=1)


class schedstate(NamedTuple):
    """Whether to run now, and in how many seconds to look again."""

    is_due: bool
    next: float


def instant(moment: dt.datetime) -> int:
    """A datetime in µs since the epoch; a naive one is in UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) - _EPOCH) // _US


def moment(instant_us: int, zone: dt.tzinfo = dt.UTC) -> dt.datetime:
    """The datetime of an instant, in a zone."""
    return (_EPOCH + dt.timedelta(microseconds=instant_us)).astimezone(zone)


current_app: Callable[[], Any] | None = None
"""How to find the app of a schedule that was given none; the client sets it."""


class BaseSchedule:
    """When something is to run. Subclasses answer `remaining_estimate` and `is_due`."""

    def __init__(self, nowfun: Now | None = None, app: Any = None) -> None:
        self.nowfun = nowfun
        self._app = app

    @property
    def app(self) -> Any:
        """The app that tells time and zone."""
        if self._app is not None:
            return self._app
        if current_app is None:
            raise ImproperlyConfigured("This schedule knows neither time nor zone: pass app= or use it in a schedule.")
        return current_app()

    @app.setter
    def app(self, app: Any) -> None:
        self._app = app

    @property
    def tz(self) -> dt.tzinfo:
        """The zone that the schedule is read in."""
        zone: dt.tzinfo = self.app.zone()
        return zone

    def now(self) -> dt.datetime:
        """The time, aware."""
        return self.maybe_make_aware((self.nowfun or self.app.now)())

    def maybe_make_aware(self, moment: dt.datetime, naive_as_utc: bool = True) -> dt.datetime:
        """`moment` in the schedule's zone; a naive one counts as UTC, or as local with `naive_as_utc=False`."""
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC if naive_as_utc else self.tz)
        return moment.astimezone(self.tz)

    def remaining_estimate(self, last_run_at: dt.datetime) -> dt.timedelta:
        """How long until the run after `last_run_at`; negative or zero when it is due."""
        raise NotImplementedError

    def is_due(self, last_run_at: dt.datetime) -> tuple[bool, float]:
        """(due now, seconds until the next look)."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return self.nowfun == other.nowfun if isinstance(other, BaseSchedule) else NotImplemented


class schedule(BaseSchedule):
    """Every `run_every` (seconds or timedelta) of elapsed time.

    With `relative` the instants are rounded down to whole days, hours, minutes or seconds of local time, whichever is
    the largest unit in the interval; days are then calendar days.
    """

    relative: bool = False

    def __init__(
        self,
        run_every: float | dt.timedelta | None = None,
        relative: bool = False,
        nowfun: Now | None = None,
        app: Any = None,
    ) -> None:
        if isinstance(run_every, (int, float)):
            run_every = dt.timedelta(seconds=run_every)
        self.run_every: Any = run_every
        self.relative = relative
        super().__init__(nowfun, app)

    def remaining_estimate(self, last_run_at: dt.datetime) -> dt.timedelta:
        from smallage.core.due import after_run

        last_run_at, now = self.maybe_make_aware(last_run_at), self.now()
        if not self.relative:
            every: dt.timedelta = self.run_every
            return last_run_at.astimezone(dt.UTC) + every - now
        due = after_run(self.run_every, instant(last_run_at), self.tz)
        return dt.timedelta(microseconds=due - instant(now))

    def is_due(self, last_run_at: dt.datetime) -> tuple[bool, float]:
        remaining = self.remaining_estimate(last_run_at).total_seconds()
        if remaining > 0:
            return schedstate(False, remaining)
        next_s = self.seconds
        if self.relative:
            ahead = self.remaining_estimate(self.now()).total_seconds()
            next_s = ahead if ahead > 0 else next_s
        return schedstate(True, next_s)

    @property
    def seconds(self) -> float:
        """The interval in seconds."""
        return max(float(self.run_every.total_seconds()), 0.0)

    @property
    def human_seconds(self) -> str:
        """The interval in words."""
        return in_words(self.seconds)

    def __repr__(self) -> str:
        return f"<freq: {self.human_seconds}>"

    def __eq__(self, other: object) -> bool:
        return bool(self.run_every == (other.run_every if isinstance(other, schedule) else other))

    def __reduce__(self) -> Any:
        return type(self), (self.run_every, self.relative, self.nowfun)


class solar(BaseSchedule):
    """Celery's schedule by the sun, which is not offered."""

    def __init__(self, event: str = "", lat: float = 0, lon: float = 0, **kwargs: Any) -> None:
        raise ImproperlyConfigured(
            "solar schedules are not offered: they need an ephemeris. Subclass smallage.schedules.BaseSchedule and let "
            "remaining_estimate ask one, or run a task at a fixed time that computes the event and uses eta=."
        )


_UNITS = ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def in_words(seconds: float) -> str:
    """A duration such as "1.50 hours"."""
    seconds = round(seconds, 2)
    for size, unit in _UNITS:
        if seconds >= size:
            amount = seconds / size
            return f"{amount:.2f} {unit}{'' if amount == 1 else 's'}"
    return "now"


def maybe_schedule(given: Any, relative: bool = False, app: Any = None) -> Any:
    """A number of seconds or a timedelta as `schedule`; a schedule is given `app`; None stays None."""
    if given is None:
        return None
    if isinstance(given, (int, float)):
        given = dt.timedelta(seconds=given)
    if isinstance(given, dt.timedelta):
        return schedule(given, relative, app=app)
    given.app = app
    return given
