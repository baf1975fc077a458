# mypy: ignore-errors
"""crontab and schedule: parsing, due or not, in zones and over changes of the clock."""

import pickle  # noqa: TID251
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from celery import Celery
from celery.schedules import ParseException, crontab, crontab_parser, maybe_schedule, schedule

from tests.celery_diff.lab import kind, program

app = Celery("schedules", set_as_current=False, timezone="UTC")
berlin = Celery("berlin", set_as_current=False, timezone="Europe/Berlin")
UTC = UTC


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def due(entry, last, now, zone=UTC):
    entry.nowfun = lambda: at(now, zone)
    state = entry.is_due(at(last, zone))
    return [bool(state.is_due), round(state.next, 3)]


def cron(*args, by=app, **kwargs):
    return crontab(*args, app=by, **kwargs)


@program
def fields():
    """How fields are expanded."""
    one = cron(minute="*/15", hour="9-17/4,23", day_of_week="mon-fri", day_of_month="1,15", month_of_year="*/3")
    return [
        sorted(one.minute),
        sorted(one.hour),
        sorted(one.day_of_week),
        sorted(one.day_of_month),
        sorted(one.month_of_year),
    ]


@program
def names_of_days_and_months():
    """Names by their first three letters, any case."""
    return [
        sorted(cron(day_of_week="Sun,WEDNESDAY").day_of_week),
        sorted(cron(day_of_week="sunday").day_of_week),
        sorted(cron(month_of_year="jan,Dec").month_of_year),
    ]


@program
def wrapped_ranges():
    """Ranges over the end."""
    return [sorted(cron(day_of_week="fri-mon").day_of_week), sorted(cron(hour="22-2").hour)]


@program
def values_of_other_types():
    """Numbers, sets, lists."""
    return [sorted(cron(minute=5).minute), sorted(cron(minute={1, 2}).minute), sorted(cron(hour=[3, 4]).hour)]


@program
def refused_fields():
    """What cannot be parsed or is out of range."""
    cases = [
        {"minute": "60"},
        {"hour": 24},
        {"day_of_week": 7},
        {"day_of_week": "8"},
        {"day_of_month": 0},
        {"month_of_year": 13},
        {"minute": "*/"},
        {"minute": "a"},
        {"minute": "1,,2"},
        {"minute": ""},
    ]
    return [kind(lambda case=case: sorted(cron(**case).minute) and "taken") for case in cases]


@program
def parser_alone():
    """crontab_parser by itself."""
    return [
        sorted(crontab_parser(60).parse("*/20")),
        sorted(crontab_parser(31, 1).parse("2-5")),
        kind(crontab_parser(60).parse, "*/x"),
        issubclass(ParseException, ValueError),
    ]


@program
def text_and_equality():
    """repr and ==."""
    return [
        repr(cron()),
        repr(cron(minute="*/5", hour=3)),
        str(cron(minute=0, hour=0)),
        cron(minute="0,30") == cron(minute="*/30"),
        cron(minute=1) == cron(minute=2),
    ]


@program
def from_string():
    """crontab.from_string('m h dM MY dW')."""
    one = crontab.from_string("5 4 1 2 sun")
    return [repr(one), kind(crontab.from_string, "5 4")]


@program
def pickled():
    """A crontab survives pickling."""
    one = crontab(minute="*/5")
    return pickle.loads(pickle.dumps(one)) == one


@program
def every_minute():
    """* * * * *."""
    return [
        due(cron(), "2026-05-04 10:00:00", "2026-05-04 10:00:30"),
        due(cron(), "2026-05-04 10:00:00", "2026-05-04 10:01:00"),
        due(cron(), "2026-05-04 10:00:00", "2026-05-04 10:05:20"),
    ]


@program
def daily():
    """03:00 every day."""
    entry = cron(minute=0, hour=3)
    return [
        due(entry, "2026-05-04 03:00:00", "2026-05-04 10:00:00"),
        due(entry, "2026-05-04 03:00:00", "2026-05-05 02:59:59"),
        due(entry, "2026-05-04 03:00:00", "2026-05-05 03:00:00"),
        due(entry, "2026-05-04 03:00:00", "2026-05-09 12:00:00"),
    ]


@program
def weekly_and_monthly():
    """Mondays, the first of the month, a date in the year."""
    return [
        due(cron(minute=0, hour=8, day_of_week=1), "2026-05-04 08:00:00", "2026-05-05 08:00:00"),
        due(cron(minute=0, hour=8, day_of_month=1), "2026-05-01 08:00:00", "2026-05-31 08:00:00"),
        due(cron(minute=0, hour=8, day_of_month=31), "2026-05-31 08:00:00", "2026-06-01 08:00:00"),
        due(cron(minute=0, hour=0, day_of_month=29, month_of_year=2), "2026-03-01 00:00:00", "2026-03-01 00:00:00"),
    ]


