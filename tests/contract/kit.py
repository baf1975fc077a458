"""Builders that keep the tests of this folder short: messages, sessions and the passing of time."""

from __future__ import annotations

import itertools
from typing import Any

from smallage.core.message import Claim, Envelope, Message, Outcome, settlement
from smallage.stores.base import ClaimRequest, GroupBatch, Held, MemberResult, SessionInfo, Store, TaskView, Ticked
from smallage.testing import FakeClock

SECOND = 1_000_000
LEASE = 15 * SECOND


def uid(n: int) -> str:
    """The n-th canonical UUID."""
    return f"00000000-0000-4000-8000-{n:012x}"


def task(
    n: int | str, payload: bytes = b"work", *, group: str | None = None, index: int | None = None, **env: Any
) -> Message:
    """A message with the n-th id (or the id `n`); keywords go to its envelope."""
    env.setdefault("name", "add")
    return Message(n if isinstance(n, str) else uid(n), payload, Envelope(**env), group, index)


def seat(n: int | str, *, group: str | None = None, index: int | None = None, **env: Any) -> Message:
    """A seat with the n-th id, for a task of the name "last"."""
    env.setdefault("name", "last")
    return Message(n if isinstance(n, str) else uid(n), b"", Envelope(**env), group, index, waits=True)


class Session:
    """An announced session that claims with a fresh nonce each time."""

    def __init__(self, store: Store, name: str = "s1", **info: Any) -> None:
        self.store = store
        self.name = name
        self.info = SessionInfo(**info)
        self._numbers = itertools.count(1)
        store.announce(name, self.info)

    def nonce(self) -> str:
        return f"{self.name}-{next(self._numbers)}"

    def request(self, n: int = 1, *queues: str) -> ClaimRequest:
        return ClaimRequest(queues or ("celery",), n, self.nonce())

    def claim(self, n: int = 1, *queues: str) -> list[Claim]:
        return list(self.store.claim(self.name, self.request(n, *queues)).claims)

    def ids(self, n: int = 1, *queues: str) -> list[str]:
        """Claim, and say only which ids came."""
        return [claim.id for claim in self.claim(n, *queues)]

    def one(self, *queues: str) -> Claim:
        """The one task that is ready."""
        claims = self.claim(1, *queues)
        assert len(claims) == 1, "nothing was ready"
        return claims[0]

    def settle(self, claim: Claim, outcome: Outcome) -> str:
        (verdict,) = self.store.settle(self.name, [settlement(claim, outcome)]).verdicts
        return verdict

    def run(self, outcome: Outcome, *queues: str) -> Claim:
        """Claim one task and end it with `outcome`."""
        claim = self.one(*queues)
        assert self.settle(claim, outcome) == "ok"
        return claim

    def held(self) -> list[Held]:
        return sorted(self.store.held(self.name), key=lambda held: held.id)

    def tick(self) -> Ticked:
        return self.store.tick([self.name])


def view(store: Store, n: int | str) -> TaskView:
    """The task with the n-th id, which must be there."""
    (found,) = store.state([n if isinstance(n, str) else uid(n)])
    assert found is not None, f"no record of {n}"
    return found


def gone(store: Store, n: int | str) -> bool:
    return store.state([n if isinstance(n, str) else uid(n)]) == [None]


def live(store: Store, clock: FakeClock, seconds: float, *sessions: str, dead: tuple[str, ...] = ()) -> list[str]:
    """Let time pass in steps of at most 5 s, in which `sessions` renew their leases; returns what was taken back."""
    taken: list[str] = []
    left = round(seconds * SECOND)
    while left > 0:
        step = min(left, 5 * SECOND)
        clock.advance(us=step)
        left -= step
        taken += store.tick(list(sessions), dead).taken_back
    return taken


def like_group(
    store: Store, n: int = 100, rows: int = 3, *, seal: bool = True, body: Message | None = None, **env: Any
) -> str:
    """A group of `rows` like members; its id is the n-th. Rows are b"row-0", b"row-1", …"""
    group = uid(n)
    keep = {"keep_us": env["keep_us"]} if "keep_us" in env else {}
    batch = GroupBatch(
        id=group,
        template=task(0, b"template", **env),
        rows=tuple(b"row-%d" % i for i in range(rows)),
        seal=seal,
        body=body,
        **keep,
    )
    assert store.group_push(batch) == "ok"
    return group


def results(store: Store, group: str, offset: int = 0, n: int = 1_000) -> list[MemberResult]:
    return store.results(group, offset, n)
