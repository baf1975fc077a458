"""Servers for the tests of the applications."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.examples import postgres_server
from tests.examples.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def postgres_server_of_the_session() -> Iterator[PostgresServer]:
    """One server for each xdist worker that has a test for it; most tests want `postgres_url`."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_server.private_server())
        except LookupError as missing:
            pytest.skip(str(missing))
        yield server


@pytest.fixture
def postgres_url(postgres_server_of_the_session: PostgresServer) -> str:
    """URL of an empty PostgreSQL database that no other test is using."""
    return postgres_server_of_the_session.new_database("test")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly how many tests had no server, or no browser, to run against."""
    for sign, missing in (("no PostgreSQL", postgres_server.MISSING), ("no Chromium", "no Chromium on the PATH")):
        skipped = [one for one in terminalreporter.stats.get("skipped", []) if sign in str(one.longrepr)]
        if skipped:
            terminalreporter.write_sep("!", f"{len(skipped)} tests did not run: {missing}", red=True, bold=True)
