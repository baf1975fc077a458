"""URLs that name sentinels: Celery's, where each has a URL of its own, and ours, where one URL lists them all."""

from __future__ import annotations

import msgspec

from smallage.core.errors import ImproperlyConfigured

SCHEMES = frozenset({"sentinel", "sentinels"})
"""`sentinels` asks for TLS, to the sentinels and to the servers."""
PORT = 26379


class SentinelUrl(msgspec.Struct, frozen=True):
    """What such a URL says. User, password and database are the servers'; what the sentinels want is in `options`."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None
    database: str | None
    options: dict[str, str]

    def __repr__(self) -> str:
        return f"SentinelUrl({self.place})"

    @property
    def place(self) -> str:
        """The sentinels and the database, in one spelling whatever their order; without secrets."""
        hosts = ",".join(sorted({f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts}))
        return f"{self.scheme}://{hosts}/{self.database or 0}"


def is_sentinel(url: str) -> bool:
    """True if sentinels are to be asked for the server."""
    return url.partition("://")[0].lower() in SCHEMES


def read(url: str) -> SentinelUrl:
    """Read `sentinel://:pw@h1:26379/0;sentinel://h2:26379` (the later ones may leave `sentinel://` out) or
    `sentinel://:pw@h1:26379,h2:26379/0?master_name=x`. Raises ImproperlyConfigured, without repeating the URL."""
    scheme = url.partition("://")[0].lower()
    parts = [_part(chunk.strip(), scheme) for chunk in url.split(";") if chunk.strip()]
    options: dict[str, str] = {}
    for name in {name for part in parts for name in part.options}:
        value = _agreed(name, [part.options.get(name) for part in parts])
        if value is not None:
            options[name] = value
    return SentinelUrl(
        scheme=scheme,
        hosts=tuple(dict.fromkeys(place for part in parts for place in part.hosts)),
        username=_agreed("user", [part.username for part in parts]),
        password=_agreed("password", [part.password for part in parts]),
        database=_agreed("database", [part.database for part in parts]),
        options=options,
    )


def _part(text: str, scheme: str) -> SentinelUrl:
    from urllib.parse import parse_qsl, unquote, urlsplit  # slow to load, and few programs come here

    if "://" not in text:
        text = f"{scheme}://{text}"
    try:
        parts = urlsplit(text)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        login, _, places = parts.netloc.rpartition("@")
        hosts = tuple([_host(place) for place in (places or "localhost").split(",") if place])
    except ValueError:
        raise ImproperlyConfigured(
            "The sentinel URL cannot be read; it looks like sentinel://user:password@h1:26379,h2:26379/0?master_name="
            "mymaster (write special characters of a password as %40, %2F and so on)."
        ) from None
    if parts.scheme != scheme:
        raise ImproperlyConfigured(f"A list that begins with {scheme}:// names sentinels only, all as {scheme}://.")
    if "@" in login:
        raise ImproperlyConfigured(
            "A sentinel URL has user and password once, before the first host: sentinel://user:password@h1,h2/0. "
            "Write an @ in a password as %40."
        )
    user, _, password = login.partition(":")
    return SentinelUrl(
        scheme=scheme, hosts=hosts, username=unquote(user) or None, password=unquote(password) or None,
        database=parts.path.strip("/") or None, options=options,
    )  # fmt: skip


def _host(place: str) -> tuple[str, int]:
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(f"//{place}")
    return unquote(parts.hostname or "localhost"), parts.port or PORT


def _agreed(what: str, values: list[str | None]) -> str | None:
    """What all that say something say."""
    said = set(values) - {None}
    if len(said) > 1:
        raise ImproperlyConfigured(
            f"The parts of the sentinel URL differ in {what}. They name sentinels of one master."
        )
    return said.pop() if said else None
