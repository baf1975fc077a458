"""The computer's own time zone, clock changes included, where no zone is named (`enable_utc=False`)."""

from __future__ import annotations

import datetime as dt


class LocalZone(dt.tzinfo):
    """What the computer's clock on the wall shows, asked of the operating system for each time."""

    def utcoffset(self, moment: dt.datetime | None) -> dt.timedelta | None:
        return None if moment is None else _there(moment).utcoffset()

    def dst(self, moment: dt.datetime | None) -> dt.timedelta | None:
        return None  # the system does not tell it apart

    def tzname(self, moment: dt.datetime | None) -> str | None:
        return None if moment is None else _there(moment).tzname()

    def fromutc(self, moment: dt.datetime) -> dt.datetime:
        there = moment.replace(tzinfo=dt.UTC).astimezone()
        naive = there.replace(tzinfo=None)
        second = naive.astimezone() != there  # read as the first coming, it is another instant
        return naive.replace(tzinfo=self, fold=int(second))

    def __repr__(self) -> str:
        return "<local time>"


def _there(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=None).astimezone()


LOCAL = LocalZone()
