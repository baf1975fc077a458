"""Answers of nodes, left under a ticket."""

from __future__ import annotations

from smallage.stores.base import ANSWER_US, Store
from smallage.testing import FakeClock


def test_no_answers(store: Store) -> None:
    assert store.answers("ticket") == {}


def test_answers_by_node(store: Store) -> None:
    store.answer("ticket", "celery@a", b"\x00one\xff")
    store.answer("ticket", "celery@ä", b"")
    store.answer("other", "celery@a", b"two")
    assert store.answers("ticket") == {"celery@a": b"\x00one\xff", "celery@ä": b""}
    assert store.answers("other") == {"celery@a": b"two"}


def test_a_later_answer_replaces_a_node_s_first(store: Store) -> None:
    store.answer("ticket", "celery@a", b"one")
    store.answer("ticket", "celery@a", b"two")
    assert store.answers("ticket") == {"celery@a": b"two"}


def test_answers_go_a_minute_after_the_latest(store: Store, clock: FakeClock) -> None:
    store.answer("ticket", "a", b"1")
    clock.advance(us=ANSWER_US - 1)
    store.answer("ticket", "b", b"2")
    clock.advance(us=ANSWER_US - 1)
    store.tick([])
    assert store.answers("ticket") == {"a": b"1", "b": b"2"}
    clock.advance(us=1)
    assert store.answers("ticket") == {}
    store.tick([])
    store.answer("ticket", "c", b"3")
    assert store.answers("ticket") == {"c": b"3"}


def test_watchers_of_the_ticket_are_told(store: Store) -> None:
    watch = store.watch()
    watch.add(["ticket"])
    store.answer("other", "a", b"1")
    store.answer("ticket", "a", b"1")
    assert watch.wait(30.0) == {"ticket"}
    watch.close()
