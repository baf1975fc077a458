"""Who is told of a run: the hooks of its task's class, the receivers of signals, the log."""

from __future__ import annotations

import time
import traceback as tracebacks
from typing import Any

from smallage import signals
from smallage.core.message import Claim
from smallage.log import ShelteredLogger
from smallage.request import Request

logger = ShelteredLogger("smallage.task")


class ExceptionInfo:
    """`einfo` of Celery's hooks: the exception, its type and its traceback as text."""

    def __init__(self, exception: BaseException, traceback: str | None) -> None:
        self.exception = exception
        self.type = type(exception)
        self.traceback = traceback or ""

    def __str__(self) -> str:
        return self.traceback


def fields(claim: Claim) -> dict[str, Any]:
    return {"task_id": claim.id, "task_name": claim.name, "queue": claim.queue}


def guarded(request: Request, hook: str, *values: Any) -> None:
    """Call a hook of the task; what it raises is logged and changes nothing; under `apply()` it is raised there."""
    try:
        getattr(request.task_object, hook)(*values)
    except Exception as error:
        if request.local is not None:
            request.local.hook_error = request.local.hook_error or error
        logger.exception("%s of %s[%s] failed", hook, request.task, request.id)


def signal_failure(request: Request, error: BaseException, text: str | None) -> None:
    if signals.task_failure.receivers:
        signals.task_failure.send(
            request.task_object,
            task_id=request.id,
            exception=error,
            args=request.args,
            kwargs=request.kwargs,
            traceback=error.__traceback__,
            einfo=ExceptionInfo(error, text),
        )


def signal_internal_error(request: Request, error: BaseException) -> None:
    """Something around the body has failed that is not the body's."""
    if signals.task_internal_error.receivers:
        text = "".join(tracebacks.format_exception(error))
        signals.task_internal_error.send(
            request.task_object,
            task_id=request.id,
            args=request.args,
            kwargs=request.kwargs,
            request=request,
            exception=error,
            traceback=error.__traceback__,
            einfo=ExceptionInfo(error, text),
        )


def after_success(request: Request, value: Any) -> None:
    task = request.task_object
    guarded(request, "on_success", value, request.id, request.args, request.kwargs)
    if signals.task_success.receivers:
        signals.task_success.send(task, result=value, runtime=time.monotonic() - request.began)
    after_return(request, "SUCCESS", value)


def after_return(request: Request, status: str, value: Any) -> None:
    guarded(request, "after_return", status, value, request.id, request.args, request.kwargs, None)
    signal_postrun(request, value, status)


def signal_postrun(request: Request, value: Any, status: str) -> None:
    task = request.task_object
    if signals.task_postrun.receivers:
        signals.task_postrun.send(
            task,
            task_id=request.id,
            task=task,
            args=request.args,
            kwargs=request.kwargs,
            retval=value,
            state=status,
        )
