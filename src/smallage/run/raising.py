"""The body raised, or was ended from outside."""

from __future__ import annotations

from smallage.core import codec, retry
from smallage.core.errors import (
    Ignore,
    Reject,
    Replace,
    StoreFull,
    StoreUnavailable,
    TimeLimitExceeded,
    WorkerLostError,
)
from smallage.core.errors import Retry as RetryError
from smallage.core.message import Cancelled, Crashed, Done, Outcome, Replaced, Snooze
from smallage.core.trees import EXPAND
from smallage.log import ShelteredLogger
from smallage.request import Request
from smallage.run.context import STORE_AWAY_US, HardTimeout, LocalContext, Terminated, WorkerContext
from smallage.run.failing import bad_end, fail
from smallage.run.retrying import try_again, try_again_by_itself
from smallage.run.saying import traceback_text
from smallage.tasks.telling import fields, signal_failure, signal_postrun

logger = ShelteredLogger("smallage.task")


def body_raised(request: Request, error: BaseException, worker: WorkerContext) -> Outcome:
    """The body raised: what that means for the task."""
    if isinstance(error, RetryError):
        return try_again(request, error, worker)
    if isinstance(error, Replace):
        return _replaced(request, error, worker)
    if isinstance(error, Ignore):
        return _ignored(request, error)
    if isinstance(error, Reject):
        return _rejected(request, error, worker)
    if request.task == EXPAND and isinstance(error, (StoreUnavailable, StoreFull)):
        logger.warning("A group behind %s waits for the store: %s", request.parent_id, error)
        return Snooze(STORE_AWAY_US)
    if isinstance(error, Exception):
        return try_again_by_itself(request, error, worker) or fail(request, error, error, worker)
    return _stopped(request, error, worker)


def _ignored(request: Request, error: Ignore) -> Done:
    """The task wants no end of its own; a state that it has set stays."""
    state, meta = request.note or ("IGNORED", None)
    done = Done(codec.encode_mark(state, meta))
    if "n" in request.extras:
        from smallage.workflows.following import with_ends

        done = with_ends(request, done, "done", codec.encode_mark("IGNORED", None))
    signal_postrun(request, error, "IGNORED")
    return done


def _stopped(request: Request, error: BaseException, worker: WorkerContext) -> Outcome:
    """The body was ended from outside, or raised something that is no Exception."""
    task, claim = request.task_object, request.claim
    assert claim is not None
    if isinstance(error, Terminated):
        logger.info("Task %s[%s] was terminated", claim.name, claim.id, extra=fields(claim))
        return Cancelled(reason="terminated")
    if isinstance(error, HardTimeout):
        seconds = request.time_limit
        over = TimeLimitExceeded(*(() if seconds is None else (seconds,)))
        if task.acks_on_timeout is False:
            logger.warning("Task %s[%s] met its time limit: a crash", claim.name, claim.id, extra=fields(claim))
            return Crashed(codec.encode_error(over))
        return fail(request, over, error, worker)
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        name = type(error).__name__
        logger.warning("Task %s[%s] raised %s: a crash", claim.name, claim.id, name, extra=fields(claim))
        lost = WorkerLostError(f"{task.name} raised {name} in its body")
        return Crashed(codec.encode_error(lost, traceback_text(error)))
    return fail(request, error, error, worker)


def _replaced(request: Request, error: Replace, worker: WorkerContext) -> Outcome:
    """The task gave its place to others."""
    from smallage.workflows.replacing import replaced

    try:
        outcome = Replaced((replaced(request, error.chain),))
        signal_postrun(request, error, "IGNORED")
        return outcome
    except Exception as problem:
        return fail(request, problem, problem, worker)


def _rejected(request: Request, error: Reject, worker: WorkerContext) -> Outcome:
    claim = request.claim
    assert claim is not None
    if error.requeue:
        signal_postrun(request, error, "REJECTED")
        return Snooze(retry.reject_delay_us(claim.releases))
    if type(worker) is LocalContext:
        worker.error = error
    text = traceback_text(error)
    failed = bad_end(request, error, text)
    signal_postrun(request, error, "REJECTED")
    signal_failure(request, error, text)
    return failed
