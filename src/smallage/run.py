"""One claim, from its bytes to its outcome. Nothing here touches the store but what the body itself asks for.

`execute` runs sync bodies, `aexecute` async ones. Neither raises: every way in which a body can end is an `Outcome`.
"""

from __future__ import annotations

import logging
import os
import random
import time
import traceback as tracebacks
from collections.abc import Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import structs

from smallage import signals
from smallage.builtin_tasks import builtin_task, unknown_task
from smallage.core import codec, retry
from smallage.core.errors import (
    ChordError,
    DecodeError,
    EncodeError,
    Ignore,
    MaxRetriesExceededError,
    PayloadTooLarge,
    Reject,
    Replace,
    StoreError,
    StoreFull,
    StoreUnavailable,
    TimeLimitExceeded,
    WorkerLostError,
)
from smallage.core.errors import Retry as RetryError
from smallage.core.message import (
    Cancelled,
    Claim,
    Crashed,
    Done,
    Failed,
    Outcome,
    Parked,
    Replaced,
    Snooze,
)
from smallage.core.trees import EXPAND, UPSTREAM
from smallage.core.wrapped import wrap
from smallage.request import Request, running
from smallage.tasks.again import next_attempt
from smallage.tasks.telling import (
    ExceptionInfo,
    after_return,
    after_success,
    fields,
    guarded,
    signal_failure,
    signal_postrun,
)

if TYPE_CHECKING:
    from smallage.app import Smallage

logger = logging.getLogger("smallage.task")

show_values = False
"""Whether the log shows what errors say, as Celery's does. They may hold secrets."""


def _said(error: BaseException) -> str:
    return repr(error) if show_values else type(error).__name__


STORE_AWAY_US = 1_000_000
"""Wait of a group's body whose group cannot be read now."""


class Terminated(BaseException):
    """Injected into a running body whose task was revoked with `terminate`."""


class HardTimeout(BaseException):
    """Injected into a running body whose hard time limit is over."""


class WorkerContext(Protocol):
    """What a run needs to know of its worker."""

    hostname: str
    pid: int
    rng: random.Random

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def start_once(self, claim: Claim) -> bool:
        """The body of this claim starts now and may not be started again (`ack="early"`): nobody may hand it back.
        False if it cannot start now."""
        ...


@dataclass
class LocalContext:
    """A worker context for runs without a worker: eager tasks and tests."""

    hostname: str = "local"
    pid: int = 0
    rng: random.Random = field(default_factory=random.Random)
    eager: bool = False
    """The run has no store: states it sets itself stay in the process."""
    outcomes: Any = None
    """What a group's body gets, instead of reading it from the store."""
    error: BaseException | None = None
    """What made the last run fail, or be tried again."""
    hook_error: BaseException | None = None
    """What a hook raised after the body."""

    def now(self) -> float:
        return time.time()

    def start_once(self, claim: Claim) -> bool:
        return True


# -- the two entries ----------------------------------------------------------------------------------------------
def execute(app: Smallage, claim: Claim, worker: WorkerContext) -> Outcome:
    """Run the sync body of a claimed task to its end."""
    opened = _open(app, claim, worker)
    if not isinstance(opened, Request):
        return opened
    token = running.set(opened)
    try:
        prepared = opened.prepared
        if prepared.hooked or signals.hearing:
            _before(opened)
        value = prepared.entry(*opened.args, **opened.kwargs)
        return _returned(opened, value, worker)
    except BaseException as error:
        return _raised(opened, error, worker)
    finally:
        running.reset(token)


async def aexecute(app: Smallage, claim: Claim, worker: WorkerContext) -> Outcome:
    """Run the async body of a claimed task to its end."""
    opened = _open(app, claim, worker)
    if not isinstance(opened, Request):
        return opened
    token = running.set(opened)
    try:
        prepared = opened.prepared
        if prepared.hooked or signals.hearing:
            _before(opened)
        value = await prepared.entry(*opened.args, **opened.kwargs)
        return _returned(opened, value, worker)
    except BaseException as error:
        return _raised(opened, error, worker)
    finally:
        running.reset(token)


