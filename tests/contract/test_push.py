"""push: accept new tasks, all or none, each id once."""

from __future__ import annotations

import pytest

from smallage.core.message import DAY_US, FOREVER, MAX_INT, Done, Failed
from smallage.stores.base import MAX_PUSH, Store
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, task, uid, view


def test_a_new_task_is_ready(store: Store, clock: FakeClock) -> None:
    assert store.push([task(1, queue="mail", priority=3)]) == ["ok"]
    seen = view(store, 1)
    assert (seen.state, seen.name, seen.queue, seen.priority) == ("ready", "add", "mail", 3)
    assert (seen.gen, seen.tok, seen.settled) == (1, 0, 0)
    assert (seen.failures, seen.crashes, seen.lost, seen.releases, seen.ran) == (0, 0, 0, 0, False)
    assert (seen.pushed_us, seen.started_us, seen.ended_us) == (clock(), 0, 0)
    assert (seen.result, seen.reason, seen.session, seen.due_us, seen.expires_us) == (None,) * 5


def test_pushing_nothing_is_fine(store: Store) -> None:
    assert store.push([]) == []


def test_unknown_ids_have_no_state(store: Store) -> None:
    store.push([task(1)])
    assert [v is not None for v in store.state([uid(2), uid(1), uid(3)])] == [False, True, False]


def test_a_countdown_is_added_to_the_stores_clock(store: Store, clock: FakeClock) -> None:
    store.push([task(1, delay_us=5 * SECOND)])
    assert (view(store, 1).state, view(store, 1).due_us) == ("scheduled", clock() + 5 * SECOND)


def test_an_instant_wins_over_a_countdown(store: Store, clock: FakeClock) -> None:
    store.push([task(1, due_us=clock() + 7 * SECOND, delay_us=SECOND)])
    assert view(store, 1).due_us == clock() + 7 * SECOND


@pytest.mark.parametrize("ago", [0, 1, SECOND])
def test_a_due_instant_that_has_come_is_ready_at_once(store: Store, clock: FakeClock, ago: int) -> None:
    store.push([task(1, due_us=clock() - ago)])
    assert view(store, 1).state == "ready"


def test_the_earlier_expiry_wins(store: Store, clock: FakeClock) -> None:
    now = clock()
    store.push([task(1, expires_us=now + 9, expires_in_us=5), task(2, expires_us=now + 4, expires_in_us=5)])
    store.push([task(3, expires_in_us=6), task(4, expires_us=now + 7)])
    assert [view(store, n).expires_us for n in (1, 2, 3, 4)] == [now + 5, now + 4, now + 6, now + 7]


def test_the_same_push_again_is_a_dup_and_changes_nothing(store: Store, clock: FakeClock) -> None:
    store.push([task(1)])
    before = view(store, 1)
    clock.advance(3)
    assert store.push([task(1)]) == ["dup"]
    assert view(store, 1) == before


def test_times_are_no_part_of_a_tasks_identity(store: Store, clock: FakeClock) -> None:
    store.push([task(1, due_us=clock() + SECOND, expires_us=clock() + 9 * SECOND)])
    before = view(store, 1)
    assert store.push([task(1, due_us=clock() + 2 * SECOND, expires_us=clock() + 8 * SECOND)]) == ["dup"]
    assert view(store, 1) == before


@pytest.mark.parametrize(
    "other", [task(1, b"other"), task(1, name="subtract"), task(1, queue="elsewhere")], ids=["payload", "name", "queue"]
)
def test_another_task_under_the_same_id_is_a_conflict(store: Store, other: object) -> None:
    store.push([task(1)])
    before = view(store, 1)
    assert store.push([other]) == ["conflict"]  # type: ignore[list-item]
    assert view(store, 1) == before
    assert store.payload(uid(1)) == (b"work", None)


def test_one_conflict_keeps_the_whole_batch_out(store: Store) -> None:
    store.push([task(2)])
    verdicts = store.push([task(1), task(2, b"other"), task(3)])
    assert verdicts[1] == "conflict"
    assert gone(store, 1)
    assert gone(store, 3)
    assert store.counts()["celery"]["ready"] == 1


def test_a_dup_does_not_keep_the_batch_out(store: Store) -> None:
    store.push([task(2)])
    assert store.push([task(1), task(2), task(3)]) == ["ok", "dup", "ok"]
    assert store.counts()["celery"]["ready"] == 3


