"""Creates the tables of an empty database and compares those of an existing one with ours."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

import apsw

from smallage.core.errors import StoreRefused
from smallage.stores.sqlite.connection import APPLICATION_ID

VERSION: Final = 1
_SPACE: Final = re.compile(r"\s+|--[^\n]*\n")


@cache
def _text() -> str:
    return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


def _parts(connection: apsw.Connection) -> set[tuple[str, str, str]]:
    rows = connection.execute("select type, name, coalesce(sql, '') from sqlite_schema where name not like 'sqlite_%'")
    return {(str(kind), str(name), _SPACE.sub(" ", str(sql))) for kind, name, sql in rows}


@cache
def _ours() -> frozenset[tuple[str, str, str]]:
    connection = apsw.Connection("")
    try:
        connection.execute(_text())
        return frozenset(_parts(connection))
    finally:
        connection.close()


def create_or_check(connection: apsw.Connection, path: Path, epoch: str) -> None:
    """In an open write transaction: make the tables if the database is empty, else compare them."""
    if connection.pragma("schema_version") == 0:
        connection.execute(_text())
        connection.execute("insert into book (one) values (1)")
        connection.execute("insert into meta values ('epoch', ?)", (epoch,))
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute(f"pragma user_version = {VERSION}")
    check(connection, path)


def check(connection: apsw.Connection, path: Path) -> None:
    """Raise StoreRefused unless the tables are exactly ours: a foreign trigger or view could run code of its own."""
    if connection.pragma("schema_version") == 0:
        raise StoreRefused(f"{path} has no tables yet; call setup() on the store, or start a worker, first")
    version = connection.pragma("user_version")
    if version != VERSION:
        raise StoreRefused(f"{path} has schema version {version}, this Smallage knows {VERSION}; use the same release")
    differing = _parts(connection) ^ _ours()
    if differing:
        names = ", ".join(sorted({name for _, name, _ in differing}))
        raise StoreRefused(f"{path} was changed by another program ({names}); use a file of Smallage's own")
