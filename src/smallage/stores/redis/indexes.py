"""The entries of the indexes, page by page, for readers that look for tasks in a state."""

from __future__ import annotations

from collections.abc import Iterator

from smallage.core.states import State
from smallage.stores.redis.link import Link
from smallage.stores.redis.wire import Word

_PAGE = 500


class Indexes:
    """Where tasks of a state are listed. Entries may be out of date: whoever reads them looks at the records."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._prefix = link.prefix

    def entries(self, state: State, after: bytes | None = None) -> Iterator[bytes]:
        """Ids in the index of `state`, those after `after` in its order."""
        if state in ("dead", "scheduled", "waiting"):
            key = {"dead": "x", "scheduled": "d", "waiting": "w"}[state]
            return self._sorted_set(f"{self._prefix}{key}", after)
        return _following(self._listed(state), after)

    def queues(self) -> list[str]:
        """Names of all queues that were ever used."""
        return ["celery", *[name.decode() for name in self._ask("HKEYS", "qn")]]

    def _ask(self, verb: str, key: str, *words: Word) -> list[bytes]:
        reply: list[bytes] = self._link.command(verb, f"{self._prefix}{key}", *words)
        return reply

    def _sorted_set(self, key: str, after: bytes | None) -> Iterator[bytes]:
        start = 0
        if after is not None:
            rank = self._link.command("ZRANK", key, after)
            start = 0 if rank is None else rank + 1
        while page := self._link.command("ZRANGE", key, start, start + _PAGE - 1):
            yield from (entry for entry in page if not is_group(entry) and not is_key(entry))
            start += len(page)

    def _listed(self, state: State) -> Iterator[bytes]:
        if state == "running":
            for session in self._ask("ZRANGE", "l", 0, -1):
                yield from sorted(self._ask("SMEMBERS", f"s:{session.decode()}"))
        elif state == "ready":
            for queue in self.queues():
                bits = self._link.command("HGET", f"{self._prefix}q:{queue}", "m")
                for priority in range(10):
                    if priority == 0 or int(bits or 0) >> priority & 1:
                        yield from self._list(f"r:{queue}:{priority}")
                for line in self._ask("ZRANGE", f"hq:{queue}", 0, -1):
                    yield from self._list(f"hb:{queue}:{line.decode()}")
        elif state == "parked":
            for name in sorted(self._ask("SMEMBERS", "pn")):
                yield from self._list(f"pn:{name.decode()}")
        else:
            yield from self._list("ts")
            for minute in self._ask("ZRANGE", "f", 0, -1):
                yield from self._list(f"f:{minute.decode()}")
            yield from self._list("f:keep")
            for group in sorted(self._ask("SMEMBERS", "gu")):
                yield from self._members(group)
            for group in sorted(self._ask("SMEMBERS", "gl")):
                yield from self._link.command("HVALS", f"{self._prefix}g:".encode() + group + b":l")

    def _members(self, group: bytes) -> Iterator[bytes]:
        """Unlike members, place by place; those of chunk 0, 1 and so on until there is no further chunk."""
        start = f"{self._prefix}g:".encode() + group + b":a:"
        chunk = 0
        while page := self._link.command("HGETALL", start + b"%d" % chunk):
            yield from (raw for _, raw in sorted(zip(map(int, page[::2]), page[1::2], strict=True)))
            chunk += 1

    def _list(self, key: str) -> Iterator[bytes]:
        start = 0
        while page := self._ask("LRANGE", key, start, start + _PAGE - 1):
            yield from (entry for entry in page if not is_group(entry))
            start += len(page)
            if len(page) < _PAGE:
                return


def is_group(entry: bytes) -> bool:
    """True for a group's entry among task ids."""
    return len(entry) == 17 and entry[:1] == b"g"


def is_key(entry: bytes) -> bool:
    """True for the entry of a limited key in the scheduled order."""
    return entry[:1] == b"%" and len(entry) != 16


def _following(entries: Iterator[bytes], after: bytes | None) -> Iterator[bytes]:
    """Each entry where it stands first: old ones may be listed twice, and a reader that pages must come to an end."""
    seen: set[bytes] = set()
    begun = after is None
    for entry in entries:
        if entry in seen:
            continue
        seen.add(entry)
        if begun:
            yield entry
        elif entry == after:
            begun = True
