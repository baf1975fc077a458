"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.bench import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An app on a memory store with a worker by hand."""
    made = Bench()
    yield made
    made.app.close()
