"""Signatures: calls as plain data."""

from __future__ import annotations

import json

import pytest

from smallage.core import codec
from smallage.core.canvas import Signature, chord, group, maybe_signature, signature
from smallage.core.errors import ImproperlyConfigured


def add(*args, **kwargs):
    return Signature("add", args, kwargs)


def test_a_signature_is_a_plain_dict():
    made = Signature("add", (1, 2), {"c": 3}, {"queue": "q"}, countdown=5)
    assert dict(made) == {
        "task": "add",
        "args": (1, 2),
        "kwargs": {"c": 3},
        "options": {"queue": "q", "countdown": 5},
        "subtask_type": None,
        "immutable": False,
    }
    assert json.loads(json.dumps(made))["args"] == [1, 2]
    assert repr(made) == "add(1, 2, c=3)"


def test_later_arguments_go_first_and_later_keywords_win():
    made = add(2, a=1, b=2).set(queue="q", priority=3)
    args, kwargs, options = made.merged((1,), {"b": 3}, {"priority": 5, "expires": None})
    assert (args, kwargs, options) == ((1, 2), {"a": 1, "b": 3}, {"queue": "q", "priority": 5})


def test_an_immutable_signature_takes_options_only():
    made = Signature("add", (2,), immutable=True)
    assert made.merged((1,), {"b": 3}, {"queue": "q"}) == ((2,), {}, {"queue": "q"})


def test_clones_leave_the_original_alone():
    made = add(1)
    other = made.clone((0,), {"k": 1}, queue="q")
    assert (made.args, made.kwargs, made.options) == ((1,), {}, {})
    assert (other.args, other.kwargs, other.options) == ((0, 1), {"k": 1}, {"queue": "q"})
    assert isinstance(group(add(1)).clone(), group)


def test_groups_are_flattened_in_place():
    made = group(add(1), group([add(2), add(3)], queue="q"), add(4))
    assert [one.args for one in made.tasks] == [(1,), (2,), (3,), (4,)]
    assert made.tasks[1].options == {"queue": "q"}
    assert len(group(add(n) for n in range(5))) == 5
    assert len(group([])) == 0
    assert group([])


@pytest.mark.parametrize("original", [add(1, k=2), group(add(1), add(2)), chord([add(1)], add(9)), chord([], add(9))])
def test_signatures_survive_the_journey(original):
    plain = codec.decode_value(codec.encode_value(original))
    back = signature(plain)
    assert type(back) is type(original)
    assert repr(back) == repr(original)


def test_things_that_are_no_signatures():
    with pytest.raises(ImproperlyConfigured, match="names no task"):
        signature({"a": 1})
    assert maybe_signature(None) is None
    assert signature("add", (1,)).args == (1,)
    one = add(1)
    assert signature(one) is one


def test_a_chain_is_refused_and_not_merged_as_dicts_are():
    for build in (lambda: add(1) | add(2), lambda: {} | add(2)):
        with pytest.raises(ImproperlyConfigured, match="Chains are not offered"):
            build()
    made = add(1)
    with pytest.raises(ImproperlyConfigured):
        made |= add(2)


def test_a_group_and_a_task_are_a_chord():
    made = group(add(1), add(2)) | add(3)
    assert isinstance(made, chord)
    assert made.body == add(3)
    assert len(made.header) == 2
    with pytest.raises(ImproperlyConfigured, match="Chains"):
        group(add(1)) | made
    with pytest.raises(ImproperlyConfigured, match="Chains"):
        group(add(1)) | {"task": "add"}


def test_names_of_celery_that_are_not_offered_say_what_to_use():
    with pytest.raises(ImportError, match="chord"):
        exec("from smallage import chain")
    with pytest.raises(ImportError, match="fan_out"):
        exec("from smallage import chunks")
