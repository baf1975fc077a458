"""Creates the tables of an empty database and compares those of an existing one with ours."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

import apsw

from smallage.core.errors import StoreRefused
from smallage.stores.sqlite.connection import APPLICATION_ID

VERSION: Final = 2
_INDEXES_OF: Final = "select name from sqlite_schema where type = 'index' and sql is not null and tbl_name = ?"
_SPACE: Final = re.compile(r"(?:\s|--[^\n]*\n)+")
_MARK: Final = re.compile(r" ?([(),]) ?")


@cache
def _text() -> str:
    return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


def _parts(connection: apsw.Connection) -> set[tuple[str, str, str]]:
    rows = connection.execute("select type, name, coalesce(sql, '') from sqlite_schema where name not like 'sqlite_%'")
    return {(str(kind), str(name), _plain(str(sql))) for kind, name, sql in rows}


def _plain(sql: str) -> str:
    """A definition without comments and needless spaces, as an added column has neither."""
    return _MARK.sub(r"\1", _SPACE.sub(" ", sql))


@cache
def _ours() -> frozenset[tuple[str, str, str]]:
    connection = apsw.Connection("")
    try:
        connection.execute(_text())
        return frozenset(_parts(connection))
    finally:
        connection.close()


def create_or_check(connection: apsw.Connection, path: Path, epoch: str) -> None:
    """In an open write transaction: make the tables if the database is empty, else compare them, after bringing those
    of an older release up to date."""
    if connection.pragma("schema_version") == 0:
        connection.execute(_text())
        connection.execute("insert into book (one) values (1)")
        connection.execute("insert into meta values ('epoch', ?)", (epoch,))
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute(f"pragma user_version = {VERSION}")
    elif connection.pragma("user_version") == 1:
        _from_1(connection)
    check(connection, path)


def _from_1(connection: apsw.Connection) -> None:
    """Version 1 had no seats, follow-ups, limits or schedules; its `schedule`, `spec` and `follow` were never used."""
    connection.execute("alter table task rename to task_1")
    for table in ("task_1", "schedule", "spec", "follow"):
        for (index,) in connection.execute(_INDEXES_OF, (table,)).fetchall():
            connection.execute(f"drop index {index}")
        if table != "task_1":
            connection.execute(f"drop table {table}")
    for table, column in (("book", "rates"), ("book", "ahead"), ("grp", "late"), ("template", "follow")):
        connection.execute(f"alter table {table} add column {column} integer not null default 0")
    there = {name for _, name, _ in _parts(connection)}
    for name, statement in _statements():
        if name not in there:
            connection.execute(statement)
    columns = ", ".join(str(row[1]) for row in connection.execute("pragma table_info (task_1)").fetchall())
    connection.execute(f"insert into task ({columns}) select {columns} from task_1")  # noqa: S608 - names of our own
    connection.execute("drop table task_1")
    connection.execute(f"pragma user_version = {VERSION}")


@cache
def _statements() -> tuple[tuple[str, str], ...]:
    """(name, statement) of our tables, then of our indexes."""
    connection = apsw.Connection("")
    try:
        connection.execute(_text())
        rows = connection.execute(
            "select name, sql from sqlite_schema where sql is not null and name not like 'sqlite_%' order by type desc"
        )
        return tuple((str(name), str(sql)) for name, sql in rows)
    finally:
        connection.close()


def check(connection: apsw.Connection, path: Path) -> None:
    """Raise StoreRefused unless the tables are exactly ours: a foreign trigger or view could run code of its own."""
    if connection.pragma("schema_version") == 0:
        raise StoreRefused(f"{path} has no tables yet; call setup() on the store, or start a worker, first")
    version = connection.pragma("user_version")
    if version < VERSION:
        raise StoreRefused(
            f"{path} has schema version {version}, this Smallage knows {VERSION}; once no older release uses it any "
            "more, call setup() on the store, or start a worker: that brings it up to date"
        )
    if version != VERSION:
        raise StoreRefused(f"{path} has schema version {version}, this Smallage knows {VERSION}; use the newer release")
    differing = _parts(connection) ^ _ours()
    if differing:
        names = ", ".join(sorted({name for _, name, _ in differing}))
        raise StoreRefused(f"{path} was changed by another program ({names}); use a file of Smallage's own")
