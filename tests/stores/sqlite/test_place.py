"""Where the file may be, and whose it must be."""

from __future__ import annotations

import gc
import os
import stat
from pathlib import Path
from typing import cast

import apsw
import pytest

from smallage.core.errors import ImproperlyConfigured, StoreRefused
from smallage.stores.sqlite import connection as connection_module
from smallage.stores.sqlite import open as open_store
from smallage.stores.sqlite import place
from smallage.stores.sqlite.connection import APPLICATION_ID, _check_header, check_version
from smallage.stores.sqlite.store import SqliteStore
from tests.contract.kit import task, uid


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def refusal(path: Path) -> str:
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(StoreRefused) as caught:
        store.setup()
    store.close()
    return str(caught.value)


def test_file_and_folders_are_for_the_owner_only(store: SqliteStore, path: Path) -> None:
    store.push([task(1)])
    assert mode(path.parent) == 0o700
    assert [mode(each) for each in (path, place.wal_of(path), place.shm_of(path))] == [0o600] * 3
    assert mode(place.runtime_of(path)) == 0o700


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///folder/",
        "sqlite:///a.db?x=1",
        "sqlite:///per%cent.db",
    ],
)
def test_urls_that_name_no_file(url: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        open_store(url)


def test_relative_and_absolute_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place.path_of("sqlite:///a/q.db", "smallage") == tmp_path.resolve() / "a" / "q.db"
    assert place.path_of("sqlite:////var/x%20y/q.db", "smallage") == Path("/var/x y/q.db")


@pytest.mark.parametrize(
    "folder", ["with space", "wie schön €", "q?", "ha#sh", "100%", "a%20b", "a;b", "new\nline", "a&b=1"]
)
def test_a_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    from urllib.parse import quote

    store = open_store(f"sqlite:///{quote(str(tmp_path / folder / 'q.db'))}")
    store.setup()
    store.push([task(1)])
    store.close()
    assert (tmp_path / folder / "q.db").exists()


def test_a_namespace_has_a_file_of_its_own(path: Path) -> None:
    mine, theirs = open_store(f"sqlite:///{path}"), open_store(f"sqlite:///{path}", namespace="tests")
    for each in (mine, theirs):
        each.setup()
    mine.push([task(1)])
    assert theirs.state([uid(1)]) == [None]
    assert theirs.path != mine.path
    mine.close()
    theirs.close()
    with pytest.raises(ImproperlyConfigured):
        open_store(f"sqlite:///{path}", namespace="../other")


def test_without_setup_the_text_says_what_to_do(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    path.parent.mkdir(mode=0o700)
    with pytest.raises(StoreRefused, match="setup"):
        store.counts()


def test_a_link_is_refused(store: SqliteStore, path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    assert "link" in refusal(link)


def test_a_dangling_link_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.symlink_to(path.with_name("elsewhere.db"))
    refusal(path)
    assert not path.with_name("elsewhere.db").exists()


def test_a_hard_link_is_refused(store: SqliteStore, path: Path) -> None:
    store.close()
    os.link(path, path.with_name("other.db"))
    assert "hard link" in refusal(path)


def test_a_linked_folder_is_fine(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    store.push([task(1)])
    (tmp_path / "way").symlink_to(path.parent)
    other = open_store(f"sqlite:///{tmp_path}/way/queue.db")
    assert [view is not None for view in other.state([uid(1)])] == [True]
    other.close()


def test_a_file_that_others_may_read_is_refused(store: SqliteStore, path: Path) -> None:
    store.close()
    path.chmod(0o644)
    assert "chmod 600" in refusal(path)


def test_a_folder_that_others_may_write_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o777)
    assert "chmod go-w" in refusal(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_refused(store: SqliteStore, path: Path) -> None:
    store.close()
    os.chown(path, 12345, 12345)
    assert "belongs to" in refusal(path)


def test_a_runtime_folder_that_others_may_enter_is_refused(store: SqliteStore, path: Path) -> None:
    store.close()
    place.runtime_of(path).chmod(0o755)
    assert "chmod 700" in refusal(path)


def test_a_foreign_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    foreign = apsw.Connection(str(path))
    foreign.execute("create table mine (a)")
    foreign.close()
    path.chmod(0o600)
    before = path.read_bytes()
    assert "another program" in refusal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "planted",
    [
        "create trigger evil after insert on task begin delete from task; end",
        "create view evil as select 1",
        "create table extra (a)",
        "alter table task add column extra text",
        "drop index ready",
    ],
)
def test_a_changed_schema_is_refused(store: SqliteStore, path: Path, planted: str) -> None:
    store.close()
    other = apsw.Connection(str(path))
    other.execute(planted)
    other.close()
    assert "changed by another program" in refusal(path)


def test_garbage_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"not a database at all" * 1000)
    path.chmod(0o600)
    refusal(path)


MOUNTS = """\
21 1 8:1 / / rw,relatime - ext4 /dev/root rw
30 21 0:40 / /home rw - nfs4 server:/home rw
31 30 0:41 / /home/local rw - xfs /dev/b rw
32 21 0:42 / /mnt/with\\040space rw,relatime shared:5 - cifs //x/y rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/var/lib", "ext4"), ("/home", "nfs4"), ("/home/me", "nfs4"), ("/home/local/q", "xfs"), ("/homely", "ext4"),
     ("/mnt/with space/x", "cifs")],
)  # fmt: skip
def test_filesystems_are_told_apart(folder: str, kind: str) -> None:
    assert place.filesystem_of(Path(folder), MOUNTS) == kind


def test_network_filesystems_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_mounts", lambda: "30 21 0:40 / / rw - nfs4 server:/home rw")
    assert "nfs4" in refusal(path)


@pytest.mark.parametrize("version", ["3.40.1", "3.50.4", "3.51.2"])
def test_an_sqlite_that_may_lose_commits_is_refused(version: str) -> None:
    with pytest.raises(StoreRefused, match="pip install"):
        check_version(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.53.0", "4.0.0"])
def test_a_sound_sqlite_is_taken(version: str) -> None:
    check_version(version)


# -- while running ----------------------------------------------------------------------------------------------------


@pytest.fixture
def always_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smallage.stores.sqlite.opened.CHECK_S", 0.0)


@pytest.mark.usefixtures("always_checked")
@pytest.mark.parametrize("harm", ["replaced", "removed", "linked", "log removed", "log replaced"])
def test_a_file_that_changes_under_us_stops_everything(store: SqliteStore, path: Path, harm: str) -> None:
    store.push([task(1)])
    wal = place.wal_of(path)
    match harm:
        case "replaced":
            path.with_name("copy").write_bytes(path.read_bytes())
            os.rename(path.with_name("copy"), path)
        case "removed":
            path.unlink()
        case "linked":
            os.link(path, path.with_name("copy"))
        case "log removed":
            wal.unlink()
        case "log replaced":
            os.rename(wal, path.with_name("kept"))
            wal.touch(0o600)
    for _ in range(2):
        with pytest.raises(StoreRefused):
            store.push([task(2)])
        with pytest.raises(StoreRefused):
            store.state([uid(1)])


@pytest.mark.parametrize("harm", ["replaced", "removed"])
def test_no_task_is_accepted_into_a_file_that_is_gone(store: SqliteStore, path: Path, harm: str) -> None:
    """Not even in the second between two looks."""
    store.push([task(1)])
    if harm == "removed":
        path.unlink()
    else:
        path.with_name("copy").write_bytes(path.read_bytes())
        os.rename(path.with_name("copy"), path)
    for n in (2, 3):
        with pytest.raises(StoreRefused, match="put the right file back"):
            store.push([task(n)])


@pytest.mark.usefixtures("always_checked")
def test_closing_and_opening_again_is_no_harm(store: SqliteStore, path: Path) -> None:
    other = open_store(f"sqlite:///{path}")
    store.push([task(1)])
    store.close()
    other.push([task(2)])
    other.close()
    assert store.push([task(3)]) == ["ok"]
    assert [view is not None for view in store.state([uid(n) for n in (1, 2, 3)])] == [True] * 3


def test_a_store_that_nobody_closed_leaves_no_descriptor(path: Path) -> None:
    def use() -> None:
        dropped = open_store(f"sqlite:///{path}")
        dropped.setup()
        dropped.push([task(1)])
        assert dropped.state([uid(1)]) != [None]

    use()
    gc.collect()
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        use()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_every_connection_is_opened_with_care(store: SqliteStore) -> None:
    for connection in (store._connect(), store._connect()):
        pragmas = {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "trusted_schema": 0,
            "cell_size_check": 1,
            "mmap_size": 0,
        }
        assert {name: connection.pragma(name) for name in pragmas} == pragmas
        options = (
            apsw.SQLITE_DBCONFIG_DEFENSIVE,
            apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
            apsw.SQLITE_DBCONFIG_ENABLE_QPSG,
        )
        assert [connection.config(option, -1) for option in options] == [1, 1, 1]
        assert connection.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, -1) == 0
        connection.close()


def test_a_file_whose_tables_another_process_is_making_is_not_foreign(tmp_path: Path) -> None:
    class Connection:
        """Its tables are committed, with the id, right behind the first look."""

        made = False

        def pragma(self, name: str) -> int:
            value = {"application_id": APPLICATION_ID, "schema_version": 1}[name] if self.made else 0
            self.made = True
            return value

    _check_header(cast(apsw.Connection, Connection()), tmp_path / "queue.db")


@pytest.mark.parametrize("lock", ["begin", "begin immediate"])
def test_two_processes_that_make_one_file_wait_for_each_other(
    lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite asks no busy handler while a file is switched to the write-ahead log."""
    path = tmp_path / "queue.db"
    place.make_file(path)
    other = apsw.Connection(str(path))
    other.execute(lock)
    other.execute("select * from sqlite_schema").fetchall()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            other.execute("rollback")

    monkeypatch.setattr(connection_module, "_sleep", wait)
    made = open_store(f"sqlite:///{path}")
    made.setup()
    assert made.audit() == []
    assert len(waits) >= 3
    made.close()
    other.close()
