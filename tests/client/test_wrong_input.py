"""Slips at the call: the error names what is wrong and says what to write instead."""

from __future__ import annotations

import datetime as dt

import pytest

from smallage import chord, group
from smallage.core.errors import ImproperlyConfigured, NotRegistered
from smallage.stores import base


@pytest.fixture
def add(bench):
    @bench.app.task(name="add")
    def add(a, b=1):
        return a + b

    return add


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda add: group([5]), TypeError, r"members are signatures such as task\.s\(1\), not <int>"),
        (lambda add: group(add), TypeError, r"signatures such as task\.s\(1\)"),
        (lambda add: group("add"), TypeError, "or a list of them"),
        (lambda add: chord(5, add.s()), TypeError, "or a list of them"),
        (lambda add: add.fan_out(5), TypeError, "add: rows must be an iterable"),
        (lambda add: add.fan_out("abc"), TypeError, "rows .* not str"),
        (lambda add: add.fan_out({"a": 1}), TypeError, "rows .* not dict"),
        (lambda add: add.delay_many(None), TypeError, "rows .* not NoneType"),
        (lambda add: add.fan_out([(1,)], then=print), TypeError, r"then= takes a signature"),
        (lambda add: add.fan_out([(1,)], cuntdown=3), TypeError, r"'cuntdown'; did you mean 'countdown'\?$"),
        (lambda add: add.apply_async((1,), link=print), ImproperlyConfigured, r"signature such as task\.s"),
        (lambda add: add.apply_async((1,), ignore_result="no"), TypeError, "ignore_result must be True or False"),
        (lambda add: add.apply_async((1,), retry_policy=5), TypeError, "retry_policy must be a dict"),
        (lambda add: add.apply_async((1,), retry_policy={"max_retries": "x"}), ValueError, "max_retries in retry_pol"),
        (lambda add: add.apply_async((1,), retry_policy={"interval_max": -1}), ValueError, "interval_max in retry_pol"),
        (lambda add: add.apply_async((1,), expires=dt.date(2030, 1, 1)), TypeError, "expires"),
        (lambda add: add.app.send_task("add", args="abc"), TypeError, "args must be a list or tuple"),
        (lambda add: add.app.send_task("add", args=5), TypeError, "args must be a list or tuple"),
        (lambda add: add.app.send_task("add", kwargs=[1]), TypeError, "kwargs must be a dict"),
        (lambda add: add.delay(1).get(timeout="x"), TypeError, "timeout must be a number of seconds"),
        (lambda add: add.fan_out([(1,)]).get(timeout="x"), TypeError, "timeout must be a number of seconds"),
        (lambda add: add.app.task(5), TypeError, r"makes a task of a function, not of 5"),
        (lambda add: add.app.task("name"), TypeError, r"@app\.task\(name="),
        (lambda add: add.app.task(type("C", (), {})), TypeError, "register_task"),
        (lambda add: add.app.task(base=int)(print), TypeError, r"smallage\.Task"),
        (lambda add: add.app.tasks["zzz"], NotRegistered, r"import the module that defines it\.$"),
        (lambda add: add.app.tasks["addd"], NotRegistered, r"did you mean 'add'\?$"),
        (lambda add: base.open("x.db"), ImproperlyConfigured, "sqlite:///path"),
        (lambda add: base.open("user:secret@host"), ImproperlyConfigured, "no scheme"),
    ],
)
def test_the_error_says_what_to_write(add, call, kind, text):
    with pytest.raises(kind, match=text) as refusal:
        call(add)
    assert "secret" not in str(refusal.value)


def test_nothing_of_a_refused_call_is_sent(bench, add):
    for rows in ("abc", [(1,), (object(),)], [(1,), 5]):
        with pytest.raises(TypeError):
            add.fan_out(rows)
        with pytest.raises(TypeError):
            add.delay_many(rows)
    assert bench.claim(10) == []
