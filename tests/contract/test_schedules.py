"""Schedules as the store keeps them, and ticks that happen once."""

from __future__ import annotations

import threading

import pytest

from smallage.core.message import DAY_US, Done
from smallage.stores.base import MAX_SCHEDULES, SCHEDULES, SchedulePut, ScheduleView, Store, after_id
from smallage.testing import FakeClock
from tests.contract.kit import SECOND, Session, gone, seat, task, uid, view

NOON = 1_800_000_000 * SECOND


def one(store: Store) -> ScheduleView:
    (found,) = store.schedules()
    return found


def test_a_new_schedule(store: Store, clock: FakeClock) -> None:
    assert store.schedules() == []
    store.schedule_put("clean", b"\x00spec\xff", "app")
    assert one(store) == ScheduleView(name="clean", spec=b"\x00spec\xff", source="app", since_us=clock())


def test_schedules_come_by_name(store: Store) -> None:
    for name in ("b", "ä", "a", "", "with space"):
        store.schedule_put(name, b"spec")
    assert [found.name for found in store.schedules()] == ["", "a", "b", "with space", "ä"]


def test_the_same_again_changes_nothing(store: Store, clock: FakeClock) -> None:
    store.schedule_put("s", b"spec", "app")
    store.fire("s", NOON, None)
    before = one(store)
    clock.advance(9)
    store.schedule_put("s", b"spec", "app")
    assert one(store) == before


def test_another_spec_starts_anew(store: Store, clock: FakeClock) -> None:
    store.schedule_put("s", b"spec", "app")
    store.fire("s", NOON, task(1))
    store.schedule_pause("s")
    clock.advance(9)
    store.schedule_put("s", b"other", "operator")
    assert one(store) == ScheduleView(
        name="s", spec=b"other", source="operator", paused=True, since_us=clock(), last_us=None, fired=1
    )
    store.schedule_pause("s", False)
    assert store.fire("s", NOON, task(2)) == "fired"


def test_another_source_keeps_the_instants(store: Store, clock: FakeClock) -> None:
    store.schedule_put("s", b"spec", "app")
    store.fire("s", NOON, task(1))
    before = one(store)
    clock.advance(9)
    store.schedule_put("s", b"spec", "operator")
    after = one(store)
    assert (after.source, after.since_us, after.last_us) == ("operator", before.since_us, NOON)


def test_pause_and_resume(store: Store) -> None:
    assert store.schedule_pause("s") is False
    store.schedule_put("s", b"spec")
    assert store.schedule_pause("s") is True
    assert one(store).paused
    assert store.schedule_pause("s") is True
    assert store.schedule_pause("s", False) is True
    assert not one(store).paused


def test_remove(store: Store) -> None:
    assert store.schedule_remove("s") is False
    store.schedule_put("s", b"spec")
    store.schedule_put("t", b"spec")
    assert store.schedule_remove("s") is True
    assert one(store).name == "t"
    assert store.schedule_remove("s") is False


# -- many at once -----------------------------------------------------------------------------------------------------


def put(name: str, spec: bytes = b"spec", source: str = "", **how: object) -> SchedulePut:
    return SchedulePut(name=name, spec=spec, source=source, **how)  # type: ignore[arg-type]


def test_many_are_put_and_read_at_once(store: Store, clock: FakeClock) -> None:
    puts = [put(f"s{n:03}", b"%d" % n, "app") for n in range(MAX_SCHEDULES)]
    assert store.schedules_put(puts) == [True] * MAX_SCHEDULES
    assert store.schedules_put([]) == []
    with pytest.raises(ValueError, match="split"):
        store.schedules_put([*puts, put("more")])
    assert [(seen.name, seen.spec) for seen in store.schedules()] == [(one.name, one.spec) for one in puts]
    last = ScheduleView(name="s007", spec=b"7", source="app", since_us=clock())
    assert store.schedules(["s007"]) == [last]
    assert [seen.name for seen in store.schedules(["s009", "none", "s007", "s009"])] == ["s007", "s009"]
    store.fire("s007", NOON, None)
    store.schedule_remove("s007")
    assert store.schedules(["s007"]) == store.schedules([]) == []


def test_more_than_a_page_of_schedules(store: Store) -> None:
    names = [f"{n}" for n in range(7 * MAX_SCHEDULES)]
    for start in range(0, len(names), MAX_SCHEDULES):
        store.schedules_put([put(name) for name in names[start : start + MAX_SCHEDULES]])
    assert [seen.name for seen in store.schedules()] == sorted(names)
    assert [seen.name for seen in store.schedules(names[1:])] == sorted(names[1:])


def test_a_batch_goes_one_after_another(store: Store) -> None:
    assert store.schedules_put([put("s", b"1"), put("s", b"2", over=b"1"), put("s", b"3", over=b"1")]) == [
        True, True, False,
    ]  # fmt: skip
    assert one(store).spec == b"2"


