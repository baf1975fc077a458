"""The body came to its end."""

from __future__ import annotations

from typing import Any

from smallage import signals
from smallage.core import codec
from smallage.core.errors import EncodeError, PayloadTooLarge
from smallage.core.message import Claim, Done, Outcome
from smallage.core.trees import UPSTREAM
from smallage.core.wrapped import wrap
from smallage.request import Request
from smallage.run.context import WorkerContext
from smallage.run.failing import fail
from smallage.run.raising import body_raised
from smallage.tasks.telling import after_success, signal_internal_error


def body_returned(request: Request, value: Any, worker: WorkerContext) -> Outcome:
    """The body came to its end."""
    pending = request.pending_retry
    if pending is not None:
        return body_raised(request, pending, worker)
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
            return fail(request, _said_of_result(error, claim), None, worker)
    done = Done(result)
    prepared = request.prepared
    if request.extras or request.sent or prepared.extended or prepared.version != request.app.conf.version:
        try:
            done = _with_followers(request, value, done)
        except Exception as error:
            signal_internal_error(request, error)
            return fail(request, error, error, worker)
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
