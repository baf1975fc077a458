"""The states of a task and the one table of what may follow what.

Every store obeys this table and the contract suite walks it; nothing else in the package spells out transitions.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

State: TypeAlias = Literal["scheduled", "ready", "running", "waiting", "parked", "done", "dead", "cancelled"]

OPEN: Final = frozenset({"scheduled", "ready", "running", "waiting", "parked"})
TERMINAL: Final = frozenset({"done", "dead", "cancelled"})

NEXT: Final[dict[State | None, frozenset[State | None]]] = {
    None: frozenset({"ready", "scheduled", "waiting", "done", "dead", "cancelled"}),
    "scheduled": frozenset({"ready", "waiting", "cancelled", None}),
    "ready": frozenset({"running", "waiting", "dead", "cancelled", None}),
    "running": frozenset({"done", "dead", "cancelled", "scheduled", "ready", "parked", "waiting"}),
    "waiting": frozenset({"ready", "scheduled", "done", "dead", "cancelled", None}),
    "parked": frozenset({"ready", "scheduled", "dead", "cancelled", None}),
    "done": frozenset({"ready", None}),
    "dead": frozenset({"ready", "waiting", None}),
    "cancelled": frozenset({"ready", None}),
}
"""State → states that may follow; None is "no record".

Records are born ended when another task's end says so (`End`), or when they were revoked before they came. Waiting is
left by a fill, by the end of the group, or by an end from outside; a group that is retried lets its body wait again.
A task that takes the place of one that never ran ("upstream") is a removal and a birth.
"""

REASONS: Final = frozenset(
    {"failed", "crashed", "lost", "expired", "undecodable", "damaged", "unknown-task", "upstream"}
)
"""Why a task is dead."""


def may_follow(before: State | None, after: State | None) -> bool:
    """True if a task may go from `before` to `after` in one step (staying put is always allowed)."""
    return before == after or after in NEXT[before]


def celery_state(state: State, reason: str | None, failures: int) -> str:
    """Celery's name for a stored state; `failures` tells a retry from a task never tried.

    A running task keeps the name it had while it waited, as in Celery: whoever wants STARTED asks for `track_started`,
    and programs that tell PENDING from all others rely on it.
    """
    match state:
        case "done":
            return "SUCCESS"
        case "dead":
            return "REVOKED" if reason == "expired" else "FAILURE"
        case "cancelled":
            return "REVOKED"
        case "scheduled" | "ready" | "running" if failures:
            return "RETRY"
        case _:
            return "PENDING"
