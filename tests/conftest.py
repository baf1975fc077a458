"""Fixtures and settings for every test."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings

from smallage.app import current
from tests import redis_server
from tests.redis_server import RedisServer
from tests.sentinel_servers import Watched

# No test asserts on time, Hypothesis's own deadline included; the seeds of a failing run are printed.
settings.register_profile("smallage", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("smallage")

# A shell's background jobs ignore Ctrl-C, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


SHARING = ("tests.contrib", "tests.testing", "tests.as_celery")
"""Tests of what shares tasks, in modules that do so when they are imported."""


@pytest.fixture(autouse=True)
def shared_tasks_of_others_are_away(request: pytest.FixtureRequest) -> Iterator[None]:
    """Shared tasks belong to every app of a process, and so to those of other tests."""
    module = getattr(request.node.getparent(pytest.Module), "module", None)
    if module is None or module.__name__.startswith(SHARING):
        yield
        return
    before = list(current._shared)
    current._shared.clear()
    yield
    current._shared[:] = before


def _missing_server() -> None:
    """Skip at home, fail in CI: a green run there must have talked to a server."""
    if os.environ.get("CI"):
        pytest.fail(redis_server.MISSING)
    pytest.skip(redis_server.MISSING)


def _worker_number() -> int:
    name = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return int(name.removeprefix("gw"))


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """URL of this xdist worker's server, as earlier tests left it; most tests want `redis_url`."""
    if url := os.environ.get(redis_server.TEST_URL):
        with redis_server.borrowed_database(url, _worker_number()) as own:
            yield own
        return
    if redis_server.find_binary() is None:
        _missing_server()
    with redis_server.private_server() as server:
        yield server.url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """URL of an empty Redis or Valkey database that no other test is using."""
    with contextlib.closing(redis.Redis.from_url(redis_server_url)) as client:
        client.flushdb()
    return redis_server_url


@pytest.fixture
def start_redis() -> Iterator[Callable[..., RedisServer]]:
    """`start_redis(appendonly="yes", …)` starts a server of the test's own, to be killed, filled up and restarted."""
    with contextlib.ExitStack() as stack:

        def start(**options: str) -> RedisServer:
            if redis_server.find_binary() is None:
                _missing_server()
            named = {name.replace("_", "-"): value for name, value in options.items()}
            return stack.enter_context(redis_server.private_server(named))

        yield start


@pytest.fixture
def start_watched() -> Iterator[Callable[..., Watched]]:
    """`start_watched(sentinels=3, password="x")` starts a master, its replica and the sentinels that watch them."""
    with contextlib.ExitStack() as stack:

        def start(**how: Any) -> Watched:
            binary = redis_server.find_binary()
            if binary is None:
                _missing_server()
                raise AssertionError("unreachable")
            return Watched(binary, stack, **how)

        yield start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly how many tests had no server to run against."""
    skipped = sum(redis_server.MISSING in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_sep("!", f"{skipped} tests did not run: {redis_server.MISSING}", red=True, bold=True)
