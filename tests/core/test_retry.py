"""When a task is tried again."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from smallage.core import retry


@pytest.mark.parametrize(
    ("retries", "limit", "answer"),
    [(0, 3, False), (2, 3, False), (3, 3, True), (4, 3, True), (0, 0, True), (10**6, None, False)],
)
def test_three_retries_are_four_runs(retries, limit, answer):
    assert retry.refused(retries, limit) is answer


@pytest.mark.parametrize(
    ("factor", "retries", "most", "seconds"),
    [
        (True, 0, 600, 1),
        (True, 3, 600, 8),
        (3, 2, 600, 12),
        (3, 12, 600, 600),
        (0.5, 2, 600, 4),  # smaller factors count as 1
        (2.9, 1, 600, 4),  # whole factors only
        (1, 10**6, 600, 600),
        (1, 10**6, 10**30, retry.MAX_DELAY),
        (5, 0, 0, 0),
    ],
)
def test_backoff(factor, retries, most, seconds):
    assert retry.backoff(factor, retries, most, False, random.Random(1)) == seconds


def test_jitter_draws_whole_seconds_from_zero_to_the_backoff():
    rng = random.Random(7)
    drawn = {retry.backoff(1, 3, 600, True, rng) for _ in range(500)}
    assert drawn == set(range(9))


def task(**values):
    plain = {"retry_backoff": False, "retry_backoff_max": 600, "retry_jitter": False, "retry_kwargs": {}}
    return SimpleNamespace(**{**plain, **values})


def test_backoff_replaces_the_countdown_of_retry_kwargs():
    rng = random.Random(1)
    assert retry.automatic_delay(task(retry_kwargs={"countdown": 7}), 2, rng) == 7
    assert retry.automatic_delay(task(retry_kwargs={"countdown": 7}, retry_backoff=2), 2, rng) == 8
    assert retry.automatic_delay(task(), 2, rng) is None


def test_rejected_tasks_are_spaced_out():
    seconds = [retry.reject_delay_us(releases) / 1e6 for releases in range(10)]
    assert seconds == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert retry.reject_delay_us(10**9) == 60_000_000
