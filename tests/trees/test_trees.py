"""A few random workflows on every store; `make trees` plays 10,000."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallage.testing import FakeClock
from tests.trees import making
from tests.trees.playing import opened
from tests.trees.proof import Tally, judge
from tests.trees.prove import Stores

FEW = settings(max_examples=60, suppress_health_check=list(HealthCheck))
FEWER = settings(max_examples=15, suppress_health_check=list(HealthCheck))
SEEDS = st.integers(0, 2**40)


@FEW
@given(making.trees(), SEEDS)
def test_trees_on_memory(tree: Any, seed: int) -> None:
    clock = FakeClock()
    judge(opened("memory://", clock), clock, tree, seed, Tally())


@FEWER
@given(making.trees(), SEEDS)
def test_trees_on_sqlite(tree: Any, seed: int) -> None:
    clock = FakeClock()
    with tempfile.TemporaryDirectory() as folder, Stores("sqlite", Path(folder), "").fresh(clock) as store:
        judge(store, clock, tree, seed, Tally())


@pytest.mark.redis
@FEWER
@given(tree=making.trees(), seed=SEEDS)
def test_trees_on_redis(tree: Any, seed: int, redis_server_url: str) -> None:
    clock = FakeClock()
    store = opened(redis_server_url, clock, namespace=f"tree{uuid4().hex}")
    try:
        judge(store, clock, tree, seed, Tally())
    finally:
        store.close()
