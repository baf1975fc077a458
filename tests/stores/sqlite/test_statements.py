"""Every statement is sound SQL for our tables, says what it does, and reads no more than it must."""

from __future__ import annotations

import re
from importlib import resources

import apsw
import pytest

from smallage.stores.sqlite import claim, ledger, lines, operators, queries, readers, schema, sessions, transaction
from smallage.stores.sqlite.queries import parse, query

PREFIXES = {"task_columns", "group_columns", "view_columns", "find_from"}
FRAGMENTS = ("from ", "where ")


@pytest.fixture
def empty() -> apsw.Connection:
    connection = apsw.Connection("")
    connection.execute(schema._text())
    return connection


def whole_statements() -> list[str]:
    return [name for name, text in queries._all().items() if name not in PREFIXES and not text.startswith(FRAGMENTS)]


@pytest.mark.parametrize("name", whole_statements())
def test_statements_compile(empty: apsw.Connection, name: str) -> None:
    list(empty.execute("explain " + query(name), _values(query(name))))


def _values(statement: str) -> tuple[None, ...]:
    """One null for each parameter."""
    marks = re.findall(r"\?(\d*)", statement)
    return (None,) * (max(int(mark) for mark in marks) if marks and marks[0] else len(marks))


def test_names_are_used_once() -> None:
    texts = [file.read_text() for file in resources.files("smallage.stores.sqlite").joinpath("queries").iterdir()]
    names = [name for text in texts for name in parse(text)]
    assert len(names) == len(set(names)) == len(queries._all())


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        query("nothing_of_the_kind")


WALKS = {
    *(f"SCAN {name}" for name in ("t", "task", "g", "grp", "grp_result")),
    "SEARCH task USING INTEGER PRIMARY KEY (rowid<?)",
    "SEARCH task USING INDEX member (grp=?)",  # all members of a group at each step
    "SEARCH t USING INTEGER PRIMARY KEY (rowid<?)",
}
INDEXED = [
    claim.READY_HEAD, claim.CLAIMS_AGAIN, claim.TASK_RUN, transaction.TASK_BY_ID, lines.TASKS_DUE, ledger.TASKS_HELD,
    ledger.TASKS_PARKED, lines.CURSOR_OF_GROUP, transaction.GROUP_BY_ID, lines.NEXT_DUE, ledger.TASK_END,
    operators.PURGE_READY, operators.PURGE_SCHEDULED, operators.LINKED_READY, operators.LINKED_SCHEDULED,
    operators.OPEN_MEMBERS, operators.DEAD_MEMBERS, query("finish_plain"), query("member_finish"),
    query("current_claims"), query("current_members"), query("finish_many"), query("members_finish"),
    query("members_leave"), query("tasks_run"),
    query("queue_has_ready"), query("line_last"), query("line_first"), claim.HELD_FIRST, query("held_back_line"),
    query("held_back_last"), query("held_back_any"), query("line_of_key"), query("answers_over"), query("ahead_many"),
    query("parked_last"), query("task_digest"), query("members_page"), sessions.PRUNE_ENDED, sessions.GROUPS_GONE,
    sessions.TOMBSTONES_OVER, readers.VIEW_ONE,
    readers.MEMBERS_PAGE, readers.RESULTS_PAGE, *readers.FIND.values(),
]  # fmt: skip


@pytest.mark.parametrize("statement", INDEXED, ids=lambda text: " ".join(text.split()[:2] + text.split()[-6:]))
def test_no_statement_of_the_daily_round_walks_through_all_tasks(empty: apsw.Connection, statement: str) -> None:
    plan = [row[3] for row in empty.execute("explain query plan " + statement, _values(statement))]
    walks = [step for step in plan if str(step) in WALKS]
    assert walks == []
    sorts = [step for step in plan if "TEMP B-TREE FOR ORDER BY" in str(step)]
    assert sorts == []
