"""`add_to_chord` with a worker that dies on the way: the chord ends, with the addition or without it."""

from __future__ import annotations

from typing import Any

import pytest

from smallage import chain, chord, group
from smallage.core.message import Crashed
from smallage.core.states import TERMINAL
from smallage.testing import FaultyStore
from smallage.testing.faulty import Call
from tests.client.bench import Bench


class Death(BaseException):
    """The process is gone."""


class Adder:
    """A chord of two, whose first member adds another and dies of it."""

    def __init__(self, bench: Bench, addition: str) -> None:
        app = bench.app
        self.bench, self.store = bench, FaultyStore(bench.store)
        app.use_store(self.store)
        add = app.task(name="add")(lambda *values: sum(values))
        total = app.task(name="total")(sum)
        additions = {
            "task": lambda: add.si(1, 1),
            "chain": lambda: chain(add.si(1, 1), add.s(1), add.s(1)),
            "group": lambda: chain(group(add.si(1, 1), add.si(2, 2)), total.s()),
            "chord": lambda: chain(add.si(1, 1), chord([add.s(1), chain(add.s(2), add.s(3))], total.s())),
        }

        @app.task(name="more", bind=True, max_crashes=0)
        def more(self: Any) -> int:
            self.add_to_chord(additions[addition]())
            return 0

        self.handle = chord([more.s(), add.si(5)])(total.s())

    def die_at(self, nth: int, after: bool) -> bool:
        """Run the first member into its death at its `nth` act that writes; True if it came so far."""
        fault = self.store.fail(_writes, nth=nth, after=after, error=Death)
        (claim,) = self.bench.claim()
        assert claim.name == "more"
        outcome = self.bench.execute(claim)
        self.store.heal()
        self.bench.settle(claim, Crashed() if fault.hits else outcome)
        return fault.hits > 0


def _writes(call: Call) -> bool:
    return call.verb in ("push", "group_push")


@pytest.mark.parametrize("after", [False, True], ids=["before the act", "after the act"])
@pytest.mark.parametrize("addition", ["task", "chain", "group", "chord"])
def test_a_death_on_the_way_lets_nobody_wait(addition: str, after: bool) -> None:
    for nth in range(1, 9):
        adder = Adder(Bench(), addition)
        died = adder.die_at(nth, after)
        adder.bench.run()
        view = adder.bench.store.group(adder.handle.parent.id)
        assert view is not None
        assert view.ended_us, f"after death {nth} the chord waits for ever: {view}"
        (body,) = adder.bench.store.state([adder.handle.id])
        assert body is not None
        assert body.state in TERMINAL
        assert view.total == (3 if after or not died or nth > 1 else 2)
        counts = adder.bench.store.counts()
        assert not any(sum(states.values()) for queue, states in counts.items() if queue), counts
        if not died:
            assert nth > 1
            assert adder.handle.get(timeout=0) == 5 + {"task": 2, "chain": 4, "group": 6, "chord": 3 + 7}[addition]
            return
    pytest.fail("there was no end to its acts")


def test_what_does_not_fit_is_said_at_once(bench: Bench) -> None:
    adder = bench.app.task(name="two")(lambda a, b: a + b)
    total = bench.app.task(name="total")(sum)
    said: list[str] = []

    @bench.app.task(name="more", bind=True)
    def more(self: Any) -> int:
        for wrong in (adder.s(1) | total.s(), chain(group(adder.s(1, 2), adder.s(1)), total.s())):
            try:
                self.add_to_chord(wrong)
            except TypeError as error:
                said.append(str(error))
        return 1

    handle = chord([more.s()])(total.s())
    bench.run()
    assert len(said) == 2
    assert handle.get(timeout=0) == 1
    assert handle.parent.total == 1
