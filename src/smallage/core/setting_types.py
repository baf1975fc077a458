"""What values the settings take: each function checks one and gives it in the form that the rest of the code reads.

They raise ImproperlyConfigured with the setting's name and never show what may hide a secret.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from smallage.core.errors import ImproperlyConfigured
from smallage.core.ids import check_queue
from smallage.core.options import Deferred, limit, priority, seconds_us
from smallage.core.sentinel_url import is_sentinel


def bad(name: str, value: Any, wanted: str) -> ImproperlyConfigured:
    """The error for a value of the wrong kind."""
    return ImproperlyConfigured(f"{name} must be {wanted}, not {_shown(value)}.")


def _shown(value: Any) -> str:
    """A value for an error text, without what it might hide: URLs and containers are named by type."""
    if isinstance(value, str) and "://" not in value and len(value) <= 60:
        return repr(value)
    if isinstance(value, (int, float)):
        return repr(value)
    return f"a {type(value).__name__}"


# -- plain values -------------------------------------------------------------------------------------------------
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")


def flag(name: str, value: Any) -> bool:
    if isinstance(value, bool) or value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in (*_YES, *_NO):
        return value.lower() in _YES
    raise bad(name, value, "true or false")


def flag_or_none(name: str, value: Any) -> bool | None:
    return None if value is None else flag(name, value)


def count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if type(value) is not int or not 0 <= value <= 2**53:
        raise bad(name, value, "a whole number from 0, or None")
    return value


def seconds(name: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    try:
        seconds_us(value, name)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(str(error)) from None
    return value


def time_limit(name: str, value: Any) -> float | None:
    try:
        return limit(value, name)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(str(error)) from None


def rank(name: str, value: Any) -> int | None:
    try:
        return None if value is None else priority(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise bad(name, value, "a string")
    return value


def texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = (value,)
    try:
        made = tuple(value or ())
    except TypeError:
        raise bad(name, value, "a list of strings") from None
    if not all(isinstance(one, str) for one in made):
        raise bad(name, value, "a list of strings")
    return made


def mapping(name: str, value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise bad(name, value, "a dict")
    return dict(value or {})


def rate(name: str, value: Any) -> Any:
    from smallage.core.declared import check_rate

    if value is not None:
        check_rate(name, value)
    return value


def zone(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (str, dt.tzinfo)):
        return value
    raise bad(name, value, "a zone's name such as 'Europe/Berlin'")


# -- queues -------------------------------------------------------------------------------------------------------
class QueueName(str):
    """A queue's name that answers to what its Queue or dict said: `.name`, `.routing_key`, `.exchange`, …"""

    given: Any

    @property
    def name(self) -> str:
        return str(self)

    def __getattr__(self, attribute: str) -> Any:
        given = self.__dict__.get("given")
        if isinstance(given, Mapping) and attribute in given:
            return given[attribute]
        if given is None or isinstance(given, (str, Mapping)) or attribute.startswith("__"):
            raise AttributeError(f"The queue '{self}' has no {attribute!r}; it was given by its name.")
        return getattr(given, attribute)


class Queues(tuple[QueueName, ...]):
    """Names of queues, and by which routing keys they are meant."""

    by_key: dict[str, str]
    """Routing key → queue."""


_NOT_DIRECT: Final = frozenset({"topic", "fanout", "headers"})


def direct(name: str, kind: Any) -> Any:
    """Refuse kinds of exchanges that spread or match messages."""
    if kind in _NOT_DIRECT:
        raise ImproperlyConfigured(
            f"{name}: exchanges of the kind '{kind}' are not offered. A queue is a name and a task goes to one queue: "
            "choose it by task_routes, a function if need be, and call a task for each queue to reach several."
        )
    return kind


def queue(name: str, value: Any) -> str:
    try:
        return check_queue(getattr(value, "name", value))
    except ImproperlyConfigured as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def queues(name: str, value: Any) -> Queues:
    """Names, Queue-like objects with a `name`, or a dict of names to options."""
    if value is None:
        value = ()
    if isinstance(value, str):
        value = (value,)
    if isinstance(value, Mapping):
        pairs = [(one, options or {}) for one, options in value.items()]
    else:
        pairs = [(getattr(one, "name", one), one) for one in value]
    for _, given in pairs:
        direct(name, _option(given, "exchange_type") or _option(_option(given, "exchange"), "type"))
    made = Queues(_named(queue(name, one), given) for one, given in pairs)
    made.by_key = {str(_option(one.given, "routing_key") or one): str(one) for one in made}
    return made


