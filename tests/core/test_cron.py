"""Crontabs and intervals, as programs write them and as Celery 5.7 answers for them."""

from __future__ import annotations

import datetime as dt
import json
import pickle  # noqa: TID251  programs may pickle schedules; we do not
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from smallage.core.cron import crontab
from smallage.core.cronfields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH_OF_YEAR, crontab_parser, expand
from smallage.core.errors import ImproperlyConfigured, ParseException
from smallage.core.schedule import BaseSchedule, maybe_schedule, schedstate, schedule, solar

TABLE = json.loads((Path(__file__).parent / "schedules_of_celery.json").read_text())
"""What Celery 5.7 answered: fields, zone, last run, now, deadline, [remaining s, due, next s]."""


def an_app(zone="UTC", deadline=None, now=None):
    conf = SimpleNamespace(beat_cron_starting_deadline=deadline)
    return SimpleNamespace(zone=lambda: ZoneInfo(zone), conf=conf, now=lambda: now)


def at(text):
    return dt.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("field", "given", "values"),
    [
        (MINUTE, "*", set(range(60))),
        (MINUTE, 7, {7}),
        (MINUTE, [1, 2], {1, 2}),
        (MINUTE, {59}, {59}),
        (MINUTE, (n for n in (3, 4)), {3, 4}),
        (MINUTE, "*/15", {0, 15, 30, 45}),
        (MINUTE, "*/90", {0}),
        (MINUTE, "1,13,30-33,50-59/4", {1, 13, 30, 31, 32, 33, 50, 54, 58}),
        (MINUTE, "1, 2", {1, 2}),
        (HOUR, "22-2", {22, 23, 0, 1, 2}),
        (HOUR, "22-2/2", {22, 0, 2}),
        (HOUR, "05", {5}),
        (DAY_OF_WEEK, "fri-mon", {5, 6, 0, 1}),
        (DAY_OF_WEEK, "Sunday,TUESDAY", {0, 2}),
        (DAY_OF_WEEK, "*/2", {0, 2, 4, 6}),
        (DAY_OF_MONTH, "*/10", {1, 11, 21, 31}),
        (MONTH_OF_YEAR, "nov-feb", {11, 12, 1, 2}),
        (MONTH_OF_YEAR, "*/3", {1, 4, 7, 10}),
    ],
)
def test_fields(field, given, values):
    assert expand(field, given) == values


@pytest.mark.parametrize(
    ("field", "given", "error"),
    [
        (MINUTE, "", ParseException),
        (MINUTE, "1,,2", ParseException),
        (MINUTE, "*/", ParseException),
        (MINUTE, "1-5/", ParseException),
        (MINUTE, "-5", ParseException),
        (MINUTE, "60", ValueError),
        (MINUTE, 60, ValueError),
        (MINUTE, [-1], ValueError),
        (MINUTE, [], ValueError),
        (MINUTE, "5/10", ValueError),
        (MINUTE, "*/0", ValueError),
        (MINUTE, "1-2-3", ValueError),
        (MINUTE, "**", ValueError),
        (MINUTE, "mon", ValueError),
        (MINUTE, "\u0665", ValueError),
        (HOUR, 24, ValueError),
        (DAY_OF_WEEK, 7, ValueError),
        (DAY_OF_WEEK, "7", ValueError),
        (DAY_OF_WEEK, "moo", ValueError),
        (DAY_OF_MONTH, 0, ValueError),
        (MONTH_OF_YEAR, 13, ValueError),
        (MINUTE, 1.5, TypeError),
        (MINUTE, None, TypeError),
        (MINUTE, ["1"], TypeError),
    ],
)
def test_fields_that_cannot_be(field, given, error):
    with pytest.raises(error) as raised:
        expand(field, given)
    assert field.name in str(raised.value)


def test_celery_s_parser():
    assert crontab_parser(24).parse("*/4") == {0, 4, 8, 12, 16, 20}
    assert crontab_parser(31, 1).parse("*/10") == {1, 11, 21, 31}
    assert crontab_parser(7).parse("sat-mon") == {6, 0, 1}
    assert crontab_parser(12, 1).parse("jan") == {1}
    with pytest.raises(crontab_parser.ParseException):
        crontab_parser().parse("1,")


def test_a_parse_error_is_no_value_error():
    assert not issubclass(ParseException, ValueError)