def ended(app: Smallage, claim: Claim, error: BaseException, worker: WorkerContext) -> Outcome:
    """The outcome of a claim whose body was left behind, or in which `error` was raised too late to be seen by it."""
    task = app.tasks.get(claim.name) or builtin_task(app, claim.name)
    if task is None:
        return Parked()
    try:
        args, kwargs, extras = _arguments(claim)
    except Exception as problem:
        return Failed(codec.encode_error(problem), reason="undecodable")
    return _raised(Request(app, task, claim, args, kwargs, extras, worker.hostname), error, worker)


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


_HAS_EXTRAS = b"\x93"
"""First byte of a payload with extras: an array of three."""


# -- before the body ----------------------------------------------------------------------------------------------
_last_template: tuple[bytes, tuple[Any, Any, Any]] = (b"", ([], {}, {}))
"""A payload and what it holds; only such as no body can change."""
_FIXED = frozenset({int, float, str, bool, bytes, type(None)})


def _arguments(claim: Claim) -> tuple[Any, Any, Any]:
    """(args, kwargs, extras) of a claim. A group's template of plain values is decoded once for a row of members; one
    with containers for each, since a body may change them."""
    row = claim.row
    if row is None:
        return codec.decode_payload(claim.payload)
    global _last_template
    known, template = _last_template
    if known != claim.payload:
        template = codec.decode_payload(claim.payload)
        args, kwargs, extras = template
        if all(map(_is_fixed, (args, kwargs, extras.get("h") or (), extras.get("f") or ()))):
            _last_template = (claim.payload, template)
    args, kwargs = codec.decode_row(row)
    if template[0]:
        args = [*args, *template[0]]
    if "f" in template[2]:
        args = [*template[2]["f"], *args]
    if template[1]:
        kwargs = {**template[1], **kwargs}
    return args, kwargs, template[2]


def _is_fixed(part: Collection[Any]) -> bool:
    """True if the values of this part of a payload cannot be changed in place."""
    return _FIXED.issuperset(map(type, part.values() if isinstance(part, dict) else part))


def _open(app: Smallage, claim: Claim, worker: WorkerContext) -> Request | Outcome:
    """The request of a run, or the outcome that makes a run needless."""
    task = app.tasks.get(claim.name) or builtin_task(app, claim.name)
    if task is None and claim.after is None:
        return Parked()
    try:
        args, kwargs, extras = codec.decode_payload(claim.payload) if claim.row is None else _arguments(claim)
    except Exception as error:
        logger.error("Task %s[%s] cannot be read: %s", claim.name, claim.id, error, extra=fields(claim))
        return Failed(codec.encode_error(error), reason="undecodable")
    if claim.after is not None:
        return _followed_up(app, task, claim, args, kwargs, extras, worker)
    assert task is not None
    request = Request(app, task, claim, args, kwargs, extras, worker.hostname)
    try:
        prepared = task._prepared
        if prepared is None or prepared.version != app.conf.version:
            prepared = task.prepare()
        request.prepared = prepared
        if prepared.convert is not None:
            request.args, request.kwargs = prepared.convert(args, kwargs, claim.body_of is not None)
        if type(worker) is LocalContext:
            request.is_eager = worker.eager
            request.local = worker if worker.eager else None
        if claim.body_of is not None:
            _give_outcomes(request, worker)
        if prepared.ack == "early":
            return _only_once(request, claim, worker)
    except StoreError as error:
        logger.warning("Task %s[%s] waits for the store: %s", claim.name, claim.id, error, extra=fields(claim))
        return Snooze(STORE_AWAY_US)
    except Exception as error:
        return _failed(request, error, None, worker)
    return request


def _followed_up(
    app: Smallage, task: Any, claim: Claim, args: Any, kwargs: Any, extras: dict[str, Any], worker: WorkerContext
) -> Outcome:
    """What follows a task that the store itself has ended. No body runs."""
    from smallage.workflows.following import follow_up

    request = Request(app, task or unknown_task(app, claim.name), claim, args, kwargs, extras, worker.hostname)
    token = running.set(request)
    try:
        return follow_up(request)
    except StoreError as error:
        logger.warning("What follows %s[%s] waits for the store: %s", claim.name, claim.after, error)
        return Snooze(STORE_AWAY_US)
    except Exception as error:
        logger.exception("What follows %s[%s] cannot be sent", claim.name, claim.after)
        return Failed(codec.encode_error(error, _traceback(error)))
    finally:
        running.reset(token)


