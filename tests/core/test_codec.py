"""Values that travel come back as they went; everything else is refused on both sides."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallage.core import codec
from smallage.core.errors import DecodeError, EncodeError, RemoteError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.dates()
    | st.times()
    | st.datetimes()
    | st.timedeltas()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.uuids()
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))
ARGS = st.lists(VALUES, max_size=4)
KWARGS = st.dictionaries(KEYS, VALUES, max_size=3)


@given(VALUES)
def test_a_value_comes_back(value):
    assert codec.decode_value(codec.encode_value(value)) == value


@given(
    st.lists(VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=3), st.dictionaries(KEYS, VALUES, max_size=2)
)
def test_arguments_come_back(args, kwargs, extras):
    assert codec.decode_payload(codec.encode_payload(args, kwargs, extras)) == (args, kwargs, extras)


@given(ARGS, KWARGS)
def test_rows_come_back(args, kwargs):
    assert codec.decode_row(codec.encode_row(args, kwargs)) == (args, kwargs)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_or_read_but_never_crash(data):
    for read in (codec.decode_value, codec.decode_payload, codec.decode_row, codec.decode_note, codec.decode_error):
        try:
            read(data)
        except DecodeError:
            pass


@given(st.datetimes(timezones=st.timezones()))
def test_an_aware_datetime_comes_back_as_the_same_instant(value):
    back = codec.decode_value(codec.encode_value(value))
    assert back.utcoffset() is not None
    assert back == value or value.dst() is not None  # folds compare unequal between zones
    assert back.replace(tzinfo=None) == value.replace(tzinfo=None)


def test_two_small_arguments_are_a_few_bytes():
    assert codec.encode_payload((2, 3)) == b"\x91\x92\x02\x03"
    assert codec.encode_payload(()) == b"\x90"
    assert len(codec.encode_payload(("playlist", 17))) < 20


def test_old_payloads_still_decode():
    """Bytes of the first version, kept for ever."""
    assert codec.decode_payload(bytes.fromhex("9192 02a178")) == ([2, "x"], {}, {})
    assert codec.decode_payload(bytes.fromhex("9290 81a16101")) == ([], {"a": 1}, {})
    assert codec.decode_payload(bytes.fromhex("9390 8081a17001")) == ([], {}, {"p": 1})
    when = codec.decode_value(bytes.fromhex("c71301") + b"2026-11-20T23:30:01")
    assert when == dt.datetime(2026, 11, 20, 23, 30, 1)


@dataclasses.dataclass
class Point:
    x: int
    when: dt.date


class Struct(msgspec.Struct):
    name: str
    points: list[Point]


DAY = dt.date(2026, 1, 2)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class WithJson:
    def __json__(self):
        return {"own": 1}


@pytest.mark.parametrize(
    ("value", "back"),
    [
        ((1, (2,)), [1, [2]]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({2, 1}), [1, 2]),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Point(1, dt.date(2026, 1, 2)), {"x": 1, "when": dt.date(2026, 1, 2)}),
        (
            Struct("n", [Point(2, dt.date(2026, 1, 2))]),
            {"name": "n", "points": [{"x": 2, "when": dt.date(2026, 1, 2)}]},
        ),
        (WithJson(), {"own": 1}),
        ({2: "a", None: "b", True: "c", 1.5: "d"}, {"2": "a", "null": "b", "true": "c", "1.5": "d"}),
        ({Colour.RED.value: 1}, {"red": 1}),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
    ],
)
def test_richer_types_travel_as_plain_data(value, back):
    assert codec.decode_value(codec.encode_value(value)) == back
    assert codec.decode_payload(codec.encode_payload((value,)))[0] == [back]


def test_sets_have_one_order_whatever_the_hash_seed():
    values = {"delta", "alpha", "charlie", "bravo"}
    assert codec.decode_value(codec.encode_value(values)) == sorted(values)
    mixed = codec.decode_value(codec.encode_value({"a", 1, (2, 3)}))
    assert mixed == [1, "a", [2, 3]]


def deep(levels):
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "not a JSON number"),
        ([1.0, math.inf], "[1]"),
        ({"rate": -math.inf}, "['rate']"),
        (Decimal("NaN"), "not a number"),
        (object(), "JSON types"),
        (2j, "number.real"),
        (len, "look it up"),
        (iter([1]), "fan_out"),
        (ValueError("x"), "str(error)"),
        pytest.param(10**4400, "4,300 digits", id="huge"),
        ("\ud800", "surrogate"),
        (["\udfff"], "surrogate"),
        ({b"key": 1}, "use strings as keys"),
        ({1: "a", "1": "b"}, "keys are both"),
        (deep(70), "64 levels"),
        pytest.param(deep(5000), "64 levels", id="deepest"),
    ],
)
def test_what_cannot_travel_is_refused_with_advice(value, words):
    with pytest.raises(EncodeError, match="cannot be sent") as refusal:
        codec.encode_payload((1, value), names=("first", "second"))
    assert words in str(refusal.value)
    with pytest.raises(EncodeError):
        codec.encode_value(value)
    with pytest.raises(EncodeError):
        codec.encode_row((value,))


def test_a_value_that_contains_itself_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(EncodeError):
        codec.encode_value(loop)


def test_keyword_arguments_are_named_in_the_refusal():
    with pytest.raises(EncodeError, match="argument 'user'"):
        codec.encode_payload((), {"user": object()})


def test_model_instances_get_advice_for_their_kind():
    class Row:
        __tablename__ = "row"

    with pytest.raises(EncodeError, match="primary key"):
        codec.encode_payload((Row(),))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x92\x01",  # cut short
        b"\x91" * 100 + b"\xc0",  # deep, within what the parser stands
        b"\x91" * 100_000,  # deep beyond it
        b"\xa1\xff",  # not UTF-8
        b"\xed\xa0\x80",
        b"\xa3\xed\xa0\x80",  # a surrogate in UTF-8's clothes
        msgspec.msgpack.encode(math.nan),
        msgspec.msgpack.encode([math.inf]),
        msgspec.msgpack.encode({1: 2}),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(99, b"x")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(codec.DATETIME, b"yesterday")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(codec.BIGINT, b"\x7f" * 5000)),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(codec.DECIMAL, b"Infinity")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(codec.UUID_, b"short")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(codec.TIMEDELTA, b"\x7f\xff\xff\xff" * 3)),
    ],
)
def test_bytes_that_we_would_not_write_are_refused(data):
    with pytest.raises(DecodeError):
        codec.decode_value(data)
    with pytest.raises(DecodeError):
        codec.decode_payload(msgspec.msgpack.encode([[1]])[:1] + data)


@pytest.mark.parametrize("packed", [[1], [[], []], [[], {}, []], [[], {}, {}, 1], {}, "x", 3, None])
def test_payloads_of_another_shape_are_refused(packed):
    with pytest.raises(DecodeError):
        codec.decode_payload(msgspec.msgpack.encode(packed))


def test_data_of_a_user_is_never_taken_for_a_mark():
    """Only an ext type is a mark, and no value of a user can become one."""
    marked = codec.encode_mark("IGNORED", None)
    assert codec.decode_result(marked) == codec.Marked("IGNORED", None)
    for value in (marked, [33, marked], {"state": "IGNORED", "meta": None}, UUID(int=5), dt.date(2026, 1, 1)):
        assert codec.decode_result(codec.encode_result(value)) == value
    with pytest.raises(DecodeError):
        codec.decode_value(b"\x91" + marked)


def test_none_is_no_bytes():
    assert codec.encode_result(None) is None
    assert codec.decode_result(None) is None


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def test_errors_travel_as_data():
    read = codec.decode_error(codec.encode_error(ValueError("no", 3, dt.date(2026, 1, 1)), "trace"))
    assert read == codec.ErrorData(
        "builtins", "ValueError", ("no", 3, dt.date(2026, 1, 1)), str(ValueError("no", 3, dt.date(2026, 1, 1))), "trace"
    )


def test_an_error_always_travels():
    """Whatever it holds: unsendable arguments, broken text, huge text."""
    read = codec.decode_error(codec.encode_error(Odd(object(), "\ud800", "x" * 10**6), "t" * 10**6))
    assert read.kind == "Odd"
    assert "whose text cannot be made" in read.message
    assert read.args[0].startswith("<object object")
    assert len(read.args[2]) < codec.MAX_MESSAGE + 2
    assert read.traceback is not None
    assert len(read.traceback) < codec.MAX_TRACEBACK + 100


def test_a_remote_error_passed_on_keeps_its_type():
    read = codec.decode_error(codec.encode_error(RemoteError("shop.errors.NoStock", "none left")))
    assert (read.module, read.kind, read.message) == ("", "shop.errors.NoStock", "none left")


def test_notes():
    assert codec.decode_note(codec.encode_note("PROGRESS", {"done": 1})) == ("PROGRESS", {"done": 1})
    for wrong in (b"\x90", codec.encode_value([1, 2]), codec.encode_value({"a": 1})):
        with pytest.raises(DecodeError):
            codec.decode_note(wrong)
