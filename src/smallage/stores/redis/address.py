"""Where a Redis or Valkey server is, read from a URL. Passwords stay in here: `shown` is what logs may see."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from smallage.core.errors import ImproperlyConfigured

_Number = TypeVar("_Number", int, float)

TLS_SCHEMES = frozenset({"rediss", "valkeys"})
UNIX_SCHEMES = frozenset({"unix", "redis+socket"})

_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_UNVERIFIED = frozenset({"none", "cert_none", "optional", "cert_optional"})


class Address(msgspec.Struct, frozen=True):
    """A server, and how to speak to it."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    """Unix socket; wins over host and port."""
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    verify: bool = True
    ca_certs: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    connect_seconds: float = 5.0
    read_seconds: float = 5.0
    """How long a reply may take beyond the time that the command itself waits."""
    allow_eviction: bool = False
    pin_epoch: bool = False

    def __repr__(self) -> str:
        return f"Address({self.shown})"

    @property
    def shown(self) -> str:
        """The address without secrets."""
        if self.path is not None:
            return f"unix://{self.path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"


def parse(url: str) -> Address:
    """Read redis://, rediss://, unix://, redis+socket://, valkey:// and valkeys:// URLs.

    Query: `db` (or `virtual_host`), `username`, `password`, `ssl_cert_reqs`, `ssl_ca_certs`, `ssl_certfile`,
    `ssl_keyfile`, `socket_timeout`, `socket_connect_timeout`, `allow_eviction`, `pin_epoch`. Raises
    ImproperlyConfigured, without repeating the URL, for anything else.
    """
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(
            "The Redis URL cannot be read; it looks like redis://user:password@host:6379/0 "
            "(write special characters of a password as %40, %2F and so on)."
        ) from None
    unix = parts.scheme in UNIX_SCHEMES
    path = unquote(parts.netloc.rpartition("@")[2] + parts.path) if unix else None
    if unix and not path:
        raise ImproperlyConfigured("The URL names no socket; it looks like unix:///run/redis/redis.sock?db=0.")
    database = query.pop("db", None) or query.pop("virtual_host", None)
    if database is None:
        database = "0" if unix else parts.path.strip("/") or "0"
    address = Address(
        host=unquote(parts.hostname or "localhost"),
        port=port or 6379,
        path=path,
        database=_number("database", database.strip("/") or "0", int),
        username=query.pop("username", None) or _decoded(parts.username),
        password=query.pop("password", None) or _decoded(parts.password),
        tls=parts.scheme in TLS_SCHEMES,
        verify=query.pop("ssl_cert_reqs", "required").lower() not in _UNVERIFIED,
        ca_certs=query.pop("ssl_ca_certs", None),
        certificate=query.pop("ssl_certfile", None),
        private_key=query.pop("ssl_keyfile", None),
        connect_seconds=_number("socket_connect_timeout", query.pop("socket_connect_timeout", "5"), float),
        read_seconds=_number("socket_timeout", query.pop("socket_timeout", "5"), float),
        allow_eviction=_switch("allow_eviction", query.pop("allow_eviction", "0")),
        pin_epoch=_switch("pin_epoch", query.pop("pin_epoch", "0")),
    )
    if query:
        raise ImproperlyConfigured(
            f"The Redis URL has options that Smallage does not know: {', '.join(sorted(query))}. Known are db, "
            "username, password, ssl_cert_reqs, ssl_ca_certs, ssl_certfile, ssl_keyfile, socket_timeout, "
            "socket_connect_timeout, allow_eviction and pin_epoch."
        )
    return address


def _decoded(text: str | None) -> str | None:
    return unquote(text) if text else None


def _number(name: str, text: str, kind: type[_Number]) -> _Number:
    try:
        value = kind(text)
    except ValueError:
        value = kind(-1)
    if value < 0:
        raise ImproperlyConfigured(f"The Redis URL's {name} must be a number of at least 0.")
    return value


def _switch(name: str, text: str) -> bool:
    try:
        return _SWITCHES[text.lower()]
    except KeyError:
        raise ImproperlyConfigured(f"The Redis URL's {name} must be 1 or 0.") from None
