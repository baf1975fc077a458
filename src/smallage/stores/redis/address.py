"""Where a Redis or Valkey server is, read from a URL. Passwords stay in here: `shown` is what logs may see."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from smallage.core import sentinel_url
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
    check_hostname: bool = True
    """The certificate must be for the name or number by which the server is called."""
    ca_certs: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    connect_seconds: float = 5.0
    read_seconds: float = 5.0
    """How long a reply may take beyond the time that the command itself waits."""
    allow_eviction: bool = False
    pin_epoch: bool = False
    sentinels: tuple[tuple[str, int], ...] = ()
    """Who is asked where the server is; then host and port here mean nothing."""
    master: str = ""
    """What the sentinels call the server."""
    min_other_sentinels: int = 0
    ask: Address | None = None
    """How a sentinel is spoken to; its host and port are of `sentinels`."""
    is_sentinel: bool = False

    def __repr__(self) -> str:
        return f"Address({self.shown})"

    @property
    def shown(self) -> str:
        """The address without secrets."""
        if self.path is not None:
            return f"unix://{self.path}?db={self.database}"
        if self.sentinels:
            return self._sentinels_shown()
        place = _joined(self.host, self.port)
        if self.is_sentinel:
            return f"sentinel {place}"
        return f"{'rediss' if self.tls else 'redis'}://{place}/{self.database}"

    def _sentinels_shown(self) -> str:
        asked_safely = self.ask is not None and self.ask.tls
        scheme = "sentinels" if self.tls and asked_safely else "sentinel"
        more = "" if self.tls == asked_safely else "&ssl=1" if self.tls else "&sentinel_ssl=1"
        places = ",".join([_joined(host, port) for host, port in self.sentinels])
        return f"{scheme}://{places}/{self.database}?master_name={self.master}{more}"


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(url: str) -> Address:
    """Read redis://, rediss://, unix://, redis+socket://, valkey://, valkeys://, sentinel:// and sentinels:// URLs.

    Query: `db` (or `virtual_host`), `username`, `password`, `ssl_cert_reqs`, `ssl_ca_certs`, `ssl_certfile`,
    `ssl_keyfile`, `ssl_check_hostname`, `socket_timeout`, `socket_connect_timeout`, `allow_eviction`, `pin_epoch`; with
    sentinels also `master_name`, `min_other_sentinels`, `ssl`, and for the talk with the sentinels `sentinel_` before
    `username`, `password`, `ssl`, `ssl_…` and `socket_…`. Raises ImproperlyConfigured, without repeating the URL, for
    anything else.
    """
    if sentinel_url.is_sentinel(url):
        return _parse_sentinels(url)
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
    address = Address(
        host=unquote(parts.hostname or "localhost"),
        port=port or 6379,
        path=path,
        tls=parts.scheme in TLS_SCHEMES,
        **_store_options(
            query, None if unix else parts.path.strip("/"), _decoded(parts.username), _decoded(parts.password)
        ),
        **_line_options(query),
    )
    _refuse_unknown(query, "")
    return address


def _parse_sentinels(url: str) -> Address:
    said = sentinel_url.read(url)
    query = dict(said.options)
    safe = said.scheme == "sentinels"
    master = query.pop("master_name", "")
    if not master:
        raise ImproperlyConfigured(
            "A sentinel URL needs the name of the master that the sentinels watch: add ?master_name=mymaster to it, or "
            "set broker_transport_options = {'master_name': 'mymaster'}. A sentinel tells its names when asked: "
            "redis-cli -p 26379 SENTINEL MASTERS."
        )
    prefixed = [name for name in query if name.startswith("sentinel_")]
    own = {name.removeprefix("sentinel_"): query.pop(name) for name in prefixed}
    if safe:
        own = {name: value for name, value in query.items() if name.startswith("ssl_")} | own
    own = {"socket_timeout": "1", "socket_connect_timeout": "1", **own}
    ask = Address(
        is_sentinel=True,
        username=own.pop("username", None) or None,
        password=own.pop("password", None) or None,
        tls=_switch("sentinel_ssl", own.pop("ssl", "1" if safe else "0")),
        **_line_options(own),
    )
    address = Address(
        sentinels=said.hosts,
        master=master,
        min_other_sentinels=_number("min_other_sentinels", query.pop("min_other_sentinels", "0"), int),
        ask=ask,
        tls=_switch("ssl", query.pop("ssl", "1" if safe else "0")),
        **_store_options(query, said.database, said.username, said.password),
        **_line_options(query),
    )
    _refuse_unknown(
        query | {f"sentinel_{name}": "" for name in own}, ", master_name, min_other_sentinels, ssl, and with sentinel_ "
        "before them username, password, ssl and its options, socket_timeout and socket_connect_timeout",
    )  # fmt: skip
    return address


def _store_options(
    query: dict[str, str], database: str | None, username: str | None, password: str | None
) -> dict[str, Any]:
    """What the servers want, taken out of `query`; the others are what the rest of the URL says."""
    number = query.pop("db", None) or query.pop("virtual_host", None) or database or "0"
    return {
        "database": _number("database", number.strip("/") or "0", int),
        "username": query.pop("username", None) or username,
        "password": query.pop("password", None) or password,
        "allow_eviction": _switch("allow_eviction", query.pop("allow_eviction", "0")),
        "pin_epoch": _switch("pin_epoch", query.pop("pin_epoch", "0")),
    }


def _line_options(query: dict[str, str]) -> dict[str, Any]:
    """How to speak, taken out of `query`."""
    return {
        "verify": query.pop("ssl_cert_reqs", "required").lower() not in _UNVERIFIED,
        "check_hostname": _switch("ssl_check_hostname", query.pop("ssl_check_hostname", "1")),
        "ca_certs": query.pop("ssl_ca_certs", None),
        "certificate": query.pop("ssl_certfile", None),
        "private_key": query.pop("ssl_keyfile", None),
        "connect_seconds": _number("socket_connect_timeout", query.pop("socket_connect_timeout", "5"), float),
        "read_seconds": _number("socket_timeout", query.pop("socket_timeout", "5"), float),
    }


def _refuse_unknown(query: dict[str, str], more: str) -> None:
    if query:
        raise ImproperlyConfigured(
            f"The Redis URL has options that Smallage does not know: {', '.join(sorted(query))}. Known are db, "
            "username, password, ssl_cert_reqs, ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_check_hostname, "
            f"socket_timeout, socket_connect_timeout, allow_eviction and pin_epoch{more}."
        )


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
