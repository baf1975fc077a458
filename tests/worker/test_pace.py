"""How many claims to hold, from examples."""

from __future__ import annotations

import pytest

from smallage.worker.pace import IN_HAND, LONG, MOST, Pace


def after(places: int, seconds: float, tasks: int = 1000, bound: int | None = None) -> Pace:
    """A pace that has seen many tasks of one length."""
    pace = Pace(places, bound)
    for _ in range(tasks):
        pace.saw(seconds, 1)
    return pace


def test_nothing_is_claimed_ahead_before_anything_is_known() -> None:
    assert Pace(8).capacity() == 8


@pytest.mark.parametrize("places", [1, 8, 200])
@pytest.mark.parametrize("seconds", [LONG, 0.1, 1.0, 3600.0])
def test_nothing_is_claimed_ahead_of_long_tasks(places: int, seconds: float) -> None:
    assert after(places, seconds).capacity() == places


@pytest.mark.parametrize("places", [1, 8])
@pytest.mark.parametrize("seconds", [0.000_01, 0.001, 0.005, 0.014])
def test_what_lies_in_hand_is_a_moment_s_work(places: int, seconds: float) -> None:
    ahead = after(places, seconds).capacity() - places
    assert 1 <= ahead <= MOST
    assert ahead * seconds / places <= IN_HAND + 1e-6


def test_a_long_task_is_believed_at_once_and_short_ones_slowly() -> None:
    pace = after(1, 0.000_01)
    assert pace.capacity() == 1 + MOST
    pace.stalled()
    assert pace.capacity() == 1
    for _ in range(3):
        pace.saw(0.000_01, 1)
    assert pace.capacity() < 10
    for _ in range(30):
        pace.saw(0.000_01, 1)
    assert pace.capacity() == 1 + MOST


def test_the_user_s_bound_holds_but_never_starves_a_place() -> None:
    assert after(8, 0.000_01, bound=16).capacity() == 16
    assert after(8, 0.000_01, bound=1).capacity() == 8


@pytest.mark.parametrize(
    ("length", "waiting", "running", "woken"),
    [
        (0.000_01, 8, 0, 1),  # no-ops: one thread does them all
        (0.000_01, 100, 1, 0),
        (0.000_05, 200, 1, 2),  # a hundredth of a second of work: three share it
        (0.000_01, 50, 1, 0),
        (0.01, 8, 0, 8),  # a hundredth of a second each: everybody
        (0.01, 3, 2, 1),
        (1.0, 1, 7, 0),
    ],
)
def test_how_many_are_woken(length: float, waiting: int, running: int, woken: int) -> None:
    pace = Pace(8)
    pace.length = length
    assert pace.wakes(waiting, running) == woken
