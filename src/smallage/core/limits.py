"""Rates as people write them: "10/s", "5/m", 100."""

from __future__ import annotations

import re
from fractions import Fraction
from math import isfinite
from typing import Any, Final, NamedTuple

from smallage.core.errors import ImproperlyConfigured

PERIODS: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:/\s*([smh])\s*)?")
MAX_TOKENS: Final = 1_000_000


class Rate(NamedTuple):
    """`tokens` starts in `per_us` microseconds, evenly spaced."""

    tokens: int
    per_us: int


def parse_rate(value: Any, what: str = "rate_limit") -> Rate | None:
    """The rate that "10/s", "10/m", "10/h" or a number (a second) stands for; None for None, 0 and "0": no limit.

    The notation is Celery's. Raises ImproperlyConfigured for anything else.
    """
    if value is None:
        return None
    if isinstance(value, str):
        found = _RATE.fullmatch(value)
        if found is None:
            raise _bad(what, value)
        number, period = Fraction(found[1]), PERIODS[found[2] or "s"]
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value) and value >= 0:
        number, period = Fraction(str(value)), PERIODS["s"]
    else:
        raise _bad(what, value)
    if number == 0:
        return None
    if number.denominator > 1_000 or number.numerator > MAX_TOKENS:
        raise _bad(what, value)
    return Rate(number.numerator, period * number.denominator)


def _bad(what: str, value: object) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{what} must be like '10/s', '10/m', '10/h' or a number of starts a second (at most {MAX_TOKENS:,}), "
        f"not {value!r}."
    )
