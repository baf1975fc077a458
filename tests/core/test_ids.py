"""Names and ids: what may be one, and ids that a repeated run makes again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallage.core import ids
from smallage.core.errors import ImproperlyConfigured
from smallage.core.message import is_uuid


@given(st.text("0123456789abcdef", min_size=32, max_size=32))
def test_random_digits_become_a_version_4_uuid(digits):
    text = ids.random_uuid_text(digits)
    assert is_uuid(text)
    assert text[14] == "4"
    assert text[19] in "89ab"


def test_a_repeated_run_makes_the_same_ids():
    first = [ids.child_id("parent", 1, 0, ordinal, b"d") for ordinal in range(3)]
    again = [ids.child_id("parent", 1, 0, ordinal, b"d") for ordinal in range(3)]
    assert first == again
    assert len(set(first)) == 3
    assert all(is_uuid(one) for one in first)


@pytest.mark.parametrize(
    "other",
    [("other", 1, 0, 0, b"d"), ("parent", 2, 0, 0, b"d"), ("parent", 1, 1, 0, b"d"), ("parent", 1, 0, 0, b"e")],
)
def test_another_run_makes_other_ids(other):
    assert ids.child_id(*other) != ids.child_id("parent", 1, 0, 0, b"d")


@pytest.mark.parametrize("text", ["a", "order-17", "x" * 128, "näh", "with space", "a:b/c{d}"])
def test_ids_of_callers(text):
    assert ids.check_task_id(text) == text


@pytest.mark.parametrize("text", ["", "x" * 129, "a\nb", "a\0", "\ud800", 17, None, b"id"])
def test_ids_that_are_refused(text):
    with pytest.raises(ImproperlyConfigured, match="printable"):
        ids.check_task_id(text)


def test_an_id_of_a_groups_member_is_not_for_callers():
    with pytest.raises(ImproperlyConfigured, match="member"):
        ids.check_task_id("cfbc0143-0c6b-4401-a99a-41505bbba0a2.7")


@pytest.mark.parametrize("text", ["", "x" * 65, "a\rb", None])
def test_queues_that_are_refused(text):
    with pytest.raises(ImproperlyConfigured):
        ids.check_queue(text)


@pytest.mark.parametrize("text", ["add", "shop.tasks.add", "_x", "a:b-c.d", "a" * 200])
def test_names(text):
    assert ids.check_name(text) == text


@pytest.mark.parametrize("text", ["", "1a", "../../x", "os;system", "a b", "a\n", "ä", "a" * 201, "-a", None, 3])
def test_names_that_are_refused(text):
    with pytest.raises(ImproperlyConfigured):
        ids.check_name(text)
