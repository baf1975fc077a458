"""The lines about tasks in a worker's log: received, succeeded, retried, failed. Names and ids, never arguments;
results only under the command `celery`, whose users expect them."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from smallage.core import codec
from smallage.core.message import Cancelled, Done, Released
from smallage.worker import hearing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smallage.core.message import Claim, Outcome, Settlement
    from smallage.worker.heralding import WorkerView

logger = logging.getLogger("smallage.worker")

ALARM_EVERY = 60.0
"""Seconds between two warnings about the same unknown task name."""
MOST_SHOWN = 1024
"""Characters of a result that the log shows, if it shows them."""


class TaskLog:
    """Writes the lines, and tells those who are connected to the signals about claims. `enabled` is looked up once, so
    that a quiet worker pays nothing for them."""

    __slots__ = ("_alarmed", "_heard", "_values", "_written", "enabled", "view")

    def __init__(self, view: WorkerView | None = None, values: bool = False) -> None:
        self._values = values
        self._written = logger.isEnabledFor(logging.INFO)
        self._heard = hearing.anybody()
        self.enabled = self._written or self._heard
        self.view = view
        self._alarmed: dict[str, float] = {}

    def received(self, claims: Sequence[Claim]) -> None:
        """The claims are in hand."""
        for claim in claims:
            if self._written:
                logger.info("Task %s[%s] received", claim.name, claim.id, extra=_fields(claim))
            if self._heard:
                hearing.received(self.view, claim)

    def ended(self, claim: Claim, outcome: Outcome, took: float) -> None:
        """The body has ended. Failures and retries are told with their error by `smallage.run`."""
        if self._heard:
            hearing.ended(self.view, claim, outcome)
        if type(outcome) is Done and self._written:
            value = f": {_shown(outcome.result)}" if self._values else ""
            logger.info(
                "Task %s[%s] succeeded in %.6fs%s", claim.name, claim.id, took, value, extra=_fields(claim, took)
            )

    def unknown(self, claim: Claim) -> None:
        """Nobody here knows the task's name: it is parked. Told once a minute for each name."""
        hearing.unknown(self.view, claim)
        now = monotonic()
        if now - self._alarmed.get(claim.name, -ALARM_EVERY) < ALARM_EVERY:
            return
        if len(self._alarmed) > 1000:
            self._alarmed.clear()
        self._alarmed[claim.name] = now
        logger.warning(
            "No task named '%s' is registered here: %s is parked until a worker knows it. "
            "Is its module imported by the app of this worker?",
            claim.name,
            claim.id,
            extra=_fields(claim),
        )

    def stale(self, settlements: Sequence[Settlement], verdicts: Sequence[str]) -> None:
        """Outcomes that the store refused, because another run, a revoke or an end came first."""
        for one, verdict in zip(settlements, verdicts, strict=False):
            if verdict == "stale" and not isinstance(one.outcome, (Cancelled, Released)):
                logger.info("Task [%s]: this run is no longer the current one, so its outcome is dropped", one.id)


def _shown(result: bytes | None) -> str:
    text = repr(codec.decode_result(result))
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _fields(claim: Claim, took: float | None = None) -> dict[str, object]:
    fields: dict[str, object] = {"task_id": claim.id, "task_name": claim.name, "queue": claim.queue}
    if took is not None:
        fields["runtime"] = round(took, 6)
    return fields
