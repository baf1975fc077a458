"""Before the body: what a run needs besides its arguments, and who hears that it starts."""

from __future__ import annotations

import os
from typing import Any

from smallage import signals
from smallage.core import codec
from smallage.core.errors import StoreError, WorkerLostError
from smallage.core.message import Claim, Outcome, Snooze
from smallage.log import ShelteredLogger
from smallage.request import Request
from smallage.run.context import STORE_AWAY_US, LocalContext, WorkerContext
from smallage.run.failing import fail

logger = ShelteredLogger("smallage.task")


def only_once(request: Request, claim: Claim, worker: WorkerContext) -> Request | Outcome:
    """At most once: what was started and lost is not started again, whatever budget its sender gave it."""
    if claim.crashes or claim.lost:
        lost = WorkerLostError(
            f"The worker that ran {claim.name}[{claim.id}] was lost; ack='early' forbids another run."
        )
        return fail(request, lost, None, worker)
    return request if worker.start_once(claim) else Snooze(STORE_AWAY_US)


def give_outcomes(request: Request, worker: WorkerContext) -> None:
    """First argument of a group's body: the outcomes, or a chord's list of results."""
    from smallage.groups import Outcomes, chord_values, lazy_values

    claim, extras = request.claim, request.extras
    assert claim is not None
    assert claim.body_of is not None
    outcomes = worker.outcomes if type(worker) is LocalContext else None
    outcomes = outcomes or Outcomes(request.app, claim.body_of)
    if extras.get("c"):
        first: Any = lazy_values(outcomes) if request.prepared.pages else chord_values(outcomes)
    else:
        first = outcomes
    if not extras.get("i"):
        request.args = [first, *request.args]


def before_body(request: Request) -> None:
    """Signals and hooks ahead of the body; only for tasks that have any."""
    task = request.task_object
    if signals.task_prerun.receivers:
        signals.task_prerun.send(task, task_id=request.id, task=task, args=request.args, kwargs=request.kwargs)
    if request.prepared.tracked and not request.is_eager:
        _show_start(request)
    task.before_start(request.id, request.args, request.kwargs)


def _show_start(request: Request) -> None:
    """STARTED, with the process that runs it."""
    assert request.claim is not None
    note = codec.encode_note("STARTED", {"pid": os.getpid(), "hostname": request.hostname})
    try:
        request.app.store.progress(request.claim, note)
    except StoreError as error:
        logger.warning("The start of %s[%s] cannot be shown: %s", request.task, request.id, error)
