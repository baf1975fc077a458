"""Options of a declaration that cannot work are refused in it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from smallage import Smallage
from smallage.core import calls, declared
from smallage.core.errors import ImproperlyConfigured

REFUSALS = (ImproperlyConfigured, ValueError, TypeError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queue", "a\nb"),
        ("queue", 5),
        ("priority", 10),
        ("expires", -3),
        ("expires", "soon"),
        ("ignore_result", "yes"),
        ("serializer", "pickle"),
        ("max_retries", -1),
        ("max_retries", 2.5),
        ("default_retry_delay", -1),
        ("autoretry_for", 5),
        ("autoretry_for", ValueError),
        ("autoretry_for", ("ValueError",)),
        ("dont_autoretry_for", "ValueError"),
        ("retry_backoff", -1),
        ("retry_backoff", "1"),
        ("retry_backoff_max", float("nan")),
        ("retry_jitter", 1),
        ("retry_kwargs", 5),
        ("retry_kwargs", {"max_retry": 5}),
        ("retry_kwargs", {"max_retries": -5}),
        ("retry_kwargs", {"countdown": -5}),
        ("throws", KeyError),
        ("ack", "never"),
        ("acks_late", 1),
        ("reject_on_worker_lost", "no"),
        ("max_crashes", -1),
        ("max_crashes", True),
        ("max_lost", 1.5),
        ("time_limit", 0),
        ("soft_time_limit", "1m"),
        ("rate_limit", "10/x"),
        ("rate_limit", "fast"),
        ("rate_limit", -1),
        ("rate_limit", "nan"),
        ("track_started", "no"),
    ],
)
def test_what_cannot_work_is_refused_by_name(name, value):
    with pytest.raises(REFUSALS, match=name):
        declared.check({name: value})
    app = Smallage("shop", set_as_current=False, broker="memory://")
    with pytest.raises(REFUSALS, match=name):
        app.task(**{name: value})(lambda: None)


@pytest.mark.parametrize(
    "values",
    [
        {"ack": "early", "acks_late": True},
        {"ack": "late", "acks_late": False},
        {"ack": "early", "max_crashes": 2},
        {"acks_late": False, "max_lost": 1},
    ],
)
def test_options_that_contradict_each_other(values):
    with pytest.raises(REFUSALS):
        declared.check(values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        dict.fromkeys(declared.CHECKED),
        {"queue": "mail", "priority": 9, "expires": dt.timedelta(minutes=1), "ignore_result": True},
        {"max_retries": None, "default_retry_delay": 0.5, "autoretry_for": (OSError,), "throws": [KeyError]},
        {"retry_backoff": 2, "retry_backoff_max": 60, "retry_jitter": False, "retry_kwargs": {"max_retries": 5}},
        {"retry_backoff": True, "retry_kwargs": {"countdown": 3}, "serializer": "msgpack"},
        {"ack": "early", "acks_late": False, "max_crashes": 0},
        {"ack": "late", "acks_late": True, "max_crashes": 5, "max_lost": 0},
        {"rate_limit": "10/m"},
        {"rate_limit": 0.5},
        {"anything": object()},
    ],
)
def test_what_works(values):
    declared.check(values)


def test_an_option_changed_later_is_checked_at_the_next_call():
    app = Smallage("shop", set_as_current=False, broker="memory://")

    base: Any = app.Task

    class Base(base):  # type: ignore[misc]
        max_crashes = -1

    task: Any = app.task(base=Base, name="case")(lambda: None)
    with pytest.raises(ImproperlyConfigured, match="max_crashes"):
        task.delay()
    task.max_crashes = 2
    task.autoretry_for = 5
    with pytest.raises(ImproperlyConfigured, match="autoretry_for"):
        task.delay()


def test_a_calls_serializer():
    calls.check({"serializer": "json"})
    calls.check({"serializer": None})
    with pytest.raises(ImproperlyConfigured, match="serializer 'pickle'"):
        calls.check({"serializer": "pickle"})
