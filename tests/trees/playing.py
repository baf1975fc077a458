"""A worker of a few lines that dies at any moment, driven by a random source that the test owns."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from smallage import Smallage, chord
from smallage.core import codec
from smallage.core.errors import Ignore
from smallage.core.message import Claim, Done, Failed, Outcome, settlement
from smallage.run import LocalContext, execute
from smallage.stores import base
from smallage.stores.base import ClaimRequest, SessionInfo, Store
from smallage.testing import FakeClock
from smallage.testing.faulty import Call, FaultyStore

MOST_STEPS = 4_000
MOST_LOSSES = 8
"""Deaths that one task is made to survive; its budget is 10."""


class Died(BaseException):
    """The worker is gone in the middle of what it did."""


def leaf(self: Any, *given: Any, name: str, kind: str) -> Any:
    """The one task of all trees."""
    self.play.entered = True
    if kind == "kill":
        raise SystemExit  # the worker goes down with it
    if kind == "fail":
        raise ValueError(name)
    if kind == "ignore":
        raise Ignore
    if kind == "retry" and self.request.retries == 0:
        raise self.retry(countdown=1)
    if kind == "replace":
        tasks = self.app.tasks
        inner = [tasks["leaf"].s(*given, name=f"{name}.{place}", kind="ok") for place in range(2)]
        return self.replace(chord(inner, tasks["leaf"].s(name=name + ".z", kind="ok"), app=self.app))
    return [name, *given]


class Play:
    """One app on one store, and its worker."""

    def __init__(self, store: Store, clock: FakeClock, rng: random.Random, fear: float) -> None:
        self.store, self.clock, self.rng, self.fear = FaultyStore(store), clock, rng, fear
        self.app = Smallage("trees", set_as_current=False)
        self.app.use_store(self.store)
        self.app.task(name="leaf", bind=True, max_retries=5, default_retry_delay=1, play=self)(leaf)
        self.entered = False
        """The last execution came to a body."""
        self.worker = LocalContext("trees@here", rng=random.Random(1))
        self.ran: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.crashes = 0
        """Deaths that took a started task along, and replies that were lost."""
        self.turn = 0
        self.session = ""
        self._new_session()

    def _new_session(self) -> None:
        self.turn += 1
        self.session = f"s{self.turn}-{self.rng.getrandbits(40):x}"
        self.store.announce(self.session, SessionInfo(queues=("celery",), names=tuple(self.app.tasks)))

    def run(self) -> None:
        """Work until nothing is ready or scheduled; what the failures of tasks have to say is not shown."""
        logger = logging.getLogger("smallage")
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        try:
            self._run()
        finally:
            logger.setLevel(level)

    def _run(self) -> None:
        for _ in range(MOST_STEPS):
            self.turn += 1
            self.clock.advance(0.01)
            request = ClaimRequest(("celery",), self.rng.randint(1, 3), f"n{self.turn}")
            claimed = self.store.claim(self.session, request)
            if claimed.claims:
                self._work(claimed.claims)
            elif claimed.next_due_us is not None:
                self.clock.advance(max(0.0, (claimed.next_due_us - self.clock()) / 1e6) + 0.001)
            elif not self.store.listen(self.session, ("celery",), 0):
                return
        raise AssertionError(f"the workflow does not end: {self.store.counts()}")

    def _work(self, claims: tuple[Claim, ...]) -> None:
        for place, claim in enumerate(claims):
            mortal = all(self.losses[one.id] < MOST_LOSSES for one in claims[place:])
            if mortal and self.rng.random() < self.fear:
                self._die(claim, claims[place:])
                return
            self._settle(claim, self._execute(claim))

    def _execute(self, claim: Claim) -> Outcome:
        self.entered = False
        return execute(self.app, claim, self.worker)

    def _name(self, claim: Claim) -> str:
        _, kwargs, _ = codec.decode_payload(claim.payload)
        if claim.row is not None:
            kwargs = {**kwargs, **codec.decode_row(claim.row)[1]}
        return str(kwargs["name"])

    def _settle(self, claim: Claim, outcome: Outcome) -> None:
        ends = settlement(claim, outcome)
        verdict = self.store.settle(self.session, [ends]).verdicts[0]
        if verdict == "ok":
            self._count(claim, outcome)
        if self.rng.random() < self.fear:  # the reply was lost: the same again
            again = self.store.settle(self.session, [ends]).verdicts[0]
            assert again == ("dup" if verdict == "ok" else "stale"), (again, outcome)

    def _count(self, claim: Claim, outcome: Outcome) -> None:
        if self.entered and isinstance(outcome, (Done, Failed)):
            self.ran[self._name(claim)] += 1

    def _die(self, claim: Claim, held: tuple[Claim, ...]) -> None:
        """Die before the body, at some verb inside it, or after it with the outcome in hand, which comes too late."""
        self.crashes += 1
        self.losses.update(one.id for one in held)
        late: Outcome | None = None
        if self.rng.random() < 0.8:
            with self._death_at(self.rng.randint(1, 6)):
                try:
                    late = self._execute(claim)
                except Died:
                    late = None
        gone = self.session
        self._new_session()
        self.store.tick([self.session], dead=[gone])
        if late is not None:
            assert self.store.settle(gone, [settlement(claim, late)]).verdicts[0] == "stale"

    @contextmanager
    def _death_at(self, nth: int) -> Iterator[None]:
        """Have the worker die at its `nth` call of the store, before or after it took effect."""
        left = nth
        before = self.rng.random() < 0.5

        def count(call: Call, *answer: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Died

        hooks = self.store.before if before else self.store.after
        hooks.append(count)
        try:
            yield
        finally:
            hooks.remove(count)


def opened(url: str, clock: FakeClock, **options: Any) -> Store:
    """An empty store that lives by this clock."""
    store = base.open(url, clock=clock, **options)
    store.setup()
    return store
