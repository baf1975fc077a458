"""Options of tasks and calls: their bounds, and what they become in a message's envelope and extras.

Extras of a payload, each present only when set:

    h  headers of the caller          l  [soft, hard] time limits in seconds, null where cleared
    p  id of the parent task          o  id of the root task
    a  eta in µs since the epoch      s  name to show (`shadow`)
    c  1: body of a chord             i  1: takes no outcomes (an immutable body)
    k  callbacks, each a chain        e  error callbacks, each a chain
    n  the rest of the chain          f  arguments that go before each member's own (in a group's template)
    g  [id, place] of a group that is only named        r  how often the task was replaced
    d  countdown in µs                    y  options of the call that only travel along
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any, ClassVar, Final

from smallage.core.codec import encode_value
from smallage.core.errors import ImproperlyConfigured
from smallage.core.ids import check_queue
from smallage.core.message import FOREVER

SECOND_US: Final = 1_000_000
MAX_SECONDS: Final = 10 * 366 * 86_400
"""Ten years: the longest countdown, the farthest eta."""
MAX_LIMIT: Final = 1_000_000
MAX_RETRIES: Final = 2**31
MAX_HEADERS: Final = 32
MAX_HEADER_BYTES: Final = 4096
KNOWN_ACKS: Final = ("late", "early")

CALL_OPTIONS: Final = frozenset(
    (
        *("countdown", "eta", "expires", "queue", "priority", "task_id", "headers", "ignore_result", "retry"),
        *("retry_policy", "time_limit", "soft_time_limit", "shadow", "root_id", "parent_id", "add_to_parent"),
        *("link", "link_error", "chain", "group_id", "group_index"),
    )
)
"""Options of `apply_async` that do something."""
QUIET_OPTIONS: Final = frozenset(
    (
        *("producer", "connection", "publisher", "serializer", "compression", "exchange", "exchange_type"),
        *("routing_key", "delivery_mode", "origin"),
        *("router", "route_name", "result_cls", "mandatory", "immediate"),
    )
)
"""Celery's options of `apply_async` that need nothing done here."""

KEPT_OPTIONS: Final = frozenset(("reply_to", "argsrepr", "kwargsrepr", "correlation_id"))
"""Celery's options of `apply_async` that travel with the call and are read from `self.request`."""


def seconds_us(value: Any, what: str, least: float = 0.0) -> int:
    """A number of seconds (or a timedelta) in µs; raises ValueError outside `least` to ten years."""
    if isinstance(value, dt.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} must be a number of seconds, not {type(value).__name__}.")
    if not isfinite(value) or not least <= value <= MAX_SECONDS:
        raise ValueError(f"{what} must be between {least:g} and {MAX_SECONDS} seconds (ten years), not {value!r}.")
    return int(value * SECOND_US)


def instant_us(value: dt.datetime, what: str, zone: dt.tzinfo, now_us: int) -> int:
    """A datetime in µs since the epoch; naive ones are in `zone`. Past is allowed, ten years ahead are the limit."""
    if not isinstance(value, dt.datetime):
        raise TypeError(f"{what} must be a datetime, not {type(value).__name__}; use countdown= for seconds.")
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    since = value - _EPOCH
    instant = (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds
    if instant > now_us + MAX_SECONDS * SECOND_US:
        raise ValueError(f"{what} is more than ten years ahead: {value.isoformat()}.")
    return max(instant, 0)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def isoformat(instant: int | None) -> str | None:
    """An instant in µs as ISO-8601 text in UTC."""
    return None if instant is None else (_EPOCH + dt.timedelta(microseconds=instant)).isoformat()


def priority(value: Any) -> int:
    """A priority from 0 (first) to 9; raises ValueError for others."""
    if type(value) is int and 0 <= value <= 9:
        return value
    if value is None:
        return 0
    raise ValueError(f"priority must be a whole number from 0 (served first) to 9 (last), not {value!r}.")


def limit(value: Any, what: str) -> float | None:
    """A time limit in seconds, above 0 and at most a million; None for no limit."""
    if value is None:
        return None
    if isinstance(value, dt.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} must be a number of seconds or None, not {type(value).__name__}.")
    if not isfinite(value) or not 0 < value <= MAX_LIMIT:
        raise ValueError(f"{what} must be above 0 and at most {MAX_LIMIT} seconds, or None for none; not {value!r}.")
    return value


def limits(soft: Any, hard: Any) -> tuple[float | None, float | None]:
    """(soft, hard) time limits; raises ValueError when the soft one would come after the hard one."""
    soft, hard = limit(soft, "soft_time_limit"), limit(hard, "time_limit")
    if soft is not None and hard is not None and soft > hard:
        raise ValueError(f"soft_time_limit ({soft:g} s) must not be greater than time_limit ({hard:g} s).")
    return soft, hard


def retry_limit(value: Any, what: str = "max_retries") -> int | None:
    """A number of retries from 0 to 2^31, or None for no limit."""
    if value is None or (type(value) is int and 0 <= value <= MAX_RETRIES):
        return value
    raise ValueError(f"{what} must be a whole number from 0 to {MAX_RETRIES}, or None for ever; not {value!r}.")


def keep_us(result_expires: Any, ignore_result: bool) -> int:
    """How long a record is kept after its end; `result_expires` None or 0: for ever."""
    if ignore_result:
        return 0
    if not result_expires:
        return FOREVER
    return max(1, seconds_us(result_expires, "result_expires"))


def headers(value: Any) -> dict[str, Any] | None:
    """A caller's headers, checked: at most 32 and 4 KiB together."""
    if not value:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"headers must be a dict, not {type(value).__name__}.")
    size = len(encode_value(dict(value), "headers"))
    if len(value) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        raise ValueError(
            f"headers hold {len(value)} entries and {size} bytes; {MAX_HEADERS} entries and {MAX_HEADER_BYTES} bytes "
            "are the limit. Pass large values as arguments."
        )
    return dict(value)