def test_a_spec_that_keeps_the_instants(store: Store, clock: FakeClock) -> None:
    store.schedule_put("s", b"spec", "app")
    store.fire("s", NOON, task(1))
    before = one(store)
    clock.advance(9)
    assert store.schedules_put([put("s", b"other", "operator", keep=True)]) == [True]
    after = one(store)
    assert (after.spec, after.source) == (b"other", "operator")
    assert (after.since_us, after.last_us, after.fired) == (before.since_us, NOON, 1)
    assert store.fire("s", NOON, task(2)) == "late"
    assert store.schedules_put([put("new", keep=True)]) == [True]
    assert store.schedules(["new"])[0].since_us == clock()


def test_a_removed_one_keeps_nothing_under_another_spec(store: Store, clock: FakeClock) -> None:
    store.schedule_put("s", b"spec", "app")
    store.fire("s", NOON, task(1))
    store.schedule_remove("s")
    clock.advance(9)
    assert store.schedules_put([put("s", b"other", keep=True)]) == [True]
    assert one(store) == ScheduleView(name="s", spec=b"other", since_us=clock())


def test_a_spec_that_replaces_a_known_one(store: Store) -> None:
    assert store.schedules_put([put("s", b"1", over=b"0")]) == [False]
    assert store.schedules() == []
    assert store.schedules_put([put("s", b"1", over=b"")]) == [True]
    assert store.schedules_put([put("s", b"2", over=b"")]) == [False]
    assert store.schedules_put([put("s", b"2", over=b"0")]) == [False]
    assert one(store).spec == b"1"
    assert store.schedules_put([put("s", b"2", over=b"1")]) == [True]
    assert store.schedules_put([put("s", b"2", over=b"1")]) == [True], "asked again after a lost reply"
    assert store.schedules_put([put("s", b"2", "app", over=b"1")]) == [False]
    store.fire("s", NOON, None)
    store.schedule_remove("s")
    assert store.schedules_put([put("s", b"2", over=b"2")]) == [False]
    assert store.schedules_put([put("s", b"2", over=b"")]) == [True]
    assert one(store).last_us == NOON


# -- ticks ------------------------------------------------------------------------------------------------------------


def test_no_tick_of_a_schedule_that_has_changed(store: Store, worker: Session) -> None:
    """Whoever offers it has read the schedule before the change."""
    store.schedule_put("s", b"spec")
    assert store.fire("s", NOON, task(1), spec=b"spec") == "fired"
    store.schedule_put("s", b"other")
    assert store.fire("s", NOON + 1, task(2), spec=b"spec") == "changed"
    assert store.fire("s", NOON + 1, None, skip=True, spec=b"spec") == "changed"
    assert (one(store).last_us, one(store).fired) == (None, 1)
    assert store.fire("s", NOON, task(3), spec=b"other") == "fired"
    assert store.fire("s", NOON, task(4), spec=b"spec") == "changed"
    assert store.fire("s", NOON, task(4), spec=b"other") == "late"
    store.schedule_pause("s")
    assert store.fire("s", NOON + 1, task(4), spec=b"spec") == "paused"
    store.schedule_remove("s")
    assert store.fire("s", NOON + 1, task(4), spec=b"spec") == "unknown"
    assert worker.ids(10) == [uid(1), uid(3)]


def test_a_tick_pushes_and_is_remembered(store: Store, worker: Session) -> None:
    store.schedule_put("s", b"spec")
    assert worker.claim() == []
    assert store.fire("s", NOON, task(1, b"args")) == "fired"
    seen = one(store)
    assert (seen.last_us, seen.fired) == (NOON, 1)
    assert store.listen("s1", ("celery",), 5.0)
    assert worker.one().payload == b"args"


def test_a_tick_happens_once(store: Store, worker: Session) -> None:
    store.schedule_put("s", b"spec")
    assert store.fire("s", NOON, task(1)) == "fired"
    for instant in (NOON, NOON - 1):
        assert store.fire("s", instant, task(2)) == "late"
    assert store.fire("s", NOON + 1, task(3)) == "fired"
    assert store.fire("s", NOON, task(4)) == "late"
    assert worker.ids(10) == [uid(1), uid(3)]
    assert one(store).fired == 2


def test_a_tick_is_not_repeated_after_its_task_is_gone(store: Store, worker: Session) -> None:
    store.schedule_put("s", b"spec")
    store.fire("s", NOON, task(1))
    worker.run(Done())
    store.forget([uid(1)])
    assert store.fire("s", NOON, task(1)) == "late"
    assert gone(store, 1)


def test_instants_and_the_clock_are_nothing_to_each_other(store: Store, clock: FakeClock) -> None:
    store.schedule_put("s", b"spec")
    assert store.fire("s", -5, task(1)) == "fired"
    assert store.fire("s", 0, task(2)) == "fired"
    assert store.fire("s", clock() + DAY_US, task(3)) == "fired"
    assert one(store).last_us == clock() + DAY_US


def test_no_tick_of_a_paused_or_unknown_schedule(store: Store, worker: Session) -> None:
    assert store.fire("s", NOON, task(1)) == "unknown"
    store.schedule_put("s", b"spec")
    store.schedule_pause("s")
    assert store.fire("s", NOON, task(1)) == "paused"
    assert store.fire("s", NOON, None, skip=True) == "paused"
    assert (worker.claim(), one(store).last_us, one(store).fired) == ([], None, 0)
    store.schedule_pause("s", False)
    assert store.fire("s", NOON, task(1)) == "fired"
    store.schedule_remove("s")
    assert store.fire("s", NOON + 1, task(2)) == "unknown"
    assert worker.ids(10) == [uid(1)]


