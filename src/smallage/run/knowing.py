"""What a worker asks about a claim before it runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.builtin_tasks import builtin_task
from smallage.core import codec
from smallage.core.errors import DecodeError
from smallage.core.message import Claim

if TYPE_CHECKING:
    from smallage.app import Smallage

_HAS_EXTRAS = b"\x93"
"""First byte of a payload with extras: an array of three."""


def is_async(app: Smallage, claim: Claim) -> bool | None:
    """True if the claimed task's body is `async def`; None if its name is unknown here."""
    task = app.tasks.get(claim.name)
    if task is None:
        return None if claim.after is None and builtin_task(app, claim.name) is None else False
    return task.is_async and claim.after is None


def limits(app: Smallage, claim: Claim) -> tuple[float | None, float | None]:
    """(soft, hard) time limits of a claimed task in seconds: the call's, else the task's, else the settings'."""
    task = app.tasks.get(claim.name)
    if task is None:
        return None, None
    if claim.payload[:1] == _HAS_EXTRAS:
        try:
            called = codec.decode_payload(claim.payload)[2].get("l")
            if called:
                return called[0], called[1]
        except (DecodeError, TypeError, IndexError):
            pass  # the run will say so
    try:
        return task.current().limits
    except (ValueError, TypeError):
        return None, None  # the run will say so
