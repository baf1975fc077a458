"""The way of a claim: it is opened, its body runs, and its outcome is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage import signals
from smallage.builtin_tasks import builtin_task
from smallage.core import codec
from smallage.core.errors import StoreError
from smallage.core.message import Claim, Failed, Outcome, Parked, Snooze
from smallage.log import ShelteredLogger
from smallage.request import Request, running
from smallage.run.context import STORE_AWAY_US, LocalContext, WorkerContext
from smallage.run.failing import fail
from smallage.run.following import follow_end_by_store
from smallage.run.preparing import before_body, give_outcomes, only_once
from smallage.run.raising import body_raised
from smallage.run.reading import arguments_of
from smallage.run.returning import body_returned
from smallage.run.straying import leave
from smallage.tasks.telling import fields

if TYPE_CHECKING:
    from smallage.app import Smallage

logger = ShelteredLogger("smallage.task")


def execute(app: Smallage, claim: Claim, worker: WorkerContext) -> Outcome:
    """Run the sync body of a claimed task to its end."""
    opened = open_claim(app, claim, worker)
    if not isinstance(opened, Request):
        return opened
    token = running.set(opened)
    try:
        prepared = opened.prepared
        if prepared.hooked or signals.hearing:
            before_body(opened)
        value = prepared.entry(*opened.args, **opened.kwargs)
        if opened.strayed and opened.local is None:
            leave(None)
        return body_returned(opened, value, worker)
    except BaseException as error:
        if opened.strayed and opened.local is None:
            leave(error)
        return body_raised(opened, error, worker)
    finally:
        running.reset(token)


async def aexecute(app: Smallage, claim: Claim, worker: WorkerContext) -> Outcome:
    """Run the async body of a claimed task to its end."""
    opened = open_claim(app, claim, worker)
    if not isinstance(opened, Request):
        return opened
    token = running.set(opened)
    try:
        prepared = opened.prepared
        if prepared.hooked or signals.hearing:
            before_body(opened)
        value = await prepared.entry(*opened.args, **opened.kwargs)
        if opened.strayed and opened.local is None:
            leave(None)
        return body_returned(opened, value, worker)
    except BaseException as error:
        if opened.strayed and opened.local is None:
            leave(error)
        return body_raised(opened, error, worker)
    finally:
        running.reset(token)


def ended(app: Smallage, claim: Claim, error: BaseException, worker: WorkerContext) -> Outcome:
    """The outcome of a claim whose body was left behind, or in which `error` was raised too late to be seen by it."""
    task = app.tasks.get(claim.name) or builtin_task(app, claim.name)
    if task is None:
        return Parked()
    try:
        args, kwargs, extras = arguments_of(claim)
    except Exception as problem:
        return Failed(codec.encode_error(problem), reason="undecodable")
    return body_raised(Request(app, task, claim, args, kwargs, extras, worker.hostname), error, worker)


def open_claim(app: Smallage, claim: Claim, worker: WorkerContext) -> Request | Outcome:
    """The request of a run, or the outcome that makes a run needless."""
    task = app.tasks.get(claim.name) or builtin_task(app, claim.name)
    if task is None and claim.after is None:
        return Parked()
    try:
        args, kwargs, extras = codec.decode_payload(claim.payload) if claim.row is None else arguments_of(claim)
    except Exception as error:
        logger.error("Task %s[%s] cannot be read: %s", claim.name, claim.id, error, extra=fields(claim))
        return Failed(codec.encode_error(error), reason="undecodable")
    if claim.after is not None:
        return follow_end_by_store(app, task, claim, args, kwargs, extras, worker)
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
            give_outcomes(request, worker)
        if prepared.ack == "early":
            return only_once(request, claim, worker)
    except StoreError as error:
        logger.warning("Task %s[%s] waits for the store: %s", claim.name, claim.id, error, extra=fields(claim))
        return Snooze(STORE_AWAY_US)
    except Exception as error:
        return fail(request, error, None, worker)
    return request
