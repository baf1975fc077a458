"""The task fails for good, and those who hear of failures are told."""

from __future__ import annotations

from msgspec import structs

from smallage.core import codec
from smallage.core.errors import ChordError
from smallage.core.message import Failed
from smallage.core.trees import EXPAND
from smallage.core.wrapped import wrap
from smallage.log import ShelteredLogger
from smallage.request import Request
from smallage.run.context import LocalContext, WorkerContext
from smallage.run.saying import own_frames, said, traceback_text
from smallage.tasks.telling import ExceptionInfo, after_return, fields, guarded, signal_failure, signal_internal_error

logger = ShelteredLogger("smallage.task")


def fail(request: Request, error: BaseException, raised: BaseException | None, worker: WorkerContext) -> Failed:
    """The task fails for good with `error`; `raised` carries the traceback."""
    task, claim = request.task_object, request.claim
    assert claim is not None
    text = None if raised is None else traceback_text(raised)
    if type(worker) is LocalContext:
        worker.error = error
    expected = isinstance(error, tuple(task.throws)) if task.throws else False
    if expected:
        logger.info("Task %s[%s] raised expected: %s", claim.name, claim.id, said(error), extra=fields(claim))
    else:
        shown = raised and (type(raised), raised, own_frames(raised))
        logger.error(
            "Task %s[%s] raised unexpected: %s",
            *(claim.name, claim.id, said(error)),
            exc_info=shown,
            extra=fields(claim),
        )
    failed = bad_end(request, error, text)
    if not isinstance(error, ChordError):
        guarded(request, "on_failure", error, claim.id, request.args, request.kwargs, ExceptionInfo(error, text))
    signal_failure(request, error, text)
    after_return(request, "FAILURE", error)
    return failed


def bad_end(request: Request, error: BaseException, text: str | None) -> Failed:
    """The bad end with the error callbacks, and with the ends of the steps that do not come any more."""
    extras = request.extras
    if request.task == EXPAND and isinstance(error.__cause__, Exception):
        error = error.__cause__  # a group that is a chord's body ends as the header's member did
    failed = Failed(codec.encode_error(error, text))
    if "e" in extras:
        from smallage.workflows.following import call_errbacks

        try:
            failed = Failed(failed.error, then=call_errbacks(request, error, text))
        except Exception as problem:
            logger.exception("The error callbacks of %s[%s] cannot be sent", request.task, request.id)
            signal_internal_error(request, problem)
    if "n" in extras:
        from smallage.workflows.following import with_ends

        try:
            failed = with_ends(request, failed, "dead", failed.error)
        except Exception as problem:
            logger.exception("What comes after %s[%s] cannot be read", request.task, request.id)
            signal_internal_error(request, problem)
    if request.sent or request.current.extended:
        failed = structs.replace(failed, error=wrap(failed.error, request.kept()))
    return failed
