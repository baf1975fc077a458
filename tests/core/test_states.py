"""The table of states, and the names Celery gives them."""

from __future__ import annotations

from typing import get_args

import pytest

from smallage.core.states import NEXT, OPEN, REASONS, TERMINAL, State, celery_state, may_follow

STATES: tuple[State, ...] = get_args(State)


def test_each_state_is_open_or_terminal() -> None:
    assert set(STATES) == OPEN | TERMINAL
    assert not OPEN & TERMINAL


def test_the_table_speaks_of_every_state_and_of_no_other() -> None:
    assert set(NEXT) == {*STATES, None}
    assert set().union(*NEXT.values()) == {*STATES, None}


def test_an_end_is_left_by_requeue_or_removal_only() -> None:
    assert [NEXT[state] for state in ("done", "cancelled")] == [{"ready", None}] * 2
    assert NEXT["dead"] == {"ready", "waiting", None}, "a dead body waits again when its group is retried"


def test_only_what_is_ready_starts() -> None:
    assert [state for state in NEXT if "running" in NEXT[state]] == ["ready"]


def test_what_never_ran_is_done_only_by_the_end_of_another() -> None:
    assert [state for state in NEXT if "done" in NEXT[state]] == [None, "running", "waiting"]


def test_only_what_runs_is_parked() -> None:
    assert [state for state in NEXT if "parked" in NEXT[state]] == ["running"]


def test_what_runs_is_never_simply_removed() -> None:
    assert None not in NEXT["running"]


@pytest.mark.parametrize("state", [state for state in STATES if state in OPEN])
def test_every_open_state_can_be_cancelled(state: State) -> None:
    assert may_follow(state, "cancelled")


def test_may_follow() -> None:
    assert may_follow(None, "ready")
    assert may_follow("running", "running")
    assert not may_follow("done", "running")
    assert may_follow(None, "done")
    assert not may_follow(None, "running")
    assert not may_follow("cancelled", "done")


@pytest.mark.parametrize(
    ("state", "reason", "failures", "name"),
    [
        ("done", None, 0, "SUCCESS"),
        ("done", None, 3, "SUCCESS"),
        *(("dead", reason, 0, "REVOKED" if reason == "expired" else "FAILURE") for reason in sorted(REASONS)),
        ("cancelled", "revoked", 0, "REVOKED"),
        ("running", None, 0, "PENDING"),
        ("running", None, 2, "RETRY"),
        ("scheduled", None, 0, "PENDING"),
        ("scheduled", None, 1, "RETRY"),
        ("ready", None, 0, "PENDING"),
        ("ready", None, 2, "RETRY"),
        ("waiting", None, 0, "PENDING"),
        ("parked", None, 0, "PENDING"),
        ("parked", None, 1, "PENDING"),
    ],
)
def test_celery_names(state: State, reason: str | None, failures: int, name: str) -> None:
    assert celery_state(state, reason, failures) == name
