"""Instants and zones: `celery.utils.time`."""

from __future__ import annotations

import datetime as dt
import random
import time as _time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from smallage.as_celery.absent import attribute
from smallage.core.limits import parse_rate
from smallage.core.retry import backoff


class LocalTimezone(dt.tzinfo):
    """The computer's own zone."""

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(seconds=_local(when).tm_gmtoff)

    def dst(self, when: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(hours=1) if _local(when).tm_isdst > 0 else dt.timedelta(0)

    def tzname(self, when: dt.datetime | None) -> str:
        return _local(when).tm_zone

    def __repr__(self) -> str:
        return "<LocalTimezone>"


def _local(when: dt.datetime | None) -> _time.struct_time:
    if when is None:
        return _time.localtime()
    return _time.localtime(_time.mktime((*when.timetuple()[:6], 0, 0, -1)))


class _Zones:
    utc = dt.UTC
    local = LocalTimezone()

    def get_timezone(self, zone: str | dt.tzinfo) -> dt.tzinfo:
        """A zone by its name."""
        return ZoneInfo(zone) if isinstance(zone, str) else zone

    tz_or_local = get_timezone

    def to_local(self, when: dt.datetime, local: dt.tzinfo | None = None, orig: dt.tzinfo | None = None) -> dt.datetime:
        """The instant in the local zone; a naive one is taken as of `orig`, else UTC."""
        return maybe_make_aware(when, orig).astimezone(local or self.local)


timezone = _Zones()


def maybe_timedelta(delta: Any) -> Any:
    """Seconds as a timedelta; anything else as it is."""
    return dt.timedelta(seconds=delta) if isinstance(delta, (int, float)) else delta


def is_naive(when: dt.datetime) -> bool:
    """True for a datetime that does not say its zone."""
    return when.tzinfo is None or when.tzinfo.utcoffset(when) is None


def make_aware(when: dt.datetime, tz: dt.tzinfo) -> dt.datetime:
    """A naive datetime, taken as of this zone."""
    return when.replace(tzinfo=tz)


def localize(when: dt.datetime, tz: dt.tzinfo) -> dt.datetime:
    """The instant in this zone."""
    return make_aware(when, tz) if is_naive(when) else when.astimezone(tz)


def to_utc(when: dt.datetime) -> dt.datetime:
    """A naive datetime, taken as UTC."""
    return make_aware(when, dt.UTC)


def maybe_make_aware(when: dt.datetime, tz: dt.tzinfo | None = None, naive_as_utc: bool = True) -> dt.datetime:
    """An aware datetime as it is; a naive one is taken as UTC and moved to `tz`, or taken as of `tz`."""
    if not is_naive(when):
        return when
    if naive_as_utc:
        when = to_utc(when)
    return localize(when, tz or dt.UTC)


def maybe_iso8601(text: str | dt.datetime | None) -> dt.datetime | None:
    """An instant from its ISO-8601 text."""
    return dt.datetime.fromisoformat(text) if isinstance(text, str) else text


def rate(r: str | float | None) -> float:
    """`"10/m"` in runs per second; 0 for none."""
    found = parse_rate(r)
    return 0.0 if found is None else found.tokens * 1e6 / found.per_us


def humanize_seconds(secs: float, prefix: str = "", sep: str = "", now: str = "now", microseconds: bool = False) -> str:
    """Seconds in words: `"2.50 minutes"`."""
    secs = round(float(secs), 2)
    for unit, name in ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second")):
        if secs >= unit:
            number = secs / unit
            return f"{prefix}{sep}{number:.2f} {name}{'' if number == 1 else 's'}"
    if microseconds and secs > 0.0:
        return f"{prefix}{sep}{secs:.2f} seconds"
    return now


def get_exponential_backoff_interval(factor: int, retries: int, maximum: int, full_jitter: bool = False) -> int:
    """Seconds before retry number `retries`: `factor * 2**retries`, at most `maximum`; jitter draws from 0 to that."""
    return backoff(factor, retries, maximum, full_jitter, random)


__all__ = [
    "LocalTimezone",
    "get_exponential_backoff_interval",
    "humanize_seconds",
    "is_naive",
    "localize",
    "make_aware",
    "maybe_iso8601",
    "maybe_make_aware",
    "maybe_timedelta",
    "rate",
    "timezone",
    "to_utc",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
