"""The web application for tests, with databases of its own and no workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.examples.video_analysis.site import Site


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """`open_site(minutes_quota=3, …)`: the application with these settings."""
    opened: list[Site] = []

    def start(**settings: object) -> Site:
        opened.append(Site.open(tmp_path / f"site-{len(opened)}", **settings))
        return opened[-1]

    yield start
    for site in opened:
        site.close()


@pytest.fixture
def site(open_site: Callable[..., Site]) -> Site:
    """The application as it comes, except for cheap hashes of passwords."""
    return open_site()
