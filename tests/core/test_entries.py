"""Entries of a beat schedule: checked, packed and read back."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from smallage.core import entries
from smallage.core.cron import crontab
from smallage.core.entries import BeatLazyFunc, Entry, Spec, entry, entry_of, pack, spec_of, unpack
from smallage.core.errors import DecodeError, ImproperlyConfigured
from smallage.core.schedule import BaseSchedule, schedule

BERLIN = ZoneInfo("Europe/Berlin")


class Tides(BaseSchedule):
    """A schedule of its own kind."""

    def is_due(self, last_run_at):
        return False, 60.0

    def __repr__(self):
        return "<tides>"


def test_what_an_entry_becomes():
    made = entry("nightly", {"task": "app.clean", "schedule": crontab(0, 3), "args": (1,), "kwargs": {"deep": True}})
    assert (made.name, made.task, made.args, made.kwargs) == ("nightly", "app.clean", (1,), {"deep": True})
    assert made.catch_up == "latest"
    assert made.options == {}


@pytest.mark.parametrize(
    ("given", "when"),
    [
        (30, schedule(30)),
        (0.5, schedule(0.5)),
        (dt.timedelta(hours=1), schedule(3600)),
        ("*/5 * * * mon", crontab("*/5", day_of_week="mon")),
        (schedule(7), schedule(7)),
    ],
)
def test_ways_to_say_when(given, when):
    assert entry("x", {"task": "t", "schedule": given}).when == when


def test_relative_belongs_to_the_interval():
    made = entry("x", {"task": "t", "schedule": 60, "relative": True}).when
    assert isinstance(made, schedule)
    assert made.relative is True


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "must be a dict"),
        ({"schedule": 1}, "has no 'task'"),
        ({"task": "t"}, "has no 'schedule'"),
        ({"task": "t", "schedule": 1, "arg": ()}, "there is no key 'arg'.*'args'"),
        ({"task": "t", "schedule": 1, "args": 16}, r"write \(value,\)"),
        ({"task": "t", "schedule": 1, "args": "abc"}, r"write \(value,\)"),
        ({"task": "t", "schedule": 1, "kwargs": [1]}, "'kwargs' must be a dict"),
        ({"task": "t", "schedule": 1, "options": {"quue": "x"}}, "quue"),
        ({"task": "t", "schedule": 1, "options": {"task_id": "x"}}, "task of its own"),
        ({"task": "t", "schedule": 1, "catch_up": "some"}, "'none', 'latest', 'all'"),
        ({"task": "t", "schedule": 0}, "at least"),
        ({"task": "t", "schedule": -1}, "at least"),
        ({"task": "t", "schedule": float("nan")}, "number of seconds"),
        ({"task": "t", "schedule": 10**12}, "ten years"),
        ({"task": "t", "schedule": True}, "cron's five fields"),
        ({"task": "t", "schedule": object()}, "cron's five fields"),
        ({"task": "t", "schedule": "* * *"}, "five fields"),
        ({"task": "t", "schedule": "61 * * * *"}, "minute"),
        ({"task": "t", "schedule": "1,, * * * *"}, "empty part"),
        ({"task": "", "schedule": 1}, "task"),
    ],
)
def test_faults_are_named_with_their_entry(given, said):
    with pytest.raises(ImproperlyConfigured, match=said) as raised:
        entry("nightly", given)
    assert "'nightly'" in str(raised.value)


def test_names_are_texts():
    for name in ("", 7, "x" * 201, "\ud800"):
        with pytest.raises(ImproperlyConfigured, match="name"):
            entry(name, {"task": "t", "schedule": 1})


@pytest.mark.parametrize(
    "given",
    [
        {"task": "t", "schedule": crontab("*/5", "8-17", "mon-fri"), "options": {"queue": "q", "expires": 30}},
        {"task": "t", "schedule": 7.5, "args": (1, "a", dt.date(2026, 1, 2)), "kwargs": {"at": dt.timedelta(1)}},
        {"task": "t", "schedule": 3600, "relative": True, "catch_up": "all"},
    ],
)
def test_specs_travel(given):
    made = entry("x", given)
    spec = spec_of(made, BERLIN, "shop")
    again = unpack(pack(spec))
    assert again == spec
    assert pack(again) == pack(spec)
    assert again.portable
    read = entry_of("x", again)
    assert (read.task, list(read.args), read.kwargs, read.options) == ("t", list(made.args), made.kwargs, made.options)
    assert read.when == made.when
    assert getattr(read.when, "relative", False) == given.get("relative", False)
    assert read.catch_up == made.catch_up


def test_the_zone_goes_with_what_is_read_on_the_clock():
    assert spec_of(entry("x", {"task": "t", "schedule": crontab()}), BERLIN).zone == "Europe/Berlin"
    assert spec_of(entry("x", {"task": "t", "schedule": crontab()}), dt.UTC).zone == "UTC"
    assert spec_of(entry("x", {"task": "t", "schedule": 60}), BERLIN).zone is None
    assert spec_of(entry("x", {"task": "t", "schedule": crontab()}), dt.timezone(dt.timedelta(hours=1))).zone is None


def test_crontabs_that_are_written_alike_are_equal_bytes():
    one = spec_of(entry("x", {"task": "t", "schedule": crontab(minute={3, 1})}), BERLIN)
    two = spec_of(entry("x", {"task": "t", "schedule": crontab(minute=[1, 3])}), BERLIN)
    assert pack(one) == pack(two)
    assert entries.digest(one) == entries.digest(two)
    assert entries.digest(one) != entries.digest(spec_of(entry("x", {"task": "u", "schedule": crontab()}), BERLIN))


def test_lazy_arguments_are_computed_for_each_tick_and_stay_in_the_code():
    numbers = iter(range(10))
    lazy = BeatLazyFunc(lambda step: next(numbers) * step, 10)
    made = entry("x", {"task": "t", "schedule": 1, "args": (lazy, 5), "kwargs": {"k": lazy}})
    assert made.arguments() == ([0, 5], {"k": 10})
    assert made.arguments() == ([20, 5], {"k": 30})
    spec = spec_of(made, BERLIN)
    assert (spec.args, spec.kwargs, spec.every_us, spec.portable) == (None, None, 1_000_000, False)


def test_arguments_that_cannot_travel_stay_in_the_code():
    spec = spec_of(entry("x", {"task": "t", "schedule": 1, "args": (object(),)}), BERLIN)
    assert spec.args is None
    assert not spec.portable


def test_schedules_of_their_own_kind_stay_in_the_code():
    spec = spec_of(entry("x", {"task": "t", "schedule": Tides()}), BERLIN)
    assert (spec.crontab, spec.every_us, spec.custom, spec.portable) == (None, None, "<tides>", False)
    assert spec.words() == "<tides>"


def test_words():
    assert Spec(task="t", crontab="0 3 * * *").words() == "0 3 * * *"
    assert Spec(task="t", every_us=1_500_000).words() == "every 1.5 s"
    assert Spec(task="t", every_us=3_600_000_000, relative=True).words() == "every 3600 s on the clock"


def test_foreign_bytes_are_refused():
    for data in (b"", b"\xff\xff", pack(Spec(task="t"))[:-1], b"\x81\xa1x\x01"):
        with pytest.raises(DecodeError):
            unpack(data)


def test_entries_are_plain_values():
    assert Entry(name="x", task="t", when=schedule(1)) == Entry(name="x", task="t", when=schedule(1))