def _only_once(request: Request, claim: Claim, worker: WorkerContext) -> Request | Outcome:
    """At most once: what was started and lost is not started again, whatever budget its sender gave it."""
    if claim.crashes or claim.lost:
        lost = WorkerLostError(
            f"The worker that ran {claim.name}[{claim.id}] was lost; ack='early' forbids another run."
        )
        return _failed(request, lost, None, worker)
    return request if worker.start_once(claim) else Snooze(STORE_AWAY_US)


def _give_outcomes(request: Request, worker: WorkerContext) -> None:
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


def _before(request: Request) -> None:
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


# -- after the body -----------------------------------------------------------------------------------------------
def _returned(request: Request, value: Any, worker: WorkerContext) -> Outcome:
    """The body came to its end."""
    pending = request.pending_retry
    if pending is not None:
        return _raised(request, pending, worker)
    claim = request.claim
    assert claim is not None
    if claim.keep_us == 0 or value is None:
        result = None
    else:
        try:
            result = codec.encode_result(value)
            if result is not None and len(result) > request.prepared.warn_over:
                request.app.check_size(claim.name, len(result), "results")
            if result is not None and len(result) >= codec.WORTH:
                result = request.app.squeezed(result)
        except (EncodeError, PayloadTooLarge) as error:
            return _failed(request, _said_of_result(error, claim), None, worker)
    done = Done(result)
    prepared = request.prepared
    if request.extras or request.sent or prepared.extended or prepared.version != request.app.conf.version:
        try:
            done = _with_followers(request, value, done)
        except Exception as error:
            return _failed(request, error, error, worker)
    if request.prepared.hooked or signals.hearing:
        after_success(request, value)
    return done


def _with_followers(request: Request, value: Any, done: Done) -> Done:
    """The good end with what follows it, and with what else is kept of the run."""
    extras, then, ends = request.extras, done.then, done.ends
    if "n" in extras or "k" in extras:
        from smallage.workflows.following import follows_success, with_ends

        then = follows_success(request, value)
        if request.task == UPSTREAM:
            return with_ends(request, done, *request.args)  # type: ignore[no-any-return]
    result, claim = done.result, request.claim
    assert claim is not None
    if claim.keep_us:
        kept = request.kept()
        if kept:
            result = wrap(result, kept)
    return Done(result, then, ends)


def _said_of_result(error: Exception, claim: Claim) -> Exception:
    text = str(error)
    if isinstance(error, PayloadTooLarge):
        return PayloadTooLarge(text)
    return EncodeError(f"{claim.name} returned what cannot travel: {text.replace('pass ', 'return ')}")


def _raised(request: Request, error: BaseException, worker: WorkerContext) -> Outcome:
    """The body raised: what that means for the task."""
    if isinstance(error, RetryError):
        return _retried(request, error, worker)
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
        return _automatic(request, error, worker) or _failed(request, error, error, worker)
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
        return _failed(request, over, error, worker)
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        name = type(error).__name__
        logger.warning("Task %s[%s] raised %s: a crash", claim.name, claim.id, name, extra=fields(claim))
        lost = WorkerLostError(f"{task.name} raised {name} in its body")
        return Crashed(codec.encode_error(lost, _traceback(error)))
    return _failed(request, error, error, worker)


def _replaced(request: Request, error: Replace, worker: WorkerContext) -> Outcome:
    """The task gave its place to others."""
    from smallage.workflows.replacing import replaced

    try:
        outcome = Replaced((replaced(request, error.chain),))
        signal_postrun(request, error, "IGNORED")
        return outcome
    except Exception as problem:
        return _failed(request, problem, problem, worker)


# -- retries ------------------------------------------------------------------------------------------------------
def _automatic(request: Request, error: Exception, worker: WorkerContext) -> Outcome | None:
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
        return _retried(request, again, worker)
    except Exception as refusal:
        return _failed(request, refusal, refusal, worker)
    finally:
        running.reset(token)
    return None


def _retried(request: Request, error: RetryError, worker: WorkerContext) -> Outcome:
    """The outcome of a retry: when, and what changes."""
    task, claim, plan = request.task_object, request.claim, error.sig
    assert claim is not None
    call: dict[str, Any] = dict(plan.options) if plan is not None else {}
    if "countdown" not in call and "eta" not in call:
        if plan is None and retry.refused(request.retries, task.max_retries):
            return _failed(request, error, error, worker)
        when = error.when if error.when is not None else task.default_retry_delay
        call["countdown" if isinstance(when, (int, float)) else "eta"] = when
    cause = error.exc if isinstance(error.exc, BaseException) else error
    data = codec.encode_error(cause, _traceback(cause if cause.__traceback__ is not None else error))
    try:
        outcome = next_attempt(request, call, plan, data, worker.now())
    except Exception as problem:  # options out of bounds, arguments that cannot travel
        return _failed(request, problem, problem, worker)
    if type(worker) is LocalContext:
        worker.error = error
    _after_retry(request, error, data)
    return outcome


