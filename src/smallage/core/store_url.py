"""The store's URL, as the settings about connections complete it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from smallage.core import sentinel_url
from smallage.core.errors import ImproperlyConfigured
from smallage.core.setting_types import TLS_OPTIONS

_SAFE: Final = {"redis": "rediss", "valkey": "valkeys"}
_SERVERS: Final = ("redis", "rediss", "valkey", "valkeys", "sentinel", "sentinels")
_SENTINEL_OPTIONS: Final = ("master_name", "min_other_sentinels", "sentinel_kwargs")
_TO_SENTINELS: Final = TLS_OPTIONS | {"username", "password", "ssl", "socket_timeout", "socket_connect_timeout"}
_NOT_OURS: Final = frozenset(
    {"client_name", "db", "decode_responses", "encoding", "encoding_errors", "health_check_interval"}
    | {"max_connections", "protocol", "retry", "retry_on_error", "retry_on_timeout", "socket_keepalive"}
    | {"socket_keepalive_options"}
)
"""What clients of other libraries want to know of a sentinel, and ours does not."""


def chosen(conf: Any) -> str | None:
    """The URL that `broker_url`, `broker_read_url` and `broker_write_url` agree on; None if none is given."""
    given = {conf.broker_url, conf.broker_read_url, conf.broker_write_url} - {None, ""}
    if len(given) > 1:
        raise ImproperlyConfigured(
            "broker_url, broker_read_url and broker_write_url name different places. There is one store: give "
            "broker_url alone."
        )
    return str(given.pop()) if given else None


def complete(url: str, conf: Any) -> str:
    """`url` with TLS, time-outs and sentinels as `broker_use_ssl`, `broker_transport_options` and `redis_socket_…` want
    them; what the URL itself says goes before. Other stores than servers are left alone. Raises ImproperlyConfigured
    for what cannot work."""
    scheme, colon, _ = url.partition("://")
    if not colon or scheme.lower() not in _SERVERS:
        return url
    options = _timeouts(conf)
    tls = conf.broker_use_ssl
    asks = sentinel_url.is_sentinel(url)
    if asks:
        url = url.rstrip("; ")
    if tls and asks:
        options["ssl"] = 1
    elif tls:
        url = f"{_SAFE.get(scheme.lower(), scheme)}{url[len(scheme) :]}"
    if isinstance(tls, dict):
        options |= {name: _plain(tls[name]) for name in sorted(TLS_OPTIONS) if name in tls}
    if asks:
        options |= _of_sentinels(conf)
    if not options:
        return url
    from urllib.parse import parse_qsl, urlencode  # slow to load, and few programs come here

    start, _, last = url.rpartition(";") if asks else ("", "", url)
    said = sentinel_url.read(url).options if asks else dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))
    missing = urlencode({name: value for name, value in options.items() if name not in said})
    joined = f"{last}{'&' if '?' in last else '?'}{missing}" if missing else last
    return f"{start};{joined}" if start else joined


def _of_sentinels(conf: Any) -> dict[str, Any]:
    """What `broker_transport_options` says of sentinels, as options of a URL."""
    given = conf.broker_transport_options
    for_results = conf.result_backend_transport_options
    wanted: dict[str, Any] = {}
    for name in _SENTINEL_OPTIONS:
        said = [options[name] for options in (given, for_results) if options.get(name) is not None]
        if len(said) > 1 and said[0] != said[1]:
            raise ImproperlyConfigured(
                f"broker_transport_options and result_backend_transport_options differ in {name}. There is one store: "
                "give it in broker_transport_options alone."
            )
        if said:
            wanted[name] = said[0]
    to_sentinels = wanted.pop("sentinel_kwargs", {})
    if not isinstance(to_sentinels, Mapping):
        raise ImproperlyConfigured("sentinel_kwargs must be a dict, such as {'password': …}.")
    for name, value in to_sentinels.items():
        if name not in _TO_SENTINELS | _NOT_OURS:
            raise ImproperlyConfigured(
                f"sentinel_kwargs has '{name}', which is not offered. Known are {', '.join(sorted(_TO_SENTINELS))}."
            )
        if name in _TO_SENTINELS and value not in (None, ""):
            wanted[f"sentinel_{name}"] = int(value) if isinstance(value, bool) else _plain(value)
    return wanted


def _timeouts(conf: Any) -> dict[str, Any]:
    transport = conf.broker_transport_options
    wanted = {
        "socket_timeout": transport.get("socket_timeout") or conf.redis_socket_timeout,
        "socket_connect_timeout": transport.get("socket_connect_timeout") or conf.redis_socket_connect_timeout,
    }
    return {name: value for name, value in wanted.items() if value}


def _plain(value: Any) -> str:
    """A value of the ssl module (CERT_NONE) by its name, others as text."""
    return str(getattr(value, "name", value))


def place(url: str) -> str:
    """Where a URL points to, without secrets and options: to tell places apart and to show them. Empty for what cannot
    be read, or has a login where none belongs."""
    from urllib.parse import urlsplit

    if "://" not in url:
        return ""

    try:
        if sentinel_url.is_sentinel(url):
            return sentinel_url.read(url).place
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except (ValueError, ImproperlyConfigured):
        return ""
    if "@" in parts.path and parts.scheme in _SERVERS:
        return ""
    path = parts.path.rstrip("/") if parts.path.rstrip("/") != "/0" else ""
    return f"{parts.scheme}://{host}{f':{port}' if port and port != 6379 else ''}{path}"