def test_the_same_task_twice_in_a_batch_is_there_once(store: Store, worker: Session) -> None:
    assert store.push([task(1), task(1)]) == ["ok", "dup"]
    assert worker.ids(10) == [uid(1)]


def test_two_tasks_of_one_id_in_a_batch_are_refused(store: Store) -> None:
    assert "conflict" in store.push([task(2), task(1), task(1, b"other")])
    assert gone(store, 1)
    assert gone(store, 2)


def test_a_repeat_is_a_dup_while_it_runs_and_after_its_end(store: Store, worker: Session) -> None:
    store.push([task(1)])
    claim = worker.one()
    assert store.push([task(1)]) == ["dup"]
    assert worker.settle(claim, Done(b"3")) == "ok"
    assert store.push([task(1)]) == ["dup"]
    assert store.push([task(1, b"other")]) == ["conflict"]
    assert (view(store, 1).state, worker.claim()) == ("done", [])


def test_a_dead_task_is_not_run_again_by_a_repeated_push(store: Store, worker: Session) -> None:
    store.push([task(1)])
    worker.run(Failed(b"no"))
    assert store.push([task(1)]) == ["dup"]
    assert view(store, 1).state == "dead"


@pytest.mark.parametrize(
    "task_id",
    [
        "1",
        "nightly-report",
        "00000000-0000-4000-8000-00000000000A",
        "00000000000040008000000000000001",
        "{00000000-0000-4000-8000-000000000001}",
        "00000000-0000-4000-8000-000000000001.0",
        "00000000-0000-4000-8000-000000000001.007",
        "x",
        "x1",
        "größe:ü/€ 🐌",
        "a" * 200,
        "0123456789abcdef",
        "with\x00nul",
        "line\nbreak",
    ],
)
def test_any_text_is_an_id(store: Store, worker: Session, task_id: str) -> None:
    assert store.push([task(task_id), task(1)]) == ["ok", "ok"]
    assert store.push([task(task_id)]) == ["dup"]
    assert worker.ids(2) == [task_id, uid(1)]
    assert view(store, task_id).id == task_id


def test_ids_that_differ_in_spelling_only_are_different_tasks(store: Store, worker: Session) -> None:
    ids = [uid(10), uid(10).upper(), uid(10).replace("-", ""), "x" + uid(10)]
    assert store.push([task(i) for i in ids]) == ["ok"] * 4
    assert worker.ids(10) == ids


@pytest.mark.parametrize("payload", [b"", bytes(range(256)), b"\x00", b"%s\r\n$5\r\n", b"x" * 1_000_000])
def test_payload_and_result_come_back_unchanged(store: Store, worker: Session, payload: bytes) -> None:
    store.push([task(1, payload)])
    assert store.payload(uid(1)) == (payload, None)
    claim = worker.one()
    assert claim.payload == payload
    worker.settle(claim, Done(payload))
    assert view(store, 1).result == payload


def test_a_full_batch(store: Store, worker: Session) -> None:
    batch = [task(n, b"%d" % n) for n in range(MAX_PUSH)]
    assert store.push(batch) == ["ok"] * MAX_PUSH
    assert store.push(batch) == ["dup"] * MAX_PUSH
    assert [c.payload for c in worker.claim(100)] == [b"%d" % n for n in range(100)]
    assert store.counts()["celery"]["ready"] == MAX_PUSH - 100


def test_envelopes_at_the_edges_of_their_ranges(store: Store, worker: Session) -> None:
    store.push([task(1, priority=9, due_us=MAX_INT, expires_us=MAX_INT, keep_us=FOREVER)])
    store.push([task(2, priority=0, expires_us=MAX_INT, keep_us=MAX_INT - 1, max_crashes=0, max_lost=1_000_000)])
    assert view(store, 1).due_us == MAX_INT
    claim = worker.one()
    assert (claim.id, claim.expires_us, claim.keep_us) == (uid(2), MAX_INT, MAX_INT - 1)
    assert worker.settle(claim, Done()) == "ok"
    assert view(store, 2).state == "done"


def test_queue_and_task_names_are_any_text(store: Store, worker: Session) -> None:
    queue, name = "post: größe {x}:y*", "pakét.módule.tâche"
    store.push([task(1, queue=queue, name=name, keep_us=DAY_US)])
    claim = worker.one(queue)
    assert (claim.queue, claim.name) == (queue, name)
    assert store.counts()[queue]["running"] == 1