def check_names(options: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raise TypeError for an option that is not known, naming the nearest ones."""
    known = frozenset(known)
    for name in options:
        if name not in known:
            raise TypeError(f"{what} has no option '{name}'{nearest(name, known) or '.'}")


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """ "; did you mean …" for a misspelt name, or nothing."""
    import difflib  # only ever needed to word an error

    found = difflib.get_close_matches(str(name), list(known), n=3, cutoff=cutoff)
    return f"; did you mean {' or '.join(repr(one) for one in found)}?" if found else ""


def ack_mode(ack: Any, acks_late: Any) -> str:
    """ "late" (after the run, at least once) or "early" (before the run, at most once)."""
    if ack is not None:
        if ack not in KNOWN_ACKS:
            raise ImproperlyConfigured(
                f"ack must be 'late' (after the run: at least once) or 'early' (before it: at most once), not {ack!r}."
            )
        return str(ack)
    return "early" if acks_late is False else "late"


# -- routing ------------------------------------------------------------------------------------------------------
class Deferred:
    """A rule that the settings name ("module:function"): looked up at its first use, and a class made an object."""

    resolve: ClassVar[Callable[[str], Any]]
    """How names are looked up; set by the client, for core imports nothing by name."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._found: Any = None

    @property
    def found(self) -> Any:
        """What the name stands for."""
        if self._found is None:
            made = type(self).resolve(self.path)
            self._found = made() if isinstance(made, type) else made
        return self._found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Deferred, str)) and str(other) == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __str__(self) -> str:
        return self.path

    __repr__ = __str__


def is_static(routes: Any) -> bool:
    """True if the answer of `route` hangs on the task's name alone."""
    if not routes:
        return True
    if isinstance(routes, Mapping):
        return True
    if isinstance(routes, (list, tuple)):
        return all(isinstance(one, Mapping) or _are_pairs(one) for one in routes) or _are_pairs(routes)
    return False


def _is_pair(one: Any) -> bool:
    return isinstance(one, (list, tuple)) and len(one) == 2 and isinstance(one[0], (str, re.Pattern))


def _are_pairs(one: Any) -> bool:
    """A pair, or a list of pairs."""
    return _is_pair(one) or (isinstance(one, (list, tuple)) and bool(one) and all(_is_pair(pair) for pair in one))


def route(
    routes: Any, name: str, args: Any = (), kwargs: Any = None, options: Any = None, task: Any = None
) -> dict[str, Any]:
    """Options that `task_routes` gives to a task: the first rule that answers. Empty if none does.

    `routes` is one rule or a list of them. A rule is a dict of names, globs or compiled patterns to a queue's name or
    options, a list of such pairs, a function `(name, args, kwargs, options, task=None)`, or an object with
    `route_for_task`.
    """
    if not routes:
        return {}
    rules = routes if isinstance(routes, (list, tuple)) and not _is_pair(routes) else [routes]
    for rule in rules:
        answer = _ask(rule, name, args, kwargs or {}, options or {}, task)
        if answer:
            return _as_options(answer, name)
    return {}


def over(route: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """A call's options over those of its route; None in a call does not undo what the route says."""
    return {**route, **{name: value for name, value in call.items() if value is not None or name not in route}}


def _ask(rule: Any, name: str, args: Any, kwargs: Any, options: Any, task: Any) -> Any:
    if isinstance(rule, Deferred):
        rule = rule.found
    if isinstance(rule, Mapping):
        return _look_up(rule.items(), name)
    if _is_pair(rule):
        return _look_up([rule], name)
    if _are_pairs(rule):
        return _look_up(rule, name)
    if hasattr(rule, "route_for_task"):
        return rule.route_for_task(name, args, kwargs)
    if callable(rule):
        return rule(name, args, kwargs, options, task=task)
    raise ImproperlyConfigured(
        f"task_routes holds a {type(rule).__name__}; use a dict of task names to queues, pairs, or a function."
    )


def _look_up(pairs: Iterable[tuple[Any, Any]], name: str) -> Any:
    pairs = list(pairs)
    for key, value in pairs:
        if key == name:
            return value
    for key, value in pairs:
        if isinstance(key, re.Pattern):
            if key.match(name):
                return value
        elif any(sign in key for sign in "*?[") and fnmatchcase(name, key):
            return value
    return None


_SPREADING: Final = ("topic", "fanout", "headers")


def _as_options(answer: Any, name: str) -> dict[str, Any]:
    if isinstance(answer, str) or hasattr(answer, "routing_key"):  # a name, or a Queue of Celery's kind
        return {"queue": check_queue(getattr(answer, "name", answer))}
    if not isinstance(answer, Mapping):
        raise ImproperlyConfigured(f"task_routes answers {answer!r} for {name}; it must be a queue's name or a dict.")
    made = dict(answer)
    if made.get("exchange_type") in _SPREADING:
        raise ImproperlyConfigured(
            f"task_routes asks for a {made['exchange_type']} exchange for {name}, which is not offered: a task goes to "
            "one queue. Give its name: {'queue': ...}."
        )
    if "queue" not in made and "routing_key" in made:
        made["queue"] = made["routing_key"]
    if made.get("queue") is not None:
        made["queue"] = check_queue(getattr(made["queue"], "name", made["queue"]))
    return made
