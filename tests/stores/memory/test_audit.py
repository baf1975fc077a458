"""The reference's audit finds what is wrong with its books."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smallage.core.message import FOLLOW_ANY
from smallage.stores.base import GroupBatch, LimitSpec
from smallage.stores.memory import audit
from smallage.stores.memory.ledger import Ledger
from smallage.stores.memory.store import MemoryStore
from smallage.testing import FakeClock
from tests.contract.kit import Session, seat, task, uid

G = uid(100)
AFTER = f"after:1:{uid(4)}"


@pytest.fixture
def books() -> Ledger:
    """Of a store with one of each: 0 runs, 1 and 2 are held back, 3 is a seat, 4 has a follow-up, a group waits."""
    store = MemoryStore(clock=FakeClock())
    worker = Session(store)
    store.limit("task:add", LimitSpec(1))
    store.push([*(task(n) for n in range(3)), seat(3), task(4, name="mul", follow=FOLLOW_ANY)])
    assert worker.ids(1) == [uid(0)]
    store.revoke([uid(4)])
    store.pause("later")
    worker.claim(1)
    worker.claim(1)
    rows = GroupBatch(id=G, template=task(0, queue="rows"), rows=(b"a", b"b"), seal=True, body=task(9))
    assert store.group_push(rows) == "ok"
    assert store.audit() == []
    return store._books


def breaches(books: Ledger) -> str:
    return "\n".join(audit.breaches(books, 0))


def twice(books: Ledger) -> None:
    books.enqueue(uid(1), "celery", 0)


def nowhere(books: Ledger) -> None:
    books.let_go(uid(1))


def no_due(books: Ledger) -> None:
    books.due_keys.clear()


def wrong_due(books: Ledger) -> None:
    books.due_keys["task:add"] += 1


def due_for_nothing(books: Ledger) -> None:
    books.due_keys["task:gone"] = 1


def unlisted(books: Ledger) -> None:
    del books.held_back[uid(1)]


def seat_in_order(books: Ledger) -> None:
    books.enqueue(uid(3), "celery", 0)


def seat_with_payload(books: Ledger) -> None:
    books.records[uid(3)].payload = b"args"


def neither(books: Ledger) -> None:
    books.records[uid(3)].seat = False


def both(books: Ledger) -> None:
    books.records[uid(9)].seat = True


def instants(books: Ledger) -> None:
    books.records[uid(3)].expires_us = 1


def follow_up_without_reason(books: Ledger) -> None:
    books.records[AFTER].after_reason = None


def follow_up_of_another(books: Ledger) -> None:
    books.records[AFTER].after = uid(5)


def counter(books: Ledger) -> None:
    books.groups[G].done += 1


def cursor(books: Ledger) -> None:
    books.unplace_cursor(books.groups[G])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (twice, f"{uid(1)} stands in 2 orders"),
        (nowhere, f"{uid(1)} is ready but not in the ready order"),
        (no_due, "task:add holds entries back and never comes due"),
        (wrong_due, "task:add comes due at"),
        (due_for_nothing, "task:gone comes due and is no key"),
        (unlisted, "disagrees with their lines"),
        (seat_in_order, f"{uid(3)} is waiting but in the ready order"),
        (seat_with_payload, f"{uid(3)} is a seat, waiting, and holds more than its place"),
        (neither, f"{uid(3)} waits and is neither a seat nor a body"),
        (both, f"{uid(9)} waits and is both a seat and a body"),
        (instants, f"{uid(3)} waits and has instants"),
        (follow_up_without_reason, f"{AFTER} follows up {uid(4)} for the reason None"),
        (follow_up_of_another, f"{AFTER} is no id for what follows {uid(5)}"),
        (counter, f"group {G} counts 1 done members and has 0"),
        (cursor, f"*{G} has rows to claim and stands in no order"),
    ],
)
def test_the_audit_finds_what_is_wrong(books: Ledger, damage: Callable[[Ledger], None], says: str) -> None:
    damage(books)
    assert says in breaches(books)
