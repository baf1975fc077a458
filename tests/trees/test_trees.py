"""A few random workflows on every store; `make trees` plays 10,000."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallage.testing import FakeClock
from tests.trees import making
from tests.trees.playing import opened
from tests.trees.proof import Tally, judge

FEW = settings(max_examples=60, suppress_health_check=list(HealthCheck))
SEEDS = st.integers(0, 2**40)


@FEW
@given(making.trees(), SEEDS)
def test_trees_on_memory(tree: Any, seed: int) -> None:
    clock = FakeClock()
    judge(opened("memory://", clock), clock, tree, seed, Tally())
