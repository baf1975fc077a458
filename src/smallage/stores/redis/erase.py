"""Removing all that a namespace holds: for what was only ever meant to last a while, such as a demonstration."""

from __future__ import annotations

from smallage.stores.redis import open as open_store
from smallage.stores.redis.wire import Word

STEP = 1_000
"""Keys looked at in a step; the server does other work in between."""


def erase(url: str, namespace: str) -> int:
    """Remove every key of `namespace`, tasks and results and all, and return how many there were.

    No worker may be running in it. Raises StoreUnavailable when the server cannot be reached; what is left then goes
    at the next call.
    """
    if not namespace or set(namespace) & set("*?[]^\\"):
        raise ValueError(f"The namespace {namespace!r} cannot be told from a pattern; nothing was removed.")
    store = open_store(url, namespace=namespace)
    link = store._link
    gone = 0
    cursor: Word = b"0"
    try:
        while True:
            cursor, keys = link.command("SCAN", cursor, "MATCH", link.prefix + "*", "COUNT", STEP)
            if keys:
                gone += link.command("UNLINK", *keys)
            if cursor == b"0":
                return gone
    finally:
        store.close()
