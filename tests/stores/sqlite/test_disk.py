"""What a full disk does: growing verbs are refused whole, and work goes on once there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from smallage import Smallage
from smallage.core.errors import StoreError, StoreFull, StoreRefused, StoreUnavailable
from smallage.core.message import Done
from smallage.stores.sqlite import open as open_store
from smallage.stores.sqlite import opened as opened_module
from smallage.stores.sqlite.store import SqliteStore
from tests.contract.kit import Session, task, uid


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    point = tmp_path / "disk"
    point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(point)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


@pytest.fixture
def full_store(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    monkeypatch.setattr(opened_module, "CHECK_S", 0.0)
    opened = open_store(f"sqlite:///{small_disk}/queue.db")
    opened.setup()
    yield opened
    opened.close()


def test_a_full_disk_refuses_new_tasks_and_lets_old_ones_end(full_store: SqliteStore) -> None:
    accepted = 0
    with pytest.raises(StoreFull):
        while True:
            full_store.push([task(accepted + i, b"x" * 10_000) for i in range(10)])
            accepted += 10
    assert full_store.state([uid(accepted + i) for i in range(10)]) == [None] * 10
    with pytest.raises(StoreFull):
        Session(full_store)  # announcing grows, so it is refused too
    assert full_store.revoke([uid(0)]) == ["cancelled"]
    assert full_store.audit() == []
    assert full_store.counts()["celery"]["ready"] == accepted - 1


def test_with_no_byte_left_nothing_is_half_done(
    full_store: SqliteStore, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened_module, "RESERVE", 0)
    worker = Session(full_store)
    full_store.push([task(n, b"x" * 1000) for n in range(20)])
    claims = worker.claim(10)
    (small_disk / "ballast").write_bytes(b"")
    with pytest.raises(OSError, match="No space"), (small_disk / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 4096)
    with pytest.raises(StoreFull):
        for n in range(100):
            full_store.push([task(1000 + n * 50 + i, b"x" * 1000) for i in range(50)])
    refused = 0
    for claim in claims:
        try:
            worker.settle(claim, Done(b"y" * 5000))
        except StoreUnavailable:
            refused += 1
    assert refused > 0
    (small_disk / "ballast").unlink()
    for claim in claims:
        assert worker.settle(claim, Done(b"y" * 5000)) in ("ok", "dup")
    assert full_store.push([task(9999)]) == ["ok"]
    assert full_store.audit() == []
    assert full_store.counts()[""]["done"] == 10


def test_a_disk_turned_read_only_is_unavailable(full_store: SqliteStore, small_disk: Path) -> None:
    full_store.push([task(1)])
    full_store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        with pytest.raises(StoreError):
            full_store.push([task(2)])
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert full_store.push([task(2)]) == ["ok"]


def test_an_error_of_the_disk_is_said_plainly(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise apsw.IOError("disk I/O error")

    monkeypatch.setattr("smallage.stores.sqlite.push.insert", fails)
    with pytest.raises(StoreUnavailable, match="failed"):
        store.push([task(1)])
    monkeypatch.undo()
    assert store.push([task(1)]) == ["ok"]


@pytest.mark.parametrize("place", ["full/queue.db", "full/new.db", "missing/new.db"])
def test_a_disk_that_is_read_only_from_the_start_is_refused_at_once(
    place: str, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (small_disk / "full").mkdir(mode=0o700)
    made = open_store(f"sqlite:///{small_disk}/full/queue.db")
    made.setup()
    made.close()
    slept: list[float] = []
    monkeypatch.setattr("smallage.app.patience.time.sleep", slept.append)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    app = Smallage("shop", broker=f"sqlite:///{small_disk}/{place}", set_as_current=False)
    try:
        with pytest.raises(StoreRefused, match=r"cannot be written.*make it writable"):
            app.task(name="add", typing=False)(lambda: 1).delay()
    finally:
        app.close()
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert slept == []
