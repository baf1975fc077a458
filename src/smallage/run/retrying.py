"""The task waits for another attempt."""

from __future__ import annotations

import logging
from typing import Any

from smallage import signals
from smallage.core import codec, retry
from smallage.core.errors import DecodeError, MaxRetriesExceededError
from smallage.core.errors import Retry as RetryError
from smallage.core.message import Outcome
from smallage.log import ShelteredLogger
from smallage.request import Request, running
from smallage.run import saying
from smallage.run.context import LocalContext, WorkerContext
from smallage.run.failing import fail
from smallage.run.saying import traceback_text
from smallage.tasks.again import next_attempt
from smallage.tasks.telling import ExceptionInfo, fields, guarded, signal_postrun

logger = ShelteredLogger("smallage.task")


def try_again_by_itself(request: Request, error: Exception, worker: WorkerContext) -> Outcome | None:
    """What becomes of a task with `autoretry_for`: the outcome of its `retry`; None if the error is not one of those,
    or a retry was asked for before it."""
    task = request.task_object
    if not task.autoretry_for or not isinstance(error, tuple(task.autoretry_for)) or request.pending_retry is not None:
        return None
    if task.dont_autoretry_for and isinstance(error, tuple(task.dont_autoretry_for)):
        return None
    if isinstance(error, (MaxRetriesExceededError, DecodeError)):
        return None
    given = dict(task.retry_kwargs)
    if request.limit_override is not None:
        given["max_retries"] = request.limit_override
    if task.retry_backoff:
        given["countdown"] = retry.automatic_delay(task, request.retries, worker.rng)
    token = running.set(request)
    try:
        task.retry(exc=error, **given)
    except RetryError as again:
        again.__traceback__ = error.__traceback__
        return try_again(request, again, worker)
    except Exception as refusal:
        return fail(request, refusal, refusal, worker)
    finally:
        running.reset(token)
    return None


def try_again(request: Request, error: RetryError, worker: WorkerContext) -> Outcome:
    """The outcome of a retry: when, and what changes."""
    task, claim, plan = request.task_object, request.claim, error.sig
    assert claim is not None
    call: dict[str, Any] = dict(plan.options) if plan is not None else {}
    if "countdown" not in call and "eta" not in call:
        if plan is None and retry.refused(request.retries, task.max_retries):
            return fail(request, error, error, worker)
        when = error.when if error.when is not None else task.default_retry_delay
        call["countdown" if isinstance(when, (int, float)) else "eta"] = when
    cause = error.exc if isinstance(error.exc, BaseException) else error
    data = codec.encode_error(cause, traceback_text(cause if cause.__traceback__ is not None else error))
    try:
        outcome = next_attempt(request, call, plan, data, worker.now())
    except Exception as problem:  # options out of bounds, arguments that cannot travel
        return fail(request, problem, problem, worker)
    if type(worker) is LocalContext:
        worker.error = error
    _after_retry(request, error, data)
    return outcome


def _after_retry(request: Request, error: RetryError, data: bytes) -> None:
    cause = error.exc if isinstance(error.exc, BaseException) else error
    info = ExceptionInfo(cause, codec.decode_error(data).traceback)
    if logger.isEnabledFor(logging.INFO):
        assert request.claim is not None
        said = str(error) if saying.show_values else f"{type(cause).__name__} {error.humanize()}"
        logger.info("Task %s[%s] retry: %s", request.task, request.id, said, extra=fields(request.claim))
    given = error.exc if isinstance(error.exc, BaseException) else None
    guarded(request, "on_retry", given, request.id, request.args, request.kwargs, info)
    if signals.task_retry.receivers:
        signals.task_retry.send(request.task_object, request=request, reason=error, einfo=info)
    signal_postrun(request, error, "RETRY")