@pytest.mark.parametrize("message", [None, task(1)])
def test_a_tick_left_out(store: Store, worker: Session, message: object) -> None:
    store.schedule_put("s", b"spec")
    assert store.fire("s", NOON, message, skip=True) == "fired"  # type: ignore[arg-type]
    assert (one(store).last_us, one(store).fired, worker.claim()) == (NOON, 0, [])
    assert store.fire("s", NOON, task(1)) == "late"
    assert store.fire("s", NOON, None, skip=True) == "late"
    assert store.fire("s", NOON + 1, None) == "fired"
    assert (one(store).last_us, one(store).fired) == (NOON + 1, 0)


@pytest.mark.parametrize("payload", [b"work", b"other"])
def test_a_task_that_is_there_already(store: Store, worker: Session, payload: bytes) -> None:
    store.schedule_put("s", b"spec")
    store.push([task(1)])
    assert store.fire("s", NOON, task(1, payload)) == "fired"
    assert (one(store).last_us, one(store).fired) == (NOON, 1)
    assert [claim.payload for claim in worker.claim(10)] == [b"work"]


def test_a_tick_behaves_as_a_push(store: Store, worker: Session, clock: FakeClock) -> None:
    store.schedule_put("s", b"spec")
    store.revoke([uid(1)])
    store.push([seat(2)])
    store.fire("s", NOON, task(1, follow=2))
    store.fire("s", NOON + 1, task(2, b"args"))
    store.fire("s", NOON + 2, task(3, delay_us=SECOND))
    assert view(store, 1).state == "cancelled"
    assert [(c.id, c.payload) for c in worker.claim(10)] == [(after_id(uid(1), 1), b"work"), (uid(2), b"args")]
    assert view(store, 3).due_us == clock() + SECOND


def test_of_many_one_fires(store: Store, worker: Session) -> None:
    """Beats of many hosts, at the same instant."""
    store.schedule_put("s", b"spec")
    verdicts: list[str] = []
    start = threading.Barrier(4)

    def beat(n: int) -> None:
        start.wait(30)
        verdicts.append(store.fire("s", NOON, task(n)))

    threads = [threading.Thread(target=beat, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(verdicts) == ["fired", "late", "late", "late"]
    assert len(worker.ids(10)) == 1


# -- what is remembered of removed ones -------------------------------------------------------------------------------


def test_a_schedule_put_again_repeats_no_tick(store: Store, clock: FakeClock) -> None:
    store.schedule_put("s", b"spec")
    store.fire("s", NOON, task(1))
    store.schedule_pause("s")
    store.schedule_remove("s")
    clock.advance(us=DAY_US - 1)
    store.tick([])
    store.schedule_put("s", b"spec", "app")
    assert one(store) == ScheduleView(name="s", spec=b"spec", source="app", since_us=clock(), last_us=NOON)
    assert store.fire("s", NOON, task(2)) == "late"


def test_a_day_later_it_is_forgotten(store: Store, clock: FakeClock) -> None:
    store.schedule_put("s", b"spec")
    store.fire("s", NOON, task(1))
    store.schedule_remove("s")
    clock.advance(us=DAY_US)
    store.schedule_put("s", b"spec")
    assert one(store).last_us is None


def test_another_spec_has_no_past(store: Store) -> None:
    store.schedule_put("s", b"spec")
    store.fire("s", NOON, task(1))
    store.schedule_remove("s")
    store.schedule_put("s", b"other")
    assert one(store).last_us is None
    store.schedule_remove("s")
    store.schedule_put("s", b"spec")
    assert one(store).last_us is None, "the name was put again since"


# -- telling ----------------------------------------------------------------------------------------------------------


def test_every_change_is_told(store: Store) -> None:
    watch = store.watch()
    watch.add([SCHEDULES])
    store.schedule_put("s", b"spec")
    assert watch.wait(30.0) == {SCHEDULES}
    store.schedule_put("s", b"other")
    assert watch.wait(30.0) == {SCHEDULES}
    store.schedules_put([put("s", b"third", over=b"spec"), put("t"), put("u")])
    assert watch.wait(30.0) == {SCHEDULES}
    store.schedule_pause("s")
    assert watch.wait(30.0) == {SCHEDULES}
    store.schedule_remove("s")
    assert watch.wait(30.0) == {SCHEDULES}
    watch.close()


def test_a_tick_is_told_to_nobody(store: Store) -> None:
    """Of thousands of schedules one ticks in each moment: those who offer the tick too are told that they are late."""
    store.schedule_put("s", b"spec")
    watch = store.watch()
    watch.add([SCHEDULES, uid(1)])
    store.fire("s", NOON, task(1))
    store.fire("s", NOON + 1, None, skip=True)
    store.revoke([uid(1)])
    assert watch.wait(30.0) == {uid(1)}
    watch.close()
