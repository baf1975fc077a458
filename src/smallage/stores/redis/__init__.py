"""The Redis and Valkey store. `keys.py` describes what is kept where; `lua/` holds one script per verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from smallage.stores.redis.address import parse
from smallage.stores.redis.store import RedisStore


def open(
    url: str,
    *,
    namespace: str = "smallage",
    clock: Callable[[], int] | None = None,
    nonce: Callable[[], str] | None = None,
    allow_eviction: bool | None = None,
    pin_epoch: bool | None = None,
    password: str | None = None,
    username: str | None = None,
) -> RedisStore:
    """The store at `url`; no connection is made yet. Raises ImproperlyConfigured for a URL that cannot work.

    `allow_eviction`: run on a server that throws keys away when its memory is full. `pin_epoch`: stop with StoreRefused
    when the store was emptied, instead of setting it up anew. `username` and `password` may be given here instead of in
    the URL. `clock` (µs) and `nonce` are for tests.
    """
    given: dict[str, Any] = {
        "allow_eviction": allow_eviction,
        "pin_epoch": pin_epoch,
        "password": password,
        "username": username,
    }
    address = msgspec.structs.replace(parse(url), **{name: value for name, value in given.items() if value is not None})
    return RedisStore(address, namespace=namespace, clock=clock, nonce=nonce)


__all__ = ["RedisStore", "open"]
