"""Rates as people write them."""

from __future__ import annotations

import pytest

from smallage.core.errors import ImproperlyConfigured
from smallage.core.limits import Rate, parse_rate

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("10/s", Rate(10, SECOND)),
        ("10/m", Rate(10, 60 * SECOND)),
        ("10/h", Rate(10, 3600 * SECOND)),
        ("10", Rate(10, SECOND)),
        (10, Rate(10, SECOND)),
        (0.5, Rate(1, 2 * SECOND)),
        ("2.5/m", Rate(5, 120 * SECOND)),
        (" 3 / m ", Rate(3, 60 * SECOND)),
        (None, None),
        (0, None),
        ("0/m", None),
    ],
)
def test_rates(value, rate):
    assert parse_rate(value) == rate


@pytest.mark.parametrize("value", ["", "fast", "10/d", "-1/s", -1, True, float("nan"), "1/", "1e9/s", "0.00001/s", [1]])
def test_what_is_no_rate(value):
    with pytest.raises(ImproperlyConfigured, match="10/m"):
        parse_rate(value)
