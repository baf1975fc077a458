"""The tests' own PostgreSQL: there when it is asked for, empty for each test, gone afterwards."""

from __future__ import annotations

import os

import psycopg
import pytest

from tests.examples import postgres_server


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_database(postgres_url: str, turn: int) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        connection.execute("CREATE TABLE things (id int)")


def test_nothing_stays_behind() -> None:
    try:
        server = postgres_server.PostgresServer().start()
    except LookupError as missing:
        pytest.skip(str(missing))
    assert server._process is not None
    pid = server._process.pid
    server.remove()
    assert not server.folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
