"""Signals about tasks that a worker sends besides those of a run: received, unknown, rejected, revoked."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final

from smallage import signals
from smallage.core import codec
from smallage.core.errors import DecodeError, NotRegistered
from smallage.core.message import Cancelled, Failed

if TYPE_CHECKING:
    from smallage.core.message import Claim, Outcome
    from smallage.worker.heralding import WorkerView

_HEARD: Final = (signals.task_received, signals.task_rejected, signals.task_revoked)
_REVOKED: Final = ("revoked", "terminated", "expired", "purged")


def anybody() -> bool:
    """True if somebody is connected to a signal that claims or outcomes cause."""
    return any(one.receivers for one in _HEARD)


class ReceivedTask:
    """`request` of these signals: what a worker knows of a task before it runs it."""

    def __init__(self, claim: Claim, view: WorkerView | None) -> None:
        self._claim = claim
        self.id = self.task_id = claim.after or claim.id
        self.name = self.task_name = self.task = claim.name
        self.hostname = None if view is None else view.hostname
        self.app = None if view is None else view.app
        self.retries = claim.failures
        self.delivery_info = {"exchange": "", "routing_key": claim.queue, "priority": claim.priority}
        self.argsrepr = self.kwargsrepr = ""

    def _decoded(self) -> tuple[list[Any], dict[str, Any]]:
        try:
            args, kwargs, _ = codec.decode_payload(self._claim.payload)
            if self._claim.row is not None:
                own, named = codec.decode_row(self._claim.row)
                return [*own, *args], {**kwargs, **named}
        except DecodeError:
            return [], {}
        return args, kwargs

    @property
    def args(self) -> list[Any]:
        return self._decoded()[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        return self._decoded()[1]

    def __repr__(self) -> str:
        return f"<Request: {self.name}[{self.id}]>"


def received(view: WorkerView | None, claim: Claim) -> None:
    """The worker has it in hand."""
    if signals.task_received.receivers and claim.after is None:
        signals.task_received.send(sender=view, request=ReceivedTask(claim, view))


def unknown(view: WorkerView | None, claim: Claim) -> None:
    """Nobody here knows its name."""
    if signals.task_unknown.receivers:
        error = NotRegistered(claim.name)
        message = ReceivedTask(claim, view)
        signals.task_unknown.send(sender=view, message=message, exc=error, name=claim.name, id=claim.id)


def ended(view: WorkerView | None, claim: Claim, outcome: Outcome) -> None:
    """It was terminated, revoked or expired, or could not be read."""
    if claim.after is not None:
        if claim.reason in _REVOKED and claim.reason != "terminated":  # the worker that it was taken from has said so
            _revoked(view, claim, claim.reason)
    elif isinstance(outcome, Cancelled):
        _revoked(view, claim, outcome.reason)
    elif isinstance(outcome, Failed) and outcome.reason == "undecodable" and signals.task_rejected.receivers:
        said = "" if outcome.error is None else codec.decode_error(outcome.error).message
        signals.task_rejected.send(sender=view, message=ReceivedTask(claim, view), exc=DecodeError(said))


def _revoked(view: WorkerView | None, claim: Claim, reason: str) -> None:
    if not signals.task_revoked.receivers:
        return
    terminated = reason == "terminated"
    signals.task_revoked.send(
        sender=None if view is None else dict.get(view.app.tasks, claim.name),
        request=ReceivedTask(claim, view),
        terminated=terminated,
        signum=signal.SIGTERM if terminated else None,
        expired=reason == "expired",
    )
