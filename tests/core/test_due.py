"""Nominal instants: clock changes, intervals, and what a late look fires."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallage.core import due
from smallage.core.cron import crontab
from smallage.core.schedule import BaseSchedule, instant, moment, schedule

SECOND, MINUTE, HOUR, DAY = 10**6, 60 * 10**6, 3600 * 10**6, 86_400 * 10**6
BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes by half an hour
ST_JOHNS = ZoneInfo("America/St_Johns")  # changed a minute after midnight until 2011
HAVANA = ZoneInfo("America/Havana")  # changes at midnight
APIA = ZoneInfo("Pacific/Apia")  # had no 30 December 2011


def us(text, zone=dt.UTC):
    made = dt.datetime.fromisoformat(text)
    return instant(made if made.tzinfo else made.replace(tzinfo=zone))


def times(when, start, n, zone, **more):
    """The next `n` instants after local midnight of a day, as local texts with offsets."""
    found, now = [], us(start, zone)
    for _ in range(n):
        now = due.next_after(when, now, zone, **more) or 0
        found.append(moment(now, zone).isoformat(timespec="minutes")[5:])
    return found


@pytest.mark.parametrize(
    ("when", "start", "zone", "wanted"),
    [
        # spring: once, later by the gap
        (crontab(30, 2), "2026-03-28", BERLIN, ["03-28T02:30+01:00", "03-29T03:30+02:00", "03-30T02:30+02:00"]),
        (crontab(0, "1-4"), "2026-03-29", BERLIN, ["03-29T01:00+01:00", "03-29T03:00+02:00", "03-29T04:00+02:00"]),
        (
            crontab("*/30", "1-3"),
            "2026-03-29T01:15",
            BERLIN,
            ["03-29T01:30+01:00", "03-29T03:00+02:00", "03-29T03:30+02:00"],
        ),
        (
            crontab(15, "*"),
            "2026-10-04T01:00",
            LORD_HOWE,
            ["10-04T01:15+10:30", "10-04T02:45+11:00", "10-04T03:15+11:00"],
        ),
        (crontab(30, 0), "2026-03-07", HAVANA, ["03-07T00:30-05:00", "03-08T01:30-04:00", "03-09T00:30-04:00"]),
        (crontab(0, 9), "2011-12-28T12:00", APIA, ["12-29T09:00-10:00", "12-31T09:00+14:00", "01-01T09:00+14:00"]),
        (crontab(0, 9, day_of_month=30), "2011-12-01", APIA, ["12-31T09:00+14:00", "01-30T09:00+14:00"]),
        # autumn: at its first coming
        (crontab(30, 2), "2026-10-24", BERLIN, ["10-24T02:30+02:00", "10-25T02:30+02:00", "10-26T02:30+01:00"]),
        (crontab(30, "1-3"), "2026-10-25", BERLIN, ["10-25T01:30+02:00", "10-25T02:30+02:00", "10-25T03:30+01:00"]),
        (crontab(0, 0), "2026-10-31T12:00", HAVANA, ["11-01T00:00-04:00", "11-02T00:00-05:00"]),
        # autumn with every hour: at both
        (
            crontab(30),
            "2026-10-25T01:00",
            BERLIN,
            ["10-25T01:30+02:00", "10-25T02:30+02:00", "10-25T02:30+01:00", "10-25T03:30+01:00"],
        ),
        (crontab(45), "2026-04-05T01:00", LORD_HOWE, ["04-05T01:45+11:00", "04-05T01:45+10:30", "04-05T02:45+10:30"]),
        (
            crontab(30),
            "2010-11-06T22:00",
            ST_JOHNS,
            ["11-06T22:30-02:30", "11-06T23:30-02:30", "11-06T23:30-03:30", "11-07T00:30-03:30"],
        ),
        (
            crontab([0, 59]),
            "2010-11-06T23:00",
            ST_JOHNS,
            ["11-06T23:59-02:30", "11-07T00:00-02:30", "11-06T23:59-03:30", "11-07T00:00-03:30", "11-07T00:59-03:30"],
        ),
        (crontab(30, 23), "2010-11-06", ST_JOHNS, ["11-06T23:30-02:30", "11-07T23:30-03:30"]),
        (crontab(30, "*/2"), "2026-10-25", BERLIN, ["10-25T00:30+02:00", "10-25T02:30+02:00", "10-25T04:30+01:00"]),
        # calendars
        (
            crontab(0, 0, "fri", 13),
            "2026-01-01",
            BERLIN,
            ["02-13T00:00+01:00", "03-13T00:00+01:00", "11-13T00:00+01:00"],
        ),
        (crontab(0, 0, "sun", 29, 2), "2026-01-01", BERLIN, ["02-29T00:00+01:00"]),
        (crontab(0, 4, day_of_month="31"), "2026-01-31T05:00", BERLIN, ["03-31T04:00+02:00", "05-31T04:00+02:00"]),
    ],
)
def test_crontabs_on_the_clock(when, start, zone, wanted):
    assert times(when, start, len(wanted), zone) == wanted


def test_a_leap_day_on_a_sunday_is_found_across_a_century_without_one():
    found = due.crontab_after(crontab(0, 0, 0, 29, 2), us("2088-03-01"), dt.UTC)
    assert found is not None
    assert moment(found).date() == dt.date(2128, 2, 29)


@settings(deadline=None)
@given(
    st.sampled_from([BERLIN, LORD_HOWE, HAVANA, dt.UTC]),
    st.sets(st.integers(0, 59), min_size=1, max_size=4),
    st.one_of(st.just(set(range(24))), st.sets(st.integers(0, 23), min_size=1, max_size=6)),
    st.integers(us("2026-01-01") // MINUTE, us("2027-01-01") // MINUTE),
)
def test_every_matching_minute_of_a_day_is_found_once(zone, minutes, hours, start):
    """Walked minute by minute: each wall time of the crontab once, and both comings for every hour."""
    when = crontab(minutes, hours)
    begin, end = start * MINUTE, (start + 2000) * MINUTE
    found = list(due.due_between(when, begin, end, zone))
    assert found == sorted(set(found))
    walls = [moment(one * MINUTE, zone) for one in range(start + 1, start + 2001)]
    plain = {instant(wall) for wall in walls if wall.hour in hours and wall.minute in minutes}
    second = {instant(wall) for wall in walls if wall.fold}
    wanted = plain if len(hours) == 24 else plain - second
    assert wanted <= set(found)
    for extra in set(found) - wanted:  # only what the clock skipped
        offsets = [moment(one, zone).utcoffset() or dt.timedelta() for one in (extra - DAY // 12, extra)]
        assert offsets[0] < offsets[1]


def test_intervals_count_elapsed_time_from_their_start():
    every = schedule(90)
    start = us("2026-10-24T23:59:30")
    assert due.next_after(every, start, BERLIN, start) == start + 90 * SECOND
    assert due.next_after(every, start - DAY, BERLIN, start) == start + 90 * SECOND
    assert due.next_after(every, start + 90 * SECOND, BERLIN, start) == start + 180 * SECOND
    day = schedule(86_400)
    assert due.next_after(day, start + HOUR, BERLIN, start) == start + DAY  # over the change of the clock


@pytest.mark.parametrize(
    ("seconds", "start", "zone", "wanted"),
    [
        (86_400, "2026-10-23T15:20", BERLIN, ["10-24T00:00+02:00", "10-25T00:00+02:00", "10-26T00:00+01:00"]),
        (2 * 86_400, "2026-10-23T15:20", BERLIN, ["10-25T00:00+02:00", "10-27T00:00+01:00"]),
        (86_400, "2026-03-07T12:00", HAVANA, ["03-08T01:00-04:00", "03-09T00:00-04:00"]),
        (
            3600,
            "2026-10-25T00:20",
            BERLIN,
            ["10-25T01:00+02:00", "10-25T02:00+02:00", "10-25T02:00+01:00", "10-25T03:00+01:00"],
        ),
        (5400, "2026-07-01T10:15", BERLIN, ["07-01T11:00+02:00", "07-01T12:00+02:00"]),
        (60, "2026-07-01T10:15", BERLIN, ["07-01T10:16+02:00", "07-01T10:17+02:00"]),
        (3600, "2026-04-05T00:10", LORD_HOWE, ["04-05T01:00+11:00", "04-05T02:00+10:30"]),
    ],
)
def test_relative_intervals_are_rounded_down_on_the_clock(seconds, start, zone, wanted):
    when = schedule(seconds, relative=True)
    assert times(when, start, len(wanted), zone, start_us=us(start, zone)) == wanted


def test_relative_intervals_jump_over_long_absences():
    when, start = schedule(7200, relative=True), us("2020-01-01T10:15")
    assert due.next_after(when, us("2026-06-01T11:59:59"), dt.UTC, start) == us("2026-06-01T12:00")
    assert due.next_after(when, us("2026-06-01T12:00"), dt.UTC, start) == us("2026-06-01T14:00")


def test_other_classes_keep_their_instants_to_themselves():
    with pytest.raises(TypeError, match="remaining_estimate"):
        due.next_after(BaseSchedule(), 0, dt.UTC)
    with pytest.raises(ValueError, match="longer than nothing"):
        due.next_after(schedule(0), 0, dt.UTC)


# -- what a look fires --------------------------------------------------------------------------------------------
def minutely(instant_us):
    return due.next_after(crontab(), instant_us, dt.UTC)


NOON = us("2026-07-01T12:00")


@pytest.mark.parametrize(
    ("late", "catch_up", "deadline", "fire", "following", "skipped"),
    [
        # nothing yet
        (59 * SECOND, "latest", None, [], 1, None),
        # in time, whatever the policy
        (MINUTE, "none", None, [1], 2, None),
        (MINUTE + SECOND, "latest", None, [1], 2, None),
        (MINUTE + SECOND, "all", None, [1], 2, None),
        # five were missed
        (5 * MINUTE + SECOND, "latest", None, [5], 6, None),
        (5 * MINUTE + SECOND, "all", None, [1, 2, 3, 4, 5], 6, None),
        (5 * MINUTE + SECOND, "none", None, [5], 6, None),
        (5 * MINUTE + SECOND, "all", 2 * MINUTE, [4, 5], 6, None),
        (5 * MINUTE + SECOND, "latest", 500_000, [], 6, 5),
        # a tick exactly as old as the deadline still counts
        (5 * MINUTE + SECOND, "latest", SECOND, [5], 6, None),
        (5 * MINUTE, "latest", 0, [5], 6, None),
    ],
)
def test_a_look(late, catch_up, deadline, fire, following, skipped):
    found = due.look(minutely, NOON, NOON + late, catch_up, deadline)
    assert [(one - NOON) / MINUTE for one in found.fire] == fire
    assert found.next_us == NOON + following * MINUTE
    assert found.skipped_us == (None if skipped is None else NOON + skipped * MINUTE)


def test_none_leaves_out_what_is_more_than_a_minute_late():
    def daily(instant_us):
        return due.next_after(crontab(0, 3), instant_us, dt.UTC)

    three = us("2026-07-01T03:00")
    assert due.look(daily, NOON - DAY, three + MINUTE, "none").fire == (three,)
    missed = due.look(daily, NOON - DAY, three + MINUTE + 1, "none")
    assert missed == due.Look((), three + DAY, three)


def test_all_comes_in_portions():
    found = due.look(minutely, NOON, NOON + DAY, "all", most=3)
    assert found == due.Look(tuple(NOON + n * MINUTE for n in (1, 2, 3)), NOON + DAY)


def test_the_latest_of_ten_years_of_minutes_takes_few_looks():
    looks = []

    def counted(instant_us):
        looks.append(instant_us)
        return minutely(instant_us)

    assert due.look(counted, NOON, NOON + 3650 * DAY).fire == (NOON + 3650 * DAY,)
    assert len(looks) < 100


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_the_last_between_is_the_last_of_all(after, length):
    def every_seven(instant_us):
        return instant_us // 7 * 7 + 7

    between = range(after // 7 * 7 + 7, after + length + 1, 7)
    assert due.last_between(every_seven, after, after + length) == (between[-1] if between else None)


def test_a_schedule_without_further_instants_rests():
    assert due.look(lambda _: None, 0, NOON) == due.Look((), None)
