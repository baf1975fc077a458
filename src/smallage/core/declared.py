"""Option values of a task's declaration: what cannot work is refused there, not when the task fails at night."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from smallage.core import options
from smallage.core.errors import ImproperlyConfigured
from smallage.core.ids import check_queue

_RATE_UNITS: Final = ("s", "m", "h")
SERIALIZERS: Final = (None, "json", "msgpack")


def check(values: Mapping[str, Any]) -> None:
    """Raise ImproperlyConfigured, ValueError or TypeError for an option whose value cannot work; the text names it."""
    for name, value in values.items():
        test = _TESTS.get(name)
        if test is not None and value is not None:
            test(name, value)
    for name in ("soft_time_limit", "time_limit"):
        options.limits(values.get(name), None)  # that they fit together is asked when the task is called
    _check_safety(values)


def serializer(name: str, value: Any) -> None:
    """JSON types are all that travels."""
    if value not in SERIALIZERS:
        raise ImproperlyConfigured(f"{name} {value!r} is not offered; use 'json' or 'msgpack'.")


def _check_safety(values: Mapping[str, Any]) -> None:
    ack, late = values.get("ack"), values.get("acks_late")
    mode = options.ack_mode(ack, late)
    if ack is not None and late is not None and mode != options.ack_mode(None, late):
        raise ImproperlyConfigured(f"ack={ack!r} and acks_late={late!r} contradict each other; leave one of them out.")
    if mode == "early":
        for name in ("max_crashes", "max_lost"):
            if values.get(name):
                raise ImproperlyConfigured(
                    f"{name}={values[name]} cannot be kept with an early acknowledgement, which never runs a task "
                    "twice; leave one of them out."
                )


def _wrong(name: str, value: Any, wanted: str) -> Exception:
    shown = repr(value)
    return ImproperlyConfigured(f"{name} must be {wanted}, not {shown if len(shown) <= 60 else shown[:60] + '…'}.")


def _flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise _wrong(name, value, "True, False or None")


def _count(name: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value <= options.MAX_RETRIES:
        raise _wrong(name, value, f"a whole number from 0 to {options.MAX_RETRIES}")


def _seconds(name: str, value: Any) -> None:
    options.seconds_us(value, name)


def _number(name: str, value: Any) -> None:
    if not isinstance(value, (int, float)) or not isfinite(value) or value < 0:
        raise _wrong(name, value, "True, False or a number of seconds from 0")


def _exceptions(name: str, value: Any) -> None:
    classes = value if isinstance(value, (tuple, list, set, frozenset)) else (None,)
    if not all(isinstance(one, type) and issubclass(one, BaseException) for one in classes):
        raise _wrong(name, value, "a tuple of exception classes, such as (ConnectionError,)")


def check_rate(name: str, value: Any) -> None:
    """Raise ImproperlyConfigured for what is no rate limit."""
    number, slash, unit = str(value).partition("/")
    try:
        fits = float(number) >= 0 and isfinite(float(number)) and (not slash or unit in _RATE_UNITS)
    except ValueError:
        fits = False
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or not fits:
        raise _wrong(name, value, "a number of tasks a second, or text such as '10/m' (s, m or h)")


def _compression(name: str, value: Any) -> None:
    from smallage.core.compression import method

    method(value)


def _retry_kwargs(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(name, value, "a dict, such as {'max_retries': 5}")
    options.check_names(value, ("max_retries", "countdown"), name)
    options.retry_limit(value.get("max_retries"), f"max_retries in {name}")
    if value.get("countdown") is not None:
        options.seconds_us(value["countdown"], f"countdown in {name}")


_TESTS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "queue": lambda name, value: check_queue(getattr(value, "name", value)),
    "priority": lambda name, value: options.priority(value),
    "expires": _seconds,
    "ignore_result": _flag,
    "serializer": serializer,
    "compression": _compression,
    "max_retries": lambda name, value: options.retry_limit(value),
    "default_retry_delay": _seconds,
    "autoretry_for": _exceptions,
    "dont_autoretry_for": _exceptions,
    "retry_backoff": _number,
    "retry_backoff_max": _number,
    "retry_jitter": _flag,
    "retry_kwargs": _retry_kwargs,
    "throws": _exceptions,
    "acks_late": _flag,
    "reject_on_worker_lost": _flag,
    "max_crashes": _count,
    "max_lost": _count,
    "rate_limit": check_rate,
    "track_started": _flag,
}
CHECKED: Final = (*_TESTS, "ack", "soft_time_limit", "time_limit")
"""Names of the options that `check` knows."""
