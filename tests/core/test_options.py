"""Options of tasks and calls: bounds, instants and routes."""

from __future__ import annotations

import datetime as dt
import math
import re
from zoneinfo import ZoneInfo

import pytest

from smallage.core import calls, options
from smallage.core.errors import EncodeError, ImproperlyConfigured
from smallage.core.message import FOREVER, Envelope

NOW = 1_800_000_000_000_000
BASE = Envelope(name="t", queue="q", priority=3, expires_in_us=5, keep_us=7, max_crashes=1, max_lost=2)


def envelope(**call):
    return calls.call_envelope(BASE, call, 86_400, NOW, dt.UTC)


def test_a_call_without_options_is_the_tasks_own():
    assert envelope() == BASE


@pytest.mark.parametrize(
    ("call", "field", "value"),
    [
        ({"countdown": 1.5}, "delay_us", 1_500_000),
        ({"countdown": dt.timedelta(minutes=1)}, "delay_us", 60_000_000),
        ({"countdown": 0}, "delay_us", 0),
        ({"eta": dt.datetime(2027, 1, 15, 8, 0, 1, tzinfo=dt.UTC)}, "due_us", NOW + 1_000_000),
        ({"eta": dt.datetime(2027, 1, 15, 8, 0, 1)}, "due_us", NOW + 1_000_000),
        ({"eta": dt.datetime(1960, 1, 1)}, "due_us", 0),
        ({"expires": 9}, "expires_in_us", 9_000_000),
        ({"expires": -3}, "expires_in_us", 1),
        ({"expires": None}, "expires_in_us", None),
        ({"expires": dt.datetime(2027, 1, 15, 8, 0, 1)}, "expires_us", NOW + 1_000_000),
        ({"queue": "other"}, "queue", "other"),
        ({"priority": 0}, "priority", 0),
        ({"ignore_result": True}, "keep_us", 0),
        ({"ignore_result": False}, "keep_us", 86_400_000_000),
    ],
)
def test_options_of_a_call(call, field, value):
    made = envelope(**call)
    assert getattr(made, field) == value
    assert (made.max_crashes, made.max_lost) == (1, 2)


def test_countdown_wins_over_eta():
    made = envelope(countdown=2, eta=dt.datetime(2027, 1, 16))
    assert (made.delay_us, made.due_us) == (2_000_000, None)


def test_naive_instants_are_in_the_apps_zone():
    berlin = ZoneInfo("Europe/Berlin")
    made = calls.call_envelope(BASE, {"eta": dt.datetime(2027, 1, 15, 9, 0)}, None, NOW, berlin)
    assert made.due_us == NOW


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ({"countdown": 1e15}, ValueError),
        ({"countdown": -1}, ValueError),
        ({"countdown": math.nan}, ValueError),
        ({"countdown": math.inf}, ValueError),
        ({"countdown": True}, TypeError),
        ({"countdown": "5"}, TypeError),
        ({"eta": 5}, TypeError),
        ({"eta": dt.datetime(9999, 1, 1)}, ValueError),
        ({"priority": 10}, ValueError),
        ({"priority": -1}, ValueError),
        ({"priority": True}, ValueError),
        ({"priority": 1.0}, ValueError),
        ({"queue": "a\nb"}, ImproperlyConfigured),
        ({"queue": ""}, ImproperlyConfigured),
    ],
)
def test_options_out_of_bounds(call, kind):
    with pytest.raises(kind):
        envelope(**call)


def test_time_limits():
    assert calls.call_extras({"time_limit": 5}, (2, 9)) == {"l": [2, 5]}
    assert calls.call_extras({"time_limit": None, "soft_time_limit": None}, (2, 9)) == {"l": [None, None]}
    assert calls.call_extras({}, (2, 9)) == {}
    for call in (
        {"soft_time_limit": 10, "time_limit": 5},
        {"time_limit": 0},
        {"time_limit": 10**7},
        {"time_limit": math.nan},
    ):
        with pytest.raises(ValueError):
            calls.call_extras(call)


def test_headers_are_bounded():
    assert calls.call_extras({"headers": {"trace": "1"}}) == {"h": {"trace": "1"}}
    assert calls.call_extras({"headers": None}) == {}
    for headers in ({str(n): n for n in range(33)}, {"big": "x" * 5000}):
        with pytest.raises(ValueError, match="headers"):
            calls.call_extras({"headers": headers})
    with pytest.raises(EncodeError, match="headers"):
        calls.call_extras({"headers": {"x": object()}})
    with pytest.raises(TypeError):
        calls.call_extras({"headers": [1]})


def test_unknown_options_name_the_nearest():
    with pytest.raises(TypeError, match="did you mean 'countdown'"):
        calls.check({"countdwn": 3})
    with pytest.raises(ImproperlyConfigured, match="chord of the task"):
        calls.check({"chord": object()})
    calls.check({"resembles_nothing": 1})  # stands in request.properties
    calls.check({"link": None, "serializer": "json", "countdown": 3})


def test_results_are_kept_as_long_as_asked():
    assert options.keep_us(60, False) == 60_000_000
    assert options.keep_us(dt.timedelta(days=1), False) == 86_400_000_000
    assert options.keep_us(None, False) == FOREVER
    assert options.keep_us(0, False) == FOREVER
    assert options.keep_us(60, True) == 0


def test_acknowledgement_modes():
    assert options.ack_mode(None, None) == "late"
    assert options.ack_mode(None, True) == "late"
    assert options.ack_mode(None, False) == "early"
    assert options.ack_mode("early", True) == "early"
    with pytest.raises(ImproperlyConfigured, match="at most once"):
        options.ack_mode("before", None)


def by_function(name, args, kwargs, opts, task=None, **more):
    return {"queue": "f"} if args == (1,) else None


class Router:
    def route_for_task(self, name, args=None, kwargs=None, options=None, task=None):
        return "object" if name == "o" else None


@pytest.mark.parametrize(
    ("routes", "name", "made"),
    [
        (None, "a", {}),
        ({"a": "x"}, "a", {"queue": "x"}),
        ({"a": {"queue": "x", "priority": 2}}, "a", {"queue": "x", "priority": 2}),
        ({"a.*": "x", "a.b": "y"}, "a.b", {"queue": "y"}),
        ({"a.*": "x"}, "a.c", {"queue": "x"}),
        ({"a.*": "x"}, "b.c", {}),
        ({re.compile(r"(video|audio)\..*"): "media"}, "audio.cut", {"queue": "media"}),
        ([("a.*", {"queue": "x"}), ("*", "rest")], "b", {"queue": "rest"}),
        (("a.*", {"queue": "x"}), "a.b", {"queue": "x"}),
        ([{"z": "1"}, Router(), {"o": "2"}], "o", {"queue": "object"}),
        ([by_function, {"*": "rest"}], "b", {"queue": "rest"}),
        ({"a": {"routing_key": "x"}}, "a", {"routing_key": "x", "queue": "x"}),
    ],
)
def test_routes(routes, name, made):
    assert options.route(routes, name) == made


def test_routes_by_function_see_the_call():
    assert options.route(by_function, "n", (1,)) == {"queue": "f"}
    assert not options.is_static(by_function)
    assert not options.is_static([{"a": "b"}, Router()])
    assert options.is_static([{"a": "b"}, ("c.*", "d")])


@pytest.mark.parametrize("routes", [[3], {"a": 3}, {"a": {"queue": "x\n"}}])
def test_routes_that_cannot_work(routes):
    with pytest.raises(ImproperlyConfigured):
        options.route(routes, "a")
