"""How many claims to hold and when to ask for more, from examples."""

from __future__ import annotations

import pytest

from smallage.worker.pace import GAP, IN_HAND, LEAD, LONG, MOST, PAUSE, Forecast, Pace, Rhythm


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
    ("length", "waiting", "awake", "woken"),
    [
        (0.000_01, 8, 0, 1),  # no-ops: one thread does them all
        (0.000_01, 100, 1, 0),
        (0.000_05, 200, 1, 2),  # a hundredth of a second of work: three share it
        (0.000_01, 50, 1, 0),
        (0.01, 8, 0, 8),  # a hundredth of a second each: everybody
        (0.01, 3, 5, 1),  # two of those five will have ended in a moment
        (1.0, 1, 7, 1),  # whoever has begun a long task helps nobody
        (1.0, 5, 3, 5),
    ],
)
def test_how_many_are_woken(length: float, waiting: int, awake: int, woken: int) -> None:
    pace = Pace(8)
    pace.length = length
    assert pace.wakes(waiting, awake) == woken


# -- the ends of long tasks -------------------------------------------------------------------------------------------
def foreseeing(seconds: float = 0.15, wobble: float = 0.0) -> Forecast:
    """A forecast that has seen 30 tasks of `seconds`, give or take `wobble`."""
    forecast = Forecast()
    for turn in range(30):
        forecast.saw([seconds + (wobble if turn % 2 else -wobble)])
    return forecast


NOW = 100.0


@pytest.mark.parametrize(
    ("running_for", "ending", "again"),
    [
        ([], 0, 0.145),  # whatever starts from now on ends later than that
        ([0.0], 0, 0.145),
        ([0.1], 0, 0.045),  # ends in 50 ms: its successor is fetched 5 ms before
        ([0.14], 1, 0.145),  # ends in 10 ms
        ([0.149, 0.14, 0.136, 0.1], 3, 0.045),
        ([0.153], 1, 0.145),  # a little late
        ([0.16, 5.0], 0, 0.145),  # who is overdue may go on for long
    ],
)
def test_regular_long_tasks_are_followed_just_in_time(running_for: list[float], ending: int, again: float) -> None:
    found, at = foreseeing().look(NOW, [NOW - seconds for seconds in running_for])
    assert found == ending
    assert at == pytest.approx(NOW + again)
    assert at >= NOW + IN_HAND - LEAD


@pytest.mark.parametrize(
    "forecast",
    [Forecast(), foreseeing(0.15, wobble=0.02), foreseeing(10.0, wobble=1.0), foreseeing(0.01)],
    ids=["nothing seen", "irregular", "long and irregular", "short"],
)
def test_nothing_is_foreseen_of(forecast: Forecast) -> None:
    assert forecast.look(NOW, [NOW - tenth / 10 for tenth in range(200)])[0] == 0


def test_a_wrong_forecast_is_not_repeated_at_once() -> None:
    forecast = foreseeing()
    started = [NOW - 0.149]
    assert forecast.look(NOW, started)[0] == 1
    forecast.failed()
    assert forecast.look(NOW, started)[0] == 0
    forecast.saw([0.15])
    assert forecast.look(NOW, started)[0] == 0
    forecast.saw([0.15] * 20)
    assert forecast.look(NOW, started)[0] == 1


@pytest.mark.parametrize(
    ("length", "bound", "ending", "capacity"),
    [
        (1.0, None, 3, 11),
        (1.0, None, 0, 8),
        (1.0, 8, 3, 8),  # the user wants nothing ahead
        (1.0, 1, 3, 8),
        (1.0, 10, 3, 10),
        (0.000_01, None, 3, 8 + MOST),
    ],
)
def test_what_may_be_in_hand_when_bodies_are_ending(
    length: float, bound: int | None, ending: int, capacity: int
) -> None:
    pace = Pace(8, bound)
    pace.length = length
    assert pace.capacity(ending) == capacity


# -- the rhythm of round trips ----------------------------------------------------------------------------------------
def gap_after(*trips: tuple[float, int, int], times: int = 20) -> float:
    """The gap after these round trips (seconds since the one before, settled, claimed), so many times over."""
    rhythm, now = Rhythm(), NOW
    for since, settled, claimed in trips * times:
        now += since
        rhythm.saw(now, settled, claimed)
    return rhythm.gap()


@pytest.mark.parametrize(
    "trips",
    [
        pytest.param([(0.02, 0, 1), (0.001, 1, 0)], id="idle: a task now and then"),
        pytest.param([(0.001, 0, 1), (0.001, 1, 0)], id="push one, wait for its result, push the next"),
        pytest.param([(0.000_1, 0, 1), (0.000_1, 1, 0)], id="the same ten times as fast"),
        pytest.param([(0.001, 0, 50), (0.001, 50, 0)], id="push fifty, wait for all"),
        pytest.param([(PAUSE * 1.1, 3, 3)], id="far apart"),
        pytest.param([(0.001, 1, 0), (0.001, 1, 0), (0.001, 1, 1)], id="seldom met in passing"),
    ],
)
def test_nobody_is_made_to_wait_by_an_engine_that_is_not_busy(trips: list[tuple[float, int, int]]) -> None:
    assert gap_after(*trips) == 0.0


@pytest.mark.parametrize(
    ("trips", "gap"),
    [
        ([(0.000_3, 1, 1)], GAP),  # a stream of tasks that come singly
        ([(0.000_3, 1, 0), (0.000_3, 1, 1), (0.000_3, 1, 1)], GAP),
        ([(0.001, 3, 3)], GAP),
        ([(0.001, 32, 32)], GAP / 2),  # sixteen come in half the time
        ([(0.001, 160, 160)], GAP / 10),
    ],
)
def test_a_busy_engine_lets_tasks_gather(trips: list[tuple[float, int, int]], gap: float) -> None:
    assert gap_after(*trips) == pytest.approx(gap, rel=0.1)


def test_an_engine_becomes_busy_slowly_and_idle_at_once() -> None:
    assert gap_after((0.000_3, 1, 1), times=4) == 0.0
    rhythm = Rhythm()
    for turn in range(20):
        rhythm.saw(NOW + turn * 0.001, 2, 2)
    assert rhythm.gap() == GAP
    rhythm.saw(NOW + 1.0, 0, 1)
    assert rhythm.gap() == 0.0
