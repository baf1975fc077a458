"""How often tasks of a name may start.

* Limits. A key with a limit hands out tokens by the generic cell rate rule on store time: with T = per_us / tokens
  (rounded up) and `tat` the key's theoretical arrival time (0 at first), the key has a token from its *instant*,
  tat - (burst - 1) * T, on; taking one sets tat = max(tat, now - slack) + T with slack = min(T // 2, 20,000 µs), which
  lets lateness of a wake-up not add up. A tat more than burst * T ahead (the clock went back) is cut to that when a
  claim asks for a token. A task of name N is under the key `"task:" + N`; follow-ups are under none. Every edge into
  running pays, retries and re-runs too; expiry is looked at first, and what expires pays nothing.
  When a claim meets a ready entry (a task, or a group's cursor) whose key has no token, the entry leaves the ready
  order and goes to the end of the *held back* line of that key, queue and priority; the claim goes on to the next
  entry. Held back tasks stay in state ready for every reader and verb. A claim that tries a queue takes, at each
  priority, first from the held back lines, keys in order of name, each as long as its key has tokens (a key without a
  limit always has), and only then from the ready line. A cursor stays first in its held back line until its rows are
  given out. A claim that has held back `MAX_HELD_BACK` entries stops and answers `next_due_us` = now.
  A key with held back entries comes due at its instant, like a scheduled task (it counts for `next_due_us`): whenever
  an entry is held back, a token is taken while some are, or a claim asks in vain for one for its held back lines, and
  by `limit`. When it is due, the bells of the queues with such entries ring (without a limit: once for each entry),
  nothing moves, and the key leaves the due order. When the last held back entry goes, however that happens, the key
  leaves the due order too. Held back entries whose key has no token do not count when a claim asks if a queue is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from smallage.core.message import MAX_INT


class LimitSpec(msgspec.Struct, frozen=True):
    """How fast claims of a key may follow one another: `tokens` in `per_us` microseconds, `burst` of them at once after
    a pause. `tokens` 0: no limit (an operator's, over a default). Raises ValueError for what is no rate."""

    tokens: int
    per_us: int = 1_000_000
    burst: int = 1

    def __post_init__(self) -> None:
        if self.tokens < 0 or self.per_us < 1 or self.burst < 1 or self.burst * self.every_us > MAX_INT // 4:
            raise ValueError("a limit takes tokens >= 0, per_us >= 1, burst >= 1, and burst * per_us below 2**51")

    @property
    def every_us(self) -> int:
        """T: the time from one token to the next, 0 without a limit."""
        return -(-self.per_us // self.tokens) if self.tokens else 0


class LimitView(msgspec.Struct, frozen=True):
    """A key's limits: the code's default and the operator's, which wins."""

    key: str
    default: LimitSpec | None = None
    override: LimitSpec | None = None
    held_back: int = 0
    """Entries that wait for a token; a group's cursor is one."""

    @property
    def effective(self) -> LimitSpec | None:
        """The limit that counts, None if there is none."""
        spec = self.override if self.override is not None else self.default
        return spec if spec is not None and spec.tokens > 0 else None


class Limiting(Protocol):
    """The verbs of limits."""

    def limit(self, key: str, spec: LimitSpec | None, default: bool = False) -> None:
        """Set the limit of a key, the operator's, or with `default` the code's; None removes it. Takes effect at once,
        for tasks that wait already too: the bells of queues with held back entries ring, and the key comes due at its
        new instant (without a limit: now). The token time that was reached stays, cut to `burst` new T from now, so
        that repeating a limit gives nobody a free token; a key with neither limit forgets it."""

    def limits(self, keys: Sequence[str] | None = None) -> dict[str, LimitView]:
        """The limits of these keys, or all; keys without any are left out."""
