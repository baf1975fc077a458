"""Do these arguments fit that function? The quick answer is Python's own."""

from __future__ import annotations

import functools
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallage.core.binding import Binding


def plain(a, b): ...
def defaults(a, b=1, *, c=2): ...
def needs_keyword(a, *, c, d=1): ...
def flexible(a, *rest, b=1, **more): ...
def only_positional(a, b, /, c=1): ...
def nothing(): ...
def mixed(a, /, b, *, c): ...


FUNCTIONS = [plain, defaults, needs_keyword, flexible, only_positional, nothing, mixed, functools.partial(plain, 1)]


@given(
    st.sampled_from(FUNCTIONS),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from("abcdx"), st.integers(), max_size=4),
)
def test_the_answer_is_pythons(function, args, kwargs):
    binding = Binding(function, bound=False)
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError):
            binding.check("t", args, kwargs)
    else:
        binding.check("t", args, kwargs)
    if not kwargs and binding.fewest <= len(args) <= binding.most:
        inspect.signature(function).bind(*args)


def test_a_bound_task_has_no_self():
    binding = Binding(lambda self, a, b=1: None, bound=True)
    assert binding.names == ("a", "b")
    assert (binding.fewest, binding.most) == (1, 2)
    binding.check("t", (1,), {"b": 2})
    with pytest.raises(TypeError, match="too many"):
        binding.check("t", (1, 2, 3), {})


def test_the_refusal_names_the_task_and_its_parameters():
    with pytest.raises(TypeError, match=r"shop\.add\(a, b\): missing a required argument: 'b'"):
        Binding(plain, bound=False).check("shop.add", (1,), {})


def test_a_wrapper_is_asked_for_its_own_signature():
    """A decorator may add arguments of its own; what it forwards is its business."""

    @functools.wraps(plain)
    def wrapper(*args, **kwargs): ...

    Binding(wrapper, bound=False).check("t", (1,), {})
