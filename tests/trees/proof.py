"""One tree, played and judged."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from smallage.core.states import TERMINAL
from smallage.groups import GroupResult
from smallage.stores.base import Store
from smallage.testing import FakeClock
from tests.trees import making
from tests.trees.playing import Play
from tests.trees.reference import value_of


@dataclass
class Tally:
    """What the trees of a run were like."""

    trees: int = 0
    nested: int = 0
    """Trees in which chains, groups or chords stand two deep or more."""
    crashed: int = 0
    """Runs in which a crash took effect."""
    crashes: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    depths: Counter[int] = field(default_factory=Counter)

    def __str__(self) -> str:
        share = 100 / max(1, self.trees)
        return (
            f"{self.trees} trees, {self.nested * share:.0f} % nested two deep or more, {self.crashed * share:.0f} % "
            f"with crashes that took effect ({self.crashes} crashes); depths {dict(sorted(self.depths.items()))}; "
            f"leaves {dict(self.kinds.most_common())}; ends {dict(self.ends.most_common())}"
        )


def judge(store: Store, clock: FakeClock, tree: Any, seed: int, tally: Tally) -> None:
    """Play a tree on a store that nobody else uses, and compare. Raises AssertionError for any difference."""
    rng = random.Random(seed)
    play = Play(store, clock, rng, fear=0.4 if seed % 7 != 1 else 0.0)
    for _, name, kind in making.leaves(tree):
        if kind == "revoke":
            store.revoke([making.chosen_id(seed, name)])
    result = making.signature_of(play.app, tree, seed).apply_async()
    play.run()
    ran: Counter[str] = Counter()
    expected = _of(tree, ran)
    found = _found(result, tree[0] == "group")
    assert found == expected, f"{tree}\n found    {found}\n expected {expected}"
    assert play.ran == ran, f"{tree}\n done     {play.ran - ran} too often, {ran - play.ran} too seldom"
    assert store.audit() == []
    open_tasks = {queue: states for queue, states in store.counts().items() if queue}
    assert not any(any(states.values()) for states in open_tasks.values()), open_tasks
    tally.trees += 1
    tally.nested += making.depth(tree) >= 2
    tally.crashed += play.crashes > 0
    tally.crashes += play.crashes
    tally.depths[making.depth(tree)] += 1
    tally.kinds.update(kind for _, _, kind in making.leaves(tree))
    tally.ends[expected[0] if isinstance(expected, tuple) else "group"] += 1


def _of(tree: Any, ran: Counter[str]) -> Any:
    """The expected end; of a group, that of each member."""
    return [value_of(member, [], ran) for member in tree[1]] if tree[0] == "group" else value_of(tree, [], ran)


def _found(result: Any, each: bool) -> Any:
    """The end as the handle tells it; of a group that of each member, or (what ends in a group) all as one."""
    if not isinstance(result, GroupResult):
        return _one(result)
    if result.app.store.group(result.id) is None:  # what stands before it has not ended well
        before = result.parent
        while isinstance(before, GroupResult) and before.app.store.group(before.id) is None:
            before = before.parent
        return ("FAILURE",) if isinstance(before, GroupResult) else _one(before)
    ends = [_one(member) for member in result.results]
    if each:
        return ends
    if any(end[0] not in ("SUCCESS", "IGNORED") for end in ends):
        return ("FAILURE",)
    return ("SUCCESS", [end[1] if end[0] == "SUCCESS" else None for end in ends])


def _one(result: Any) -> Any:
    view = result.app.store.state([result.id])[0]
    assert view is not None, f"{result.id} is not there"
    assert view.state in TERMINAL, f"{result.id} has not ended: {view}"
    state = result.state
    return (state, result.result) if state == "SUCCESS" else (state,)
