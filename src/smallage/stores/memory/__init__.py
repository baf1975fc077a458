"""The memory store: the readable reference that the other stores are compared with. One process, one lock."""

from __future__ import annotations

from typing import Any

from smallage.stores.memory.store import MemoryStore

_shared: dict[str, MemoryStore] = {}


def open(url: str, *, shared: bool = True, **options: Any) -> MemoryStore:
    """The store of this process for `url`: `memory://` and `memory://name` are different ones.

    With `shared=False`, or with a test's own `clock` or `nonce`, a new store that nobody else sees.
    """
    if not shared or options:
        return MemoryStore(url, **options)
    if url not in _shared:
        _shared[url] = MemoryStore(url)
    return _shared[url]
