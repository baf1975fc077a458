"""The queue: everything that the rest of the program knows of it is here.

Two spellings of the same tasks, chosen by the environment variable PLAYLIST_SEARCH_TASKS: "smallage" (the default,
`native.py`) or "celery" (`in_celery.py`). Each has the functions of `Queue`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

VARIABLE = "PLAYLIST_SEARCH_TASKS"
MODULES = {"smallage": "playlist_search.tasks.native", "celery": "playlist_search.tasks.in_celery"}


@dataclass(frozen=True)
class Counters:
    """How the tasks of a run's videos stand."""

    total: int
    done: int
    failed: int
    running: int
    ended: bool


class Queue(Protocol):
    """What a spelling offers. A run's `group_id` names the tasks of its videos."""

    def start(self, run_id: str) -> None:
        """Have the run's playlist listed and its videos indexed. Done twice it happens once."""

    def listing_error(self, run_id: str) -> str:
        """Why the task that lists the playlist has failed for good, for people; empty if it has not."""

    def counters(self, group_id: str) -> Counters | None:
        """How the videos' tasks stand; None while there are none, or when they are no longer remembered."""

    def changes(self, group_id: str, patience: float) -> Iterator[Counters | None]:
        """`counters` now, then whenever they change, at most ten times a second, and every `patience` seconds anyway;
        the last when all have ended."""

    def failures(self, group_id: str) -> Iterator[tuple[int, str]]:
        """(place, reason) of the tasks that have failed."""

    def retry(self, run_id: str, group_id: str, place: int) -> bool:
        """Run a video's failed task again; False if it has not failed, or is no longer remembered."""

    def retry_failed(self, run_id: str, group_id: str) -> int:
        """Run all failed tasks again; returns how many."""


def queue() -> Queue:
    """The spelling that was chosen. Raises ValueError for an unknown one."""
    name = os.environ.get(VARIABLE, "smallage")
    if name not in MODULES:
        raise ValueError(f"{VARIABLE} is to be one of {', '.join(MODULES)}, not {name!r}.")
    return cast(Queue, import_module(MODULES[name]))