def _named(name: str, given: Any) -> QueueName:
    made = QueueName(name)
    made.given = given
    return made


def _option(given: Any, name: str) -> Any:
    return given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)


# -- rules --------------------------------------------------------------------------------------------------------
def routes(name: str, value: Any) -> Any:
    """Rules as they are, with a place to look up for those that are names ("module:function")."""
    if value is None:
        return None
    if isinstance(value, str):
        return Deferred(value)
    if isinstance(value, list):
        return [Deferred(one) if isinstance(one, str) else one for one in value]
    return value


def annotation_list(name: str, value: Any) -> Any:
    """A list of dicts and objects."""
    if value is None:
        return ()
    many = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(Deferred(one) if isinstance(one, str) else one for one in many)


# -- what travels -------------------------------------------------------------------------------------------------
_SERIALIZERS: Final = (None, "json", "msgpack", "application/json", "application/x-msgpack")


def serializer(name: str, value: Any) -> Any:
    for one in (value,) if isinstance(value, str) or value is None else value:
        if one not in _SERIALIZERS:
            raise ImproperlyConfigured(
                f"{name}: {one!r} is not offered. Smallage sends JSON types only, which cannot run code when they are "
                "read; use 'json' or 'msgpack'."
            )
    return value


def compression(name: str, value: Any) -> str | None:
    from smallage.core.compression import method

    try:
        method(value)
    except ImproperlyConfigured as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None
    return None if value is None else str(value)


def protocol(name: str, value: Any) -> int:
    if value != 2:
        raise bad(name, value, "2; messages of protocol 1 are not offered")
    return 2


# -- places -------------------------------------------------------------------------------------------------------
def url(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (list, tuple)) and value and all(map(_names_sentinel, value)):
        value = ";".join(value)
    if isinstance(value, (list, tuple)) or (isinstance(value, str) and ";" in value and not _names_sentinel(value)):
        raise ImproperlyConfigured(
            f"{name}: a list of servers to fail over to is not offered; there is one store. Name one server, or its "
            "sentinels: sentinel://h1:26379,h2:26379/0?master_name=mymaster."
        )
    if value is not None and not isinstance(value, str):
        raise bad(name, value, "a URL")
    return value


def _names_sentinel(value: Any) -> bool:
    return isinstance(value, str) and is_sentinel(value)


def tls(name: str, value: Any) -> Any:
    """True, or a dict with some of TLS_OPTIONS."""
    if value in (None, False) or value is True:
        return value
    if not isinstance(value, Mapping):
        raise bad(name, value, "True, or a dict such as {'ssl_ca_certs': '/path/ca.pem'}")
    unknown = sorted(set(map(str, value)) - TLS_OPTIONS)
    if unknown:
        raise ImproperlyConfigured(f"{name} knows {', '.join(sorted(TLS_OPTIONS))}, not {', '.join(unknown)}.")
    return dict(value)


TLS_OPTIONS: Final = frozenset({"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"})

BACKENDS: Final = frozenset(
    {"redis", "rediss", "valkey", "valkeys", "redis+socket", "unix", "sentinel", "sentinels"}
    | {"rpc", "cache+memory", "memory", "sqlite", "file"}
)
_NO_BACKEND: Final = frozenset({"", "disabled", "disabled://"})


def backend(name: str, value: Any) -> str | None:
    """The URL of a place that could hold results; they stay in the store."""
    if value is None or value in _NO_BACKEND or value in BACKENDS:
        return None if value is None else str(value)
    scheme = str(value).partition(":")[0]
    if scheme not in BACKENDS:
        said = f"'{scheme}'" if "://" in str(value) else "this"
        raise ImproperlyConfigured(
            f"{name}: {said} is not offered. Results live in the store that also holds the tasks; leave "
            "this setting out."
        )
    return str(value)


# -- the worker ---------------------------------------------------------------------------------------------------
_POOLS: Final = {
    "prefork": "processes",
    "processes": "processes",
    "solo": "solo",
    "threads": "threads",
    "gevent": "gevent",
    "asyncio": "asyncio",
    "auto": "auto",
}


def pool(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in _POOLS:
        raise bad(name, value, f"one of {', '.join(sorted(_POOLS))}")
    return _POOLS[value]


def concurrency(name: str, value: Any) -> Any:
    return value if value == "auto" else count(name, value)


_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def level(name: str, value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.upper() not in (*_LEVELS, "WARN", "FATAL"):
        raise bad(name, value, f"a level: {', '.join(_LEVELS)}")
    return value.upper()
