"""Annotations turn plain data back into what they name."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from typing import Any, NamedTuple, Optional

import msgspec
import pydantic
import pytest

from smallage.core import codec
from smallage.core.convert import argument_converter, converter, result_converter


@dataclasses.dataclass
class Item:
    name: str
    when: dt.datetime | None = None


class Model(pydantic.BaseModel):
    x: int


class Struct(msgspec.Struct):
    items: list[Item]


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    a: int
    b: str


NOW = dt.datetime(2026, 11, 20, 12)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (tuple[int, str], (1, "a")),
        (tuple, (1, 2)),
        (set[int], {1, 2}),
        (frozenset, frozenset({1})),
        (Colour, Colour.RED),
        (list[Colour], [Colour.RED]),
        (Item, Item("a", NOW)),
        (Optional[Item], Item("a")),  # noqa: UP045 - the old spelling is to work
        (Item | None, None),
        (dict[str, Item], {"k": Item("b")}),
        (Struct, Struct([Item("c", NOW)])),
        (Model, Model(x=3)),
        (Model | None, Model(x=3)),
        (list[Model], [Model(x=1), Model(x=2)]),
        (Pair, Pair(1, "b")),
    ],
)
def test_values_come_back_as_annotated(hint, value):
    convert = converter(hint)
    assert convert is not None
    assert convert(codec.decode_value(codec.encode_value(value))) == value


@pytest.mark.parametrize(
    "hint", [int, str, float, bool, Any, None, dict, list, list[int], dict[str, Any], dt.datetime, int | None, "x"]
)
def test_nothing_is_done_for_types_that_travel(hint):
    assert converter(hint) is None


@pytest.mark.parametrize("hint", [Item | Struct, Item | Model | Pair])
def test_a_union_that_cannot_be_told_apart_is_left_alone(hint):
    assert converter(hint) is None


def function(a: int, item: Item, *, tags: set[str] | None = None, other: Any = None) -> Item:
    return item


def test_arguments():
    convert = argument_converter(function, ("a", "item"))
    assert convert is not None
    assert convert([1, {"name": "n"}], {"tags": ["x"], "other": [1]}, False) == (
        [1, Item("n")],
        {"tags": {"x"}, "other": [1]},
    )
    assert convert([1], {"item": {"name": "n"}}, False) == ([1], {"item": Item("n")})


def test_the_first_parameter_of_a_body_is_not_sent():
    def body(outcomes: Any, item: Item) -> None: ...

    convert = argument_converter(body, ("outcomes", "item"))
    assert convert is not None
    assert convert([{"name": "n"}], {}, True) == ([Item("n")], {})


def test_data_that_does_not_fit_names_the_argument():
    convert = argument_converter(function, ("a", "item"))
    assert convert is not None
    with pytest.raises(TypeError, match="argument 'item' does not fit"):
        convert([1, {"nam": "n"}], {}, False)


def test_functions_without_such_annotations_need_no_converter():
    assert argument_converter(lambda a, b: None, ("a", "b")) is None
    assert argument_converter(len, ("a",)) is None


def test_annotations_that_cannot_be_resolved_are_left_alone():
    def body(a: Missing, item: Item) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    convert = argument_converter(body, ("a", "item"))
    assert convert is not None
    assert convert([{"x": 1}, {"name": "n"}], {}, False) == ([{"x": 1}, Item("n")], {})


def test_results():
    assert result_converter(function)({"name": "n"}) == Item("n")
    assert result_converter(function)("something else") == "something else"
    assert result_converter(lambda: None)({"name": "n"}) == {"name": "n"}
