"""One verb's work inside a write transaction: what it has read, what it must write, whom to tell afterwards.

The book (tokens, counters) and each group are read at most once and written at the end; tasks are written at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw

from smallage.core.message import member_of
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import Group, Task

TASK_COLUMNS = query("task_columns")
TASK_BY_ID = f"{TASK_COLUMNS} {query('task_by_id')}"
TASKS_BY_IDS = f"{TASK_COLUMNS} {query('tasks_by_ids')}"
GROUP_COLUMNS = query("group_columns")
GROUP_BY_ID = f"{GROUP_COLUMNS} {query('group_by_id')}"
BOOK_LOAD = query("book_load")
BOOK_SAVE = query("book_save")
GROUP_SAVE = query("group_save")
RESULT_ONE = query("result_one")


class Book:
    """The one row of `book`."""

    __slots__ = ("ahead", "before", "grace_boot", "pruned", "purged", "rates", "reached_boot", "stale", "tok")

    def __init__(self, row: Any) -> None:
        self.before = row
        (
            self.tok, self.reached_boot, self.grace_boot, self.stale, self.pruned, self.purged, self.rates, self.ahead
        ) = row  # fmt: skip

    def row(self) -> tuple[Any, ...]:
        return (
            self.tok, self.reached_boot, self.grace_boot, self.stale, self.pruned, self.purged, self.rates, self.ahead
        )  # fmt: skip


class Transaction:
    """`now` is by the wall, `boot` by the machine's start. `rings`, `changed` and `boxes` are told after the commit."""

    def __init__(self, connection: apsw.Connection, now: int, boot: int) -> None:
        self._cursor = connection.cursor()
        self.execute: Any = connection.execute
        self.run: Any = self._cursor.execute
        """As `execute`, faster, for statements whose rows are not read on while others run."""
        self.changes = connection.changes
        self.now = now
        self.boot = boot
        self.rings: dict[str, int] = {}
        self.changed: list[str] = []
        self.boxes: set[str] = set()
        self.all_changed = False
        self._book: Book | None = None
        self._groups: dict[str, Group | None] = {}

    # -- the book, rows ---------------------------------------------------------------------------------------------
    @property
    def book(self) -> Book:
        if self._book is None:
            self._book = Book(self.run(BOOK_LOAD).fetchone())
        return self._book

    def save(self) -> None:
        """Write the groups and the book as they stand now."""
        for group in self._groups.values():
            if group is not None and group.touched:
                group.touched = False
                group.reckon_prune()
                self.run(
                    GROUP_SAVE,
                    (
                        group.num, group.total, group.cursor, group.holes, group.done, group.failed, group.cancelled,
                        group.running, group.retried, group.sealed, group.revoked, group.body, group.body_ended_us,
                        group.changes, group.ended_us, group.prune_us, group.late,
                    ),
                )  # fmt: skip
        if self._book is not None and (row := self._book.row()) != self._book.before:
            self.run(BOOK_SAVE, row)
            self._book.before = row

    def finish(self) -> None:
        """The end of the verb: nothing is left half read, which would hold its snapshot beyond the commit."""
        self.save()
        self._cursor.close()

    def run_each(self, statement: str, values: Iterable[Any]) -> None:
        run = self.run
        for each in values:
            run(statement, each)

    def row(self, statement: str, *values: Any) -> Any:
        return self.run(statement, values).fetchone()

    def tasks(self, statement: str, *values: Any) -> list[Task]:
        return [Task(row) for row in self.run(statement, values)]

    def tasks_by_ids(self, ids: Sequence[str]) -> dict[str, Task]:
        """The records there are, pruned ones included."""
        return {task.id: task for task in map(Task, rows_by_ids(self.execute, TASKS_BY_IDS, TASK_BY_ID, ids))}

    def find_task(self, task_id: str) -> Task | None:
        """The record, unless its life is over."""
        row = self.row(TASK_BY_ID, task_id)
        if row is None:
            return None
        task = Task(row)
        return None if self.gone(task) else task

    def gone(self, task: Task) -> bool:
        if task.prune_us is not None and task.prune_us <= self.now:
            return True
        group = self.any_group(task.grp)
        return group is not None and group.gone(self.now)

    def any_group(self, group_id: str | None) -> Group | None:
        """The group, even if its life is over."""
        if group_id is None:
            return None
        if group_id not in self._groups:
            row = self.row(GROUP_BY_ID, group_id)
            self._groups[group_id] = Group(row) if row is not None else None
        return self._groups[group_id]

    def find_group(self, group_id: str) -> Group | None:
        group = self.any_group(group_id)
        return None if group is None or group.gone(self.now) else group

    def reload_group(self, group_id: str) -> Group:
        """A group that was made just now."""
        self._groups.pop(group_id, None)
        group = self.any_group(group_id)
        assert group is not None
        return group

    def rowed(self, task_id: str) -> tuple[Group, int] | None:
        """(group, index) if the id is a like member that was added to a living group."""
        place = member_of(task_id)
        group = self.find_group(place[0]) if place else None
        return (group, place[1]) if place and group and place[1] < group.rows else None

    def member_end(self, group: Group, index: int) -> Any:
        """The row of `grp_result` of a like member that ended without a record."""
        return self.row(RESULT_ONE, group.num, index)


def rows_by_ids(execute: Any, many: str, one: str, ids: Sequence[str]) -> Iterator[Any]:
    """Rows for ids; the array of the query `many` cannot hold a NUL, so those go one by one."""
    plain = tuple([each for each in ids if "\0" not in each])
    if len(plain) == 1:
        yield from execute(one, plain)
    elif plain:
        yield from execute(many, (apsw.carray(plain),))
    if len(plain) != len(ids):
        for each in ids:
            if "\0" in each:
                yield from execute(one, (each,))
