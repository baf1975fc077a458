"""The SQLite store: one file, opened through apsw, shared by every process of the machine.

place.py        where the file is and whether it is ours: owner, modes, links, network filesystems, replacement
connection.py   opening checks and pragmas; readers are lent from a pool, one connection writes
schema.sql      the tables; schema.py creates or compares them, and brings those of older releases up to date
queries/        every statement by name; queries.py loads them
writer.py       acts of many threads gathered into one transaction
transaction.py  what a verb has read and must write; on it stand
lines.py        the order of the queues, with rates.py, the limits, and on that
ledger.py       the steps that verbs are made of: how claims and tasks end, what follows
push groups claim settle sessions readers operators schedules audit      the verbs, by theme
liveness.py     record locks that prove a holder alive or dead; the boot's clock
ears.py         datagram sockets that carry bells, changes and orders between processes
opened.py       the file opened and kept, through errors and forks; store.py, the verbs put together on it
"""

from __future__ import annotations

from typing import Any

from smallage.stores.sqlite.store import SqliteStore


def open(url: str, *, namespace: str = "smallage", **options: Any) -> SqliteStore:
    """The store in the file of `url`: `sqlite:///relative/path` or `sqlite:////absolute/path`.

    `namespace` other than the default has a file of its own beside it. Options for tests: `clock` (µs, stands for both
    the wall's and the boot's clock) and `nonce` (makes the epoch). Raises ImproperlyConfigured for an unusable URL.
    """
    return SqliteStore(url, namespace=namespace, **options)