def test_sunday_is_named_to_those_who_write_seven():
    with pytest.raises(ValueError, match="Sunday is 0"):
        crontab(day_of_week=7)


def test_dates_that_never_come():
    for days, months in ((30, 2), (31, "2,4,6,9,11"), ({30, 31}, 2)):
        with pytest.raises(ValueError, match="never come"):
            crontab(day_of_month=days, month_of_year=months)
    crontab(day_of_month=29, month_of_year=2)
    crontab(day_of_month=30, month_of_year="2,4")


def test_from_string_has_cron_s_order():
    made = crontab.from_string("5 4 3 2 1")
    assert made == crontab(minute=5, hour=4, day_of_month=3, month_of_year=2, day_of_week=1)
    assert repr(made) == "<crontab: 5 4 3 2 1 (m/h/dM/MY/d)>"
    assert made.text() == "5 4 3 2 1"
    with pytest.raises(ValueError, match="five fields"):
        crontab.from_string("* * *")


def test_text_reads_back():
    made = crontab("1, 2", range(3), "fri-mon", {31, 1}, (n for n in (1, 3)))
    assert made.text() == "1,2 0,1,2 1,31 1,3 fri-mon"
    assert crontab.from_string(made.text()) == made


def test_equality_goes_by_what_matches():
    assert crontab(minute="*/30") == crontab(minute=[30, 0])
    assert crontab(minute=1) != crontab(minute=2)
    assert crontab() != 60
    assert schedule(60) == schedule(dt.timedelta(minutes=1)) == dt.timedelta(minutes=1)


def test_pickles():
    made = crontab("*/5", {1, 2}, "mon")
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    assert again.nowfun is None
    assert pickle.loads(pickle.dumps(schedule(30, relative=True))).relative is True


@pytest.mark.parametrize(("fields", "zone", "last", "now", "deadline", "answer"), TABLE["crontabs"])
def test_crontabs_answer_as_celery_s(fields, zone, last, now, deadline, answer):
    made = crontab(*fields)
    made.nowfun, made.app = lambda: at(now), an_app(zone, deadline)
    assert [made.remaining_estimate(at(last)).total_seconds(), *made.is_due(at(last))] == answer


@pytest.mark.parametrize(("seconds", "relative", "zone", "last", "now", "answer"), TABLE["intervals"])
def test_intervals_answer_as_celery_s(seconds, relative, zone, last, now, answer):
    made = schedule(seconds, relative, nowfun=lambda: at(now), app=an_app(zone))
    assert [made.remaining_estimate(at(last)).total_seconds(), *made.is_due(at(last))] == answer


def test_the_table_says_something():
    answers = [row[-1] for row in TABLE["crontabs"] + TABLE["intervals"]]
    assert sum(1 for _, due, _ in answers if due) > 20
    assert sum(1 for _, due, _ in answers if not due) > 20


def test_a_naive_last_run_is_in_utc():
    made = crontab(0, 12, nowfun=lambda: at("2026-07-01T10:30:00+00:00"), app=an_app("Europe/Berlin"))
    assert made.is_due(at("2026-07-01T09:30:00")) == schedstate(True, 23.5 * 3600)


def test_an_app_tells_the_time_if_nobody_else_does():
    app = an_app("Europe/Berlin", now=at("2026-07-01T12:00:00+02:00"))
    assert maybe_schedule(10, app=app).is_due(at("2026-07-01T11:59:55+02:00")) == (False, 5.0)


def test_maybe_schedule():
    app = an_app()
    made = maybe_schedule(90, relative=True, app=app)
    assert (made.run_every, made.relative, made.app) == (dt.timedelta(seconds=90), True, app)
    assert repr(made) == "<freq: 1.50 minutes>"
    own = crontab()
    assert maybe_schedule(own, app=app) is own
    assert own.app is app
    assert maybe_schedule(None) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.1, "now"), (1, "1.00 second"), (59.999, "1.00 minute"), (3600, "1.00 hour"), (129600, "1.50 days")],
)
def test_intervals_in_words(seconds, words):
    assert schedule(seconds).human_seconds == words


def test_the_sun_is_refused_with_what_to_do():
    with pytest.raises(ImproperlyConfigured, match="BaseSchedule"):
        solar("sunset", 52, 13)


def test_the_base_class_leaves_the_answers_to_others():
    with pytest.raises(NotImplementedError):
        BaseSchedule().is_due(at("2026-01-01T00:00:00+00:00"))
