"""The store under test, three times over, and the clock that it lives by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smallage.stores import base
from smallage.stores.base import Store
from smallage.testing import FakeClock
from tests.contract.kit import Session

KINDS = ("memory", "sqlite", "redis")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def url_of(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store of this kind is; skips, counted at the end of the run, when there is no Redis server."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'queue.db'}"
    if kind == "redis":
        return str(request.getfixturevalue("redis_url"))
    return "memory://"


@pytest.fixture(params=[pytest.param(kind, marks=[pytest.mark.redis] * (kind == "redis")) for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> str:
    """Which store the test runs over."""
    return str(request.param)


@pytest.fixture
def store(kind: str, request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> Iterator[Store]:
    """An empty store. Whatever a test does to it, its audit finds nothing wrong afterwards."""
    opened = base.open(url_of(kind, request, tmp_path), clock=clock)
    opened.setup()
    try:
        yield opened
        assert opened.audit() == []
    finally:
        opened.close()


@pytest.fixture
def worker(store: Store) -> Session:
    """An announced session, "s1"."""
    return Session(store)
