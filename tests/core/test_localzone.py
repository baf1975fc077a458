"""Local time without a zone's name, through both changes of the clock."""

from __future__ import annotations

import datetime as dt
import time
from zoneinfo import ZoneInfo

import pytest

from smallage.core.cron import crontab
from smallage.core.due import due_between
from smallage.core.localzone import LOCAL
from smallage.core.schedule import instant


@pytest.fixture(params=["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "UTC"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield ZoneInfo(request.param)
    monkeypatch.undo()
    time.tzset()


def test_every_half_hour_of_a_year_is_as_the_zone_has_it(zone):
    for half in range(2 * 24 * 366):
        utc = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=30 * half)
        here, there = utc.astimezone(LOCAL), utc.astimezone(zone)
        assert (here.replace(tzinfo=None), here.fold) == (there.replace(tzinfo=None), there.fold)
        assert here.utcoffset() == there.utcoffset()
        assert here.astimezone(dt.UTC) == utc


def test_crontabs_are_read_alike(zone):
    begin, end = (instant(dt.datetime(year, 1, 1, tzinfo=dt.UTC)) for year in (2026, 2027))
    for when in (crontab(30, 2), crontab(30, 1), crontab(15), crontab(0, 0)):
        assert list(due_between(when, begin, end, LOCAL)) == list(due_between(when, begin, end, zone))


def test_it_says_what_it_is():
    assert repr(LOCAL) == "<local time>"
    assert [LOCAL.utcoffset(None), LOCAL.tzname(None), LOCAL.dst(None)] == [None, None, None]
