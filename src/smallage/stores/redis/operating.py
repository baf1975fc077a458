"""Verbs for operators. Each script does a bounded part, and is repeated while there is more."""

from __future__ import annotations

from collections.abc import Sequence

from smallage.stores.base import RevokeVerdict
from smallage.stores.redis.keys import encode_id
from smallage.stores.redis.sessions import Sessions

_REVOKED: dict[int, RevokeVerdict] = {
    ord("c"): "cancelled", ord("r"): "running", ord("e"): "ended", ord("u"): "unknown",
}  # fmt: skip
_PAGE = 200


class Operating(Sessions):
    """revoke, group_revoke, group_retry, requeue, forget, pause, resume, purge, unpark."""

    def revoke(self, ids: Sequence[str], terminate: bool = False) -> list[RevokeVerdict]:
        """See `Store.revoke`."""
        verdicts: list[RevokeVerdict] = []
        for page in _pages(ids):
            letters = self._link.run("revoke", 1 if terminate else 0, *page, repeat=False)
            verdicts += [_REVOKED[letter] for letter in letters]
        return verdicts

    def group_revoke(self, group: str, terminate: bool = False) -> int:
        """See `Store.group_revoke`."""
        n = place = 0
        while place >= 0:
            words = (encode_id(group), 1 if terminate else 0, place)
            ended, place = self._link.run("group_revoke", *words, repeat=False)
            n += ended
        return n

    def group_retry(self, group: str) -> int:
        """See `Store.group_retry`."""
        n, more = 0, True
        while more:
            revived, more = self._link.run("group_retry", encode_id(group), repeat=False)
            n += revived
        return n

    def requeue(self, ids: Sequence[str]) -> list[bool]:
        """See `Store.requeue`."""
        letters = b"".join([self._link.run("requeue", *page, repeat=False) for page in _pages(ids)])
        return [letter == ord("1") for letter in letters]

    def forget(self, ids: Sequence[str]) -> int:
        """See `Store.forget`."""
        return sum([self._link.run("forget", *page, repeat=False) for page in _pages(ids)])

    def pause(self, queue: str) -> None:
        """See `Store.pause`."""
        self._link.run("pause", queue, 1)

    def resume(self, queue: str) -> None:
        """See `Store.resume`."""
        self._link.run("pause", queue, 0)

    def purge(self, queue: str) -> int:
        """See `Store.purge`."""
        n = step = place = round_n = 0
        while step >= 0:
            purged, step, place, round_n = self._link.run("purge", queue, step, place, round_n, repeat=False)
            n += purged
        return n

    def unpark(self, name: str | None = None) -> int:
        """See `Store.unpark`."""
        return self._unpark(() if name is None else (name,))


def _pages(ids: Sequence[str]) -> list[list[bytes]]:
    raw = [encode_id(task_id) for task_id in ids]
    return [raw[start : start + _PAGE] for start in range(0, len(raw), _PAGE)]
