"""Files made by an older release are brought up to date, and only by `setup`."""

from __future__ import annotations

import os
from pathlib import Path

import apsw
import pytest

from smallage.core.errors import StoreRefused
from smallage.core.message import Done, settlement
from smallage.stores.base import ClaimRequest, LimitSpec, SessionInfo
from smallage.stores.sqlite import open as open_store
from smallage.stores.sqlite import schema
from smallage.stores.sqlite.connection import APPLICATION_ID

GROUP = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """A file of schema version 1 with a ready task, a scheduled one and a group of two like members."""
    path = tmp_path / "queue.db"
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = apsw.Connection(str(path))
    connection.execute(Path(__file__).with_name("schema_1.sql").read_text())
    connection.execute("insert into book (one, tok) values (1, 7)")
    connection.execute("insert into meta values ('epoch', 'abc')")
    new = (
        "insert into task (id, kind, state, queue, priority, pos, name, grp, due_us, pushed_us, keep_us, max_crashes, "
    )
    new += "max_lost, digest, payload) values (?, ?, ?, 'celery', 0, ?, 'add', ?, ?, 5, 60000000, 3, 10, x'00', ?)"
    connection.execute(new, ("first", 0, 2, 1, None, None, b"one"))
    connection.execute(new, ("later", 0, 1, 0, None, 1 << 61, b"two"))
    connection.execute(new, (None, 2, 2, 2, GROUP, None, None))
    connection.execute(
        "insert into grp (id, keep_us, opened_us, total, sealed) values (?, 60000000, 5, 2, 1)", (GROUP,)
    )
    connection.execute("insert into template values (1, 'add', 'celery', 0, null, null, 0, 3, 10, x'00', x'aa')")
    connection.execute("insert into grp_row values (1, 0, ?)", (b"\x92\xc4\x01a\xc4\x01b",))
    connection.execute(f"pragma application_id = {APPLICATION_ID}")
    connection.execute("pragma user_version = 1")
    connection.close()
    return path


def test_setup_brings_an_old_file_up_to_date(old_file: Path) -> None:
    store = open_store(f"sqlite:///{old_file}")
    store.setup()
    try:
        assert store.audit() == []
        store.announce("s1", SessionInfo())
        store.limit("task:other", LimitSpec(1))
        claims = store.claim("s1", ClaimRequest(("celery",), 9, "n1")).claims
        assert [(claim.id, claim.payload, claim.row) for claim in claims] == [
            ("first", b"one", None),
            (f"{GROUP}.0", b"\xaa", b"a"),
            (f"{GROUP}.1", b"\xaa", b"b"),
        ]
        store.settle("s1", [settlement(claim, Done()) for claim in claims])
        assert [task.id for task in store.find("scheduled")] == ["later"]
        assert store.audit() == []
    finally:
        store.close()


def test_a_migrated_file_has_the_tables_of_a_new_one(old_file: Path) -> None:
    store = open_store(f"sqlite:///{old_file}")
    store.setup()
    store.setup()
    store.close()
    connection = apsw.Connection(str(old_file))
    try:
        assert schema._parts(connection) == schema._ours()
        assert connection.pragma("user_version") == schema.VERSION
        assert connection.execute("select value from meta where key = 'epoch'").fetchone() == ("abc",)
    finally:
        connection.close()


def test_without_setup_an_old_file_is_refused(old_file: Path) -> None:
    store = open_store(f"sqlite:///{old_file}")
    with pytest.raises(StoreRefused, match=r"schema version 1.*call setup\(\)"):
        store.counts()
    store.close()


def test_a_file_of_a_newer_release_is_refused(old_file: Path) -> None:
    connection = apsw.Connection(str(old_file))
    connection.execute("pragma user_version = 9")
    connection.close()
    store = open_store(f"sqlite:///{old_file}")
    with pytest.raises(StoreRefused, match=r"schema version 9.*newer release"):
        store.setup()
    store.close()
