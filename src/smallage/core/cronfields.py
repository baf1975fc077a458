"""One field of a crontab: text, a number or numbers → the set of values at which it matches.

Grammar, with any case for names and commas between parts:

    *      every value          n      one value
    */s    every s-th           a-b    from a to b, going round the end where b < a (fri-mon, 22-2)
                                a-b/s  every s-th of these, counted from a

Days of the week are 0 to 6 with Sunday 0; 7 is no day here. Names of days and months count by their first three
letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from smallage.core.errors import ParseException


class Field(NamedTuple):
    """What may stand in a field: the values `least` to `most`, and names for some of them."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    """In order of value, from `least`."""


DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

MINUTE: Final = Field("minute", 0, 59)
HOUR: Final = Field("hour", 0, 23)
DAY_OF_WEEK: Final = Field("day_of_week", 0, 6, DAYS)
DAY_OF_MONTH: Final = Field("day_of_month", 1, 31)
MONTH_OF_YEAR: Final = Field("month_of_year", 1, 12, MONTHS)

_PART: Final = re.compile(r"(?:(?P<star>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?P<slash>/(?P<step>\w*))?")


def expand(field: Field, given: Any) -> set[int]:
    """The values that `given` names: an int, a text in the grammar above, or an iterable of ints.

    Raises ParseException for an empty part or step or a negative number, ValueError for what is out of range, and
    TypeError for anything that is none of the three.
    """
    if isinstance(given, str):
        return _parse(field, given)
    if isinstance(given, int):
        return {_in_range(field, given)}
    if not isinstance(given, Iterable):
        raise TypeError(f"{field.name} must be a whole number, a text or whole numbers, not {type(given).__name__}.")
    values = set(given)
    if not all(isinstance(value, int) for value in values):
        raise TypeError(f"{field.name} must hold whole numbers only; write texts as one: '1,15,mon-fri'.")
    if not values:
        raise ValueError(f"{field.name} names no value, so the crontab would never run; '*' means every one.")
    return {_in_range(field, value) for value in values}


def _parse(field: Field, text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        found.update(_part(field, part.strip()))
    return found


def _part(field: Field, part: str) -> list[int]:
    if not part:
        raise ParseException(f"{field.name} has an empty part: write a value between its commas.")
    if part.startswith("-"):
        raise ParseException(f"{field.name}: negative numbers are not supported: {part!r}.")
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"{field.name}: {part!r} is no '*', 'n', 'a-b', '*/s' or 'a-b/s'.")
    low, high = match["low"], match["high"]
    if match["star"]:
        values = list(range(field.least, field.most + 1))
    elif high is None:
        values = [_number(field, low)]
    else:
        values = _range(field, _number(field, low), _number(field, high))
    if match["slash"] is None:
        return values
    if not match["step"]:
        raise ParseException(f"{field.name}: the step after the '/' of {part!r} is empty.")
    if match["star"] is None and high is None:
        raise ValueError(f"{field.name}: {part!r} has a step but no range; write '{low}-{field.most}/{match['step']}'.")
    return values[:: _step(field, match["step"])]


def _range(field: Field, low: int, high: int) -> list[int]:
    if low <= high:
        return list(range(low, high + 1))
    return [*range(low, field.most + 1), *range(field.least, high + 1)]


def _step(field: Field, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) == 0:
        raise ValueError(f"{field.name}: a step is a whole number from 1, not {text!r}.")
    return int(text)


def _number(field: Field, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return _in_range(field, int(text))
    short = text[:3].lower()
    if short not in field.names:
        known = f" or a name such as '{field.names[1]}'" if field.names else ""
        raise ValueError(f"{field.name}: {text!r} is no number{known}.")
    return field.least + field.names.index(short)


def _in_range(field: Field, value: int) -> int:
    if not field.least <= value <= field.most:
        sunday = "; Sunday is 0" if field is DAY_OF_WEEK and value == 7 else ""
        raise ValueError(f"{field.name} goes from {field.least} to {field.most}{sunday}, so {value} is out of range.")
    return int(value)


class crontab_parser:
    """Celery's way to expand a field's text: `crontab_parser(24).parse("*/4")`. `max_` is the number of values."""

    ParseException = ParseException

    def __init__(self, max_: int = 60, min_: int = 0) -> None:
        names = {(7, 0): DAYS, (12, 1): MONTHS}.get((max_, min_), ())
        self._field = Field("the field", min_, min_ + max_ - 1, names)

    def parse(self, spec: str) -> set[int]:
        """The values; raises ParseException or ValueError."""
        return _parse(self._field, spec)