@program
def both_days_must_match():
    """day_of_month and day_of_week both, not one of the two."""
    entry = cron(minute=0, hour=0, day_of_month=13, day_of_week="fri")
    return [
        due(entry, "2026-01-01 00:00:00", "2026-01-13 00:00:00"),
        due(entry, "2026-01-01 00:00:00", "2026-02-13 00:00:00"),
    ]


@program
def zone_of_the_app():
    """03:00 in Berlin, seen from UTC."""
    entry = cron(minute=0, hour=3, by=berlin)
    zone = ZoneInfo("Europe/Berlin")
    return [
        due(entry, "2026-06-01 03:00:00", "2026-06-01 12:00:00", zone),
        due(entry, "2026-06-01 03:00:00", "2026-06-02 03:00:00", zone),
    ]


@program
def spring_forward():
    """02:30 on the night when 02:00 becomes 03:00."""
    zone = ZoneInfo("Europe/Berlin")
    entry = cron(minute=30, hour=2, by=berlin)
    return [
        due(entry, "2026-03-28 02:30:00", "2026-03-29 01:59:00", zone),
        due(entry, "2026-03-28 02:30:00", "2026-03-29 03:30:00", zone),
        due(entry, "2026-03-29 03:30:00", "2026-03-29 04:30:00", zone),
    ]


@program
def autumn_back():
    """02:30 on the night when 03:00 becomes 02:00: a fixed time."""
    zone = ZoneInfo("Europe/Berlin")
    entry = cron(minute=30, hour=2, by=berlin)
    return [
        due(entry, "2026-10-24 02:30:00", "2026-10-25 02:30:00", zone),
        due(entry, "2026-10-25 02:30:00", "2026-10-25 12:00:00", zone),
    ]


@program
def autumn_every_hour():
    """Every hour at :00 in the repeated hour."""
    zone = ZoneInfo("Europe/Berlin")
    entry = cron(minute=0, by=berlin)
    entry.nowfun = lambda: datetime(2026, 10, 25, 2, 0, fold=1, tzinfo=zone)
    state = entry.is_due(datetime(2026, 10, 25, 2, 0, fold=0, tzinfo=zone))
    return bool(state.is_due)


@program
def intervals():
    """schedule(10 s)."""
    return [
        due(schedule(timedelta(seconds=10), app=app), "2026-05-04 10:00:00", "2026-05-04 10:00:04"),
        due(schedule(10, app=app), "2026-05-04 10:00:00", "2026-05-04 10:00:10"),
        due(schedule(10, app=app), "2026-05-04 10:00:00", "2026-05-04 10:00:35"),
    ]


@program
def relative_intervals():
    """relative=True rounds to the unit of the interval."""
    return [
        due(schedule(timedelta(hours=1), relative=True, app=app), "2026-05-04 10:20:00", "2026-05-04 10:59:00"),
        due(schedule(timedelta(days=1), relative=True, app=app), "2026-05-04 10:20:00", "2026-05-04 23:00:00"),
    ]


@program
def interval_attributes():
    """repr, seconds, equality, human text."""
    one = schedule(timedelta(minutes=5))
    return [repr(one), one.seconds, one.human_seconds, one == schedule(300), one == schedule(10)]


@program
def maybe_schedules():
    """maybe_schedule of numbers and timedeltas."""
    kept = crontab()
    return [
        maybe_schedule(10).seconds,
        maybe_schedule(timedelta(minutes=1)).seconds,
        maybe_schedule(kept) is kept,
        maybe_schedule(2.5).run_every.total_seconds(),
    ]


@program
def remaining_estimate():
    """How long until the next time."""
    entry = cron(minute=0, hour=3)
    entry.nowfun = lambda: at("2026-05-04 10:00:00")
    other = schedule(60, app=app)
    other.nowfun = lambda: at("2026-05-04 10:00:20")
    return [
        entry.remaining_estimate(at("2026-05-04 03:00:00")).total_seconds(),
        other.remaining_estimate(at("2026-05-04 10:00:00")).total_seconds(),
    ]


@program
def table_of_next_times():
    """Next times of a dozen crontabs from one instant."""
    now = "2026-02-27 23:59:00"
    entries = [
        "* * * * *",
        "*/7 * * * *",
        "0 * * * *",
        "0 0 * * *",
        "30 2 * * *",
        "0 12 * * mon",
        "0 0 1 * *",
        "0 0 31 * *",
        "0 0 29 2 *",
        "15 10 * 1-3 *",
        "0 22-2 * * *",
        "5,50 0 28 2 sat",
    ]
    found = {}
    for text in entries:
        minute, hour, day, month, weekday = text.split()
        entry = cron(minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday)
        found[text] = due(entry, now, now)
    return found
