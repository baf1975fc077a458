"""A URL becomes a store."""

from __future__ import annotations

from typing import Any, Protocol

from smallage.core.errors import ImproperlyConfigured
from smallage.stores.base.protocol import Store


class Opener(Protocol):
    def __call__(self, url: str, **options: Any) -> Store: ...


SCHEMES = {
    "memory": "memory",
    "sqlite": "sqlite",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "redis+socket": "redis",
    "valkey": "redis",
    "valkeys": "redis",
    "sentinel": "redis",
    "sentinels": "redis",
}


def open(url: str, **options: Any) -> Store:
    """Open the store at `url`; `setup()` is not called.

    Schemes: `memory://` (one process), `sqlite:///relative` or `sqlite:////absolute/path`, `redis://`, `rediss://`,
    `unix://path`, `sentinel://h1,h2/0?master_name=x`, and Celery's and Valkey's spellings of those. Options:
    `namespace` (default "smallage"), `clock` and `nonce` for tests, and what the store itself takes. Raises
    ImproperlyConfigured for anything else.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if not scheme:
        raise ImproperlyConfigured(
            "The store's URL names no scheme; write sqlite:///path/to/queue.db, redis://host:6379/0 or memory://."
        )
    kind = SCHEMES.get(scheme)
    if kind is None:
        raise ImproperlyConfigured(
            f"'{scheme}://' is not a store of Smallage. It keeps tasks in SQLite (sqlite:///path/to/queue.db), "
            "in Redis or Valkey (redis://, rediss://, unix://, redis+socket://, valkey://, sentinel://) or in memory "
            "(memory://)."
        )
    if kind == "memory":
        from smallage.stores import memory

        return memory.open(url, **options)
    if kind == "sqlite":
        from smallage.stores import sqlite

        return sqlite.open(url, **options)
    from smallage.stores import redis

    return redis.open(url, **options)
