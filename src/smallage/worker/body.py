"""What runs in a slot: `smallage.run` bound to one app, and the ends that the worker itself gives to a task."""

from __future__ import annotations

import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from smallage import run
from smallage.core.errors import SoftTimeLimitExceeded
from smallage.core.message import Parked

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from smallage.core.message import Claim, Outcome
    from smallage.worker.slot import Slot
    from smallage.worker.tasklog import TaskLog
    from smallage.worker.witness import Witness

logger = logging.getLogger("smallage.worker")

INTERRUPTS = (SoftTimeLimitExceeded, run.HardTimeout, run.Terminated)
"""What is raised in a body from outside."""


class Body:
    """Runs claims of one app. One per child; shared by its pools."""

    def __init__(self, app: Any, context: run.WorkerContext, log: TaskLog, witness: Witness | None = None) -> None:
        self.app, self.context, self._log, self._witness = app, context, log, witness

    def is_async(self, claim: Claim) -> bool | None:
        """Whether the task is a coroutine function; None if nobody here knows its name."""
        return run.is_async(self.app, claim)

    def limits(self, claim: Claim) -> tuple[float | None, float | None]:
        """(soft, hard) seconds."""
        return run.limits(self.app, claim)

    def run(self, claim: Claim, slot: Slot) -> Outcome:
        """Run the body in this thread, a coroutine in the slot's own event loop; in a context of its own, so that
        what it sets there (context variables, the decimal context) ends with it."""
        kind = run.is_async(self.app, claim)
        if kind is False:
            return copy_context().run(run.execute, self.app, claim, self.context)
        if kind is None:
            return self.unknown(claim)
        if slot.runner is None:
            with slot.shelter:  # an interrupted import would leave its lock behind
                from smallage.worker.pools.driven import Runner

                slot.runner = Runner(slot)
        outcome: Outcome = slot.runner.run(run.aexecute(self.app, claim, self.context))
        return outcome

    def arun(self, claim: Claim) -> Coroutine[Any, Any, Outcome]:
        """The coroutine that runs the body."""
        return run.aexecute(self.app, claim, self.context)

    def look_around(self, claim: Claim) -> None:
        """Behind a body, while its claim is on the board still: has it left this process fit for work?"""
        if self._witness is not None:
            self._witness.look(claim)

    def unknown(self, claim: Claim) -> Outcome:
        """Nobody here knows the task's name."""
        self._log.unknown(claim)
        return Parked()

    def ended(self, claim: Claim, error: BaseException) -> Outcome:
        """How a task ends whose body was left behind, or in which `error` was raised too late to be seen by it."""
        return run.ended(self.app, claim, error, self.context)