def _after_retry(request: Request, error: RetryError, data: bytes) -> None:
    cause = error.exc if isinstance(error.exc, BaseException) else error
    info = ExceptionInfo(cause, codec.decode_error(data).traceback)
    if logger.isEnabledFor(logging.INFO):
        assert request.claim is not None
        said = str(error) if show_values else f"{type(cause).__name__} {error.humanize()}"
        logger.info("Task %s[%s] retry: %s", request.task, request.id, said, extra=fields(request.claim))
    given = error.exc if isinstance(error.exc, BaseException) else None
    guarded(request, "on_retry", given, request.id, request.args, request.kwargs, info)
    if signals.task_retry.receivers:
        signals.task_retry.send(request.task_object, request=request, reason=error, einfo=info)
    signal_postrun(request, error, "RETRY")


def _rejected(request: Request, error: Reject, worker: WorkerContext) -> Outcome:
    claim = request.claim
    assert claim is not None
    if error.requeue:
        signal_postrun(request, error, "REJECTED")
        return Snooze(retry.reject_delay_us(claim.releases))
    if type(worker) is LocalContext:
        worker.error = error
    text = _traceback(error)
    failed = _with_errbacks(request, error, text)
    signal_postrun(request, error, "REJECTED")
    signal_failure(request, error, text)
    return failed


def _with_errbacks(request: Request, error: BaseException, text: str | None) -> Failed:
    """The bad end with the error callbacks, and with the ends of the steps that do not come any more."""
    extras = request.extras
    if request.task == EXPAND and isinstance(error.__cause__, Exception):
        error = error.__cause__  # a group that is a chord's body ends as the header's member did
    failed = Failed(codec.encode_error(error, text))
    if "e" in extras:
        from smallage.workflows.following import call_errbacks

        try:
            failed = Failed(failed.error, then=call_errbacks(request, error, text))
        except Exception:
            logger.exception("The error callbacks of %s[%s] cannot be sent", request.task, request.id)
    if "n" in extras:
        from smallage.workflows.following import with_ends

        try:
            failed = with_ends(request, failed, "dead", failed.error)
        except Exception:
            logger.exception("What comes after %s[%s] cannot be read", request.task, request.id)
    if request.sent or request.current.extended:
        failed = structs.replace(failed, error=wrap(failed.error, request.kept()))
    return failed


# -- failures and what hears of them ------------------------------------------------------------------------------
def _failed(request: Request, error: BaseException, raised: BaseException | None, worker: WorkerContext) -> Failed:
    """The task fails for good with `error`; `raised` carries the traceback."""
    task, claim = request.task_object, request.claim
    assert claim is not None
    text = None if raised is None else _traceback(raised)
    if type(worker) is LocalContext:
        worker.error = error
    expected = isinstance(error, tuple(task.throws)) if task.throws else False
    if expected:
        logger.info("Task %s[%s] raised expected: %s", claim.name, claim.id, _said(error), extra=fields(claim))
    else:
        shown = raised and (type(raised), raised, _own_frames(raised))
        logger.error(
            "Task %s[%s] raised unexpected: %s",
            *(claim.name, claim.id, _said(error)),
            exc_info=shown,
            extra=fields(claim),
        )
    failed = _with_errbacks(request, error, text)
    if not isinstance(error, ChordError):
        guarded(request, "on_failure", error, claim.id, request.args, request.kwargs, ExceptionInfo(error, text))
    signal_failure(request, error, text)
    after_return(request, "FAILURE", error)
    return failed


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback without the frames of this file, which tell nobody anything."""
    here = error.__traceback__
    while here is not None and here.tb_frame.f_code.co_filename == __file__:
        here = here.tb_next
    return here


def _traceback(error: BaseException) -> str:
    """The traceback as text."""
    return "".join(tracebacks.format_exception(type(error), error, _own_frames(error)))
