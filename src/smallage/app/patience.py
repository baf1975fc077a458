"""The part of an app that tries again while its store is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from smallage.app.stored import Stored
from smallage.core.errors import StoreUnavailable

R = TypeVar("R")

SLOW_S: Final = 10.0
"""So many seconds may be lost in attempts, beside the pauses between them; then there is no further one. A server that
refuses is told from one that never answers: whoever calls waits for seconds, not for minutes."""


class Patient(Stored):
    """Acts on the store that survive a short outage."""

    def patiently(
        self,
        act: Callable[[], R],
        retry: bool | None = None,
        policy: Mapping[str, Any] | None = None,
        failed: StoreUnavailable | None = None,
        began: float | None = None,
    ) -> R:
        """`act()`, tried again as `task_publish_retry_policy` says while it raises StoreUnavailable, but not after a
        server that took the time allowed for an answer. `failed` is the first attempt's error if it was made already,
        `began` (monotonic, seconds) when. Every act of a store may be repeated."""
        pauses = self._pauses(retry, policy)
        until = (time.monotonic() if began is None else began) + sum(pauses) + SLOW_S
        while True:
            if failed is not None:
                if not pauses or failed.waited or time.monotonic() >= until:
                    said = str(failed)
                    raise StoreUnavailable(
                        f"{said}{'' if said.endswith(('.', '?', '!')) else '.'} Check that it runs and that its URL is "
                        "right; repeat the call with the same task_id if the task must not be doubled."
                    ) from failed
                time.sleep(pauses.pop(0))
            try:
                return act()
            except StoreUnavailable as error:
                failed = error

    def _pauses(self, retry: bool | None, policy: Mapping[str, Any] | None) -> list[float]:
        """Seconds to wait before each further try."""
        if retry is False or (retry is None and not self.conf.task_publish_retry):
            return []
        rule = {**self.conf.task_publish_retry_policy, **(policy or {})}
        start, step, most = rule.get("interval_start", 0), rule.get("interval_step", 0.2), rule.get("interval_max", 1)
        times = rule.get("max_retries", 3)
        times = 100 if times is None else min(int(times), 100)
        return [float(min(start + step * turn, most)) for turn in range(times)]
