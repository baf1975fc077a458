"""Verbs for the limits of keys."""

from __future__ import annotations

from collections.abc import Sequence

from smallage.stores.base import LimitSpec, LimitView
from smallage.stores.redis.partition import Partition
from smallage.stores.redis.wire import Word

_TASK = "task:"


class Limiting(Partition):
    """limit and limits."""

    def limit(self, key: str, spec: LimitSpec | None, default: bool = False) -> None:
        """See `Store.limit`."""
        words: list[Word] = [key, "d" if default else "o"]
        words.append("" if spec is None else f"{spec.tokens} {spec.per_us} {spec.burst}")
        words += (1, key.removeprefix(_TASK)) if key.startswith(_TASK) else (0,)
        self._link.run("limit", *words)

    def limits(self, keys: Sequence[str] | None = None) -> dict[str, LimitView]:
        """See `Store.limits`."""
        if keys is not None and not keys:
            return {}
        flat = self._link.run("limits", *(keys or ()))
        views = [
            LimitView(flat[i].decode(), _spec(flat[i + 1]), _spec(flat[i + 2]), int(flat[i + 3] or 0))
            for i in range(0, len(flat), 4)
        ]
        return {view.key: view for view in (views if keys is not None else sorted(views, key=lambda view: view.key))}


def _spec(raw: bytes | None) -> LimitSpec | None:
    return None if not raw else LimitSpec(*map(int, raw.split()))
