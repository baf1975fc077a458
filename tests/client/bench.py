"""An app on a memory store, and a worker of a few lines: claim, execute, settle."""

from __future__ import annotations

import asyncio
from typing import Any

from smallage import Smallage
from smallage.core.message import Claim, Outcome, settlement
from smallage.run import LocalContext, aexecute, execute, is_async
from smallage.stores import base
from smallage.testing import FakeClock

SESSION = "bench"


class Bench:
    """`app.store` is a memory store whose clock the test owns; `run()` plays the worker."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock()
        self.store = base.open("memory://", clock=self.clock)
        self.store.setup()
        self.app = Smallage("shop", set_as_current=False, **settings)
        self.app.use_store(self.store)
        self.worker = LocalContext("bench@here")
        self._turn = 0

    def claim(self, n: int = 1, *queues: str) -> list[Claim]:
        """Claims in hand, from the queue `celery` if no others are given."""
        names = tuple(self.app.tasks)
        self.store.announce(SESSION, base.SessionInfo(names=names, queues=queues or ("celery",)))
        self._turn += 1
        return list(self.store.claim(SESSION, base.ClaimRequest(queues or ("celery",), n, f"n{self._turn}")).claims)

    def execute(self, claim: Claim) -> Outcome:
        """Run a claim's body."""
        if is_async(self.app, claim):
            return asyncio.run(aexecute(self.app, claim, self.worker))
        return execute(self.app, claim, self.worker)

    def settle(self, claim: Claim, outcome: Outcome) -> str:
        """Settle a claim; the store's verdict."""
        return self.store.settle(SESSION, [settlement(claim, outcome)]).verdicts[0]

    def step(self, *queues: str) -> Outcome | None:
        """Claim, run and settle one task; None if there is none."""
        claims = self.claim(1, *queues)
        if not claims:
            return None
        outcome = self.execute(claims[0])
        assert self.settle(claims[0], outcome) == "ok"
        return outcome

    def run(self, *queues: str) -> list[Outcome]:
        """Step until nothing is ready."""
        outcomes = []
        while (outcome := self.step(*queues)) is not None:
            outcomes.append(outcome)
        return outcomes

    def later(self, seconds: float) -> None:
        """Let time pass and bring what is due to its queue."""
        self.clock.advance(seconds)
        self.store.tick([SESSION])
