"""The store's URL, as the settings about connections complete it."""

from __future__ import annotations

from typing import Any, Final

from smallage.core.errors import ImproperlyConfigured
from smallage.core.setting_types import TLS_OPTIONS

_SAFE: Final = {"redis": "rediss", "valkey": "valkeys"}
_SERVERS: Final = ("redis", "rediss", "valkey", "valkeys")


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
    """`url` with TLS and time-outs as `broker_use_ssl`, `broker_transport_options` and `redis_socket_…` want them;
    what the URL itself says goes before. Other stores than servers are left alone."""
    scheme, colon, _ = url.partition("://")
    if not colon or scheme.lower() not in _SERVERS:
        return url
    options = _timeouts(conf)
    tls = conf.broker_use_ssl
    if tls:
        url = f"{_SAFE.get(scheme.lower(), scheme)}{url[len(scheme) :]}"
        options |= {name: _plain(tls[name]) for name in sorted(TLS_OPTIONS) if isinstance(tls, dict) and name in tls}
    if not options:
        return url
    from urllib.parse import urlencode, urlsplit, urlunsplit  # slow to load, and few programs come here

    parts = urlsplit(url)
    missing = {name: value for name, value in options.items() if f"{name}=" not in parts.query}
    query = "&".join(text for text in (parts.query, urlencode(missing)) if text)
    return urlunsplit(parts._replace(query=query))


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
    """Where a URL points to, without secrets and options: to tell places apart and to show them."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    path = parts.path.rstrip("/") if parts.path.rstrip("/") != "/0" else ""
    return f"{parts.scheme}://{host}{f':{port}' if port and port != 6379 else ''}{path}"
