"""Tasks run here and now: `apply()` and `task_always_eager`. No store is needed, retries follow at once."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from smallage.app import new_id
from smallage.builtin_tasks import builtin_task
from smallage.core import calls, codec, trees
from smallage.core.canvas import Signature, signature
from smallage.core.errors import TaskRevokedError
from smallage.core.message import Cancelled, Claim, Crashed, Done, Failed, Outcome, Retry, Snooze
from smallage.core.states import State
from smallage.groups import GroupResult, Outcomes
from smallage.request import direct, running
from smallage.result import EagerResult, restored
from smallage.results.saving import store_result
from smallage.run import LocalContext, aexecute, execute
from smallage.stores.base import GroupView, MemberResult

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.task import Task

R = TypeVar("R")

logger = logging.getLogger("smallage.task")


def apply(
    task: Task[Any, R], args: Sequence[Any], kwargs: Mapping[str, Any], call: Mapping[str, Any]
) -> EagerResult[R]:
    """Run a task with its arguments encoded and decoded once, as a worker would get them."""
    call = dict(call)
    throw = call.pop("throw", None)
    throw = task.app.conf.task_eager_propagates if throw is None else throw
    for name in ("logfile", "loglevel", "retries"):
        call.pop(name, None)
    links, errbacks = trees.as_list(call.pop("link", None)), trees.as_list(call.pop("link_error", None))
    calls.check(call)
    worker = LocalContext(eager=True)
    result = _run(task, args, kwargs, call, worker, {}, throw)
    if task.store_eager_result and not task.ignore_result and result.state in ("SUCCESS", "FAILURE"):
        task.app.backend.store_result(result.id, result.result, result.state, result.traceback)
    if task.store_eager_result and not task.ignore_result:
        store_result(task.app, result.id, result.result, result.state, result.traceback)
    if worker.hook_error is not None:
        raise worker.hook_error
    if result.state == "SUCCESS":
        result.linked = [_follow(task.app, link, (result.result,), throw) for link in links]
    elif result.state == "FAILURE":
        _call_errbacks(task, result, errbacks, args, kwargs)
        if throw:
            raise result.result
    return result


def _follow(app: Smallage, link: Any, args: tuple[Any, ...], throw: bool) -> Any:
    chain = trees.chain_of(link)
    trees.freeze(chain, lambda path: new_id())
    return apply_chain(app, chain, throw, args)


def _call_errbacks(
    task: Task[Any, Any], result: EagerResult[Any], errbacks: list[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Error callbacks here and now, with the id of the failed task or with what it raised."""
    from smallage.request import Context
    from smallage.workflows.following import takes_the_error

    for errback in errbacks:
        chain = trees.chain_of(errback)
        head = chain[0] if len(chain) == 1 else None
        call = takes_the_error(task.app, head) if isinstance(head, trees.Step) else None
        if call is None:
            _follow(task.app, errback, (result.id,), False)
            continue
        assert isinstance(head, trees.Step)
        request = Context.of(task, args, kwargs)
        request.update(id=result.id, is_eager=True, called_directly=False)
        try:
            call(request, result.result, result.traceback, *head.args, **head.kwargs)
        except Exception:
            logger.exception("An error callback of %s[%s] failed: %s", task.name, result.id, head.task)


# -- workflows ----------------------------------------------------------------------------------------------------
def apply_chain(app: Smallage, chain: trees.Chain, throw: bool | None = None, args: Sequence[Any] = ()) -> Any:
    """A frozen tree here and now; returns the handle of its end. A step that fails before the last raises its error."""
    result: Any = None
    for place, one in enumerate(chain):
        if isinstance(one, trees.Fan):
            return _apply_fan(app, one, throw, args, result)
        last, result = result, _apply_step(app, one, throw, args)
        result.parent = last
        if place + 1 < len(chain):
            args = (result.get(),)
    return result


def _apply_step(app: Smallage, step: trees.Step, throw: bool | None, args: Sequence[Any]) -> EagerResult[Any]:
    task = app.tasks.get(step.task) or builtin_task(app, step.task) or app.tasks[step.task]
    call = {name: value for name, value in step.options.items() if name not in ("nesting", "chord")}
    given = step.args if step.immutable else (*args, *step.args)
    return apply(task, given, step.kwargs, {**call, "throw": throw})


def _apply_fan(app: Smallage, fan: trees.Fan, throw: bool | None, args: Sequence[Any], parent: Any) -> Any:
    results = [apply_chain(app, member, throw, args) for member in fan.members]
    header = _group_of(app, results, fan.id)
    header.parent = parent
    if not fan.body:
        return header
    values = [one.get() for one in results]
    result = apply_chain(app, fan.body, throw, (values,))
    first = result
    while first.parent is not None:
        first = first.parent
    first.parent = header
    return result


def _run(
    task: Task[Any, R],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    call: dict[str, Any],
    worker: LocalContext,
    flags: Mapping[str, Any],
    throw: bool = False,
) -> EagerResult[R]:
    prepared = task.current()
    envelope, extras = task.call(prepared, args, kwargs, call)
    above = running.get()
    if above is not None and above.claim is not None:
        extras = task.app.family(extras, call)
    claim = Claim(
        id=call.get("task_id") or new_id(),
        gen=1,
        tok=1,
        nonce="eager",
        name=task.name,
        payload=codec.encode_payload(args, kwargs, {**(extras or {}), **flags}, prepared.names),
        queue=envelope.queue,
        priority=envelope.priority,
        body_of=None if worker.outcomes is None else worker.outcomes.id,
    )
    outcome = _to_the_end(task.app, task, claim, worker, throw)
    return _result(task, claim.id, outcome, worker)


def _to_the_end(app: Smallage, task: Task[Any, Any], claim: Claim, worker: LocalContext, throw: bool) -> Outcome:
    """Run and run again while the task asks for a retry; with `throw` that is raised."""
    token = direct.set(None)  # the caller may be a task that was called as a function
    try:
        return _rounds(app, task, claim, worker, throw)
    finally:
        direct.reset(token)


def _rounds(app: Smallage, task: Task[Any, Any], claim: Claim, worker: LocalContext, throw: bool) -> Outcome:
    while True:
        outcome = _run_async(app, claim, worker) if task.is_async else execute(app, claim, worker)
        if isinstance(outcome, Retry):
            if throw and worker.error is not None:
                raise worker.error
            claim = _next(claim, outcome.payload, claim.failures + 1, claim.releases)
        elif isinstance(outcome, Snooze):
            claim = _next(claim, None, claim.failures, claim.releases + 1)
        else:
            return outcome


def _next(claim: Claim, payload: bytes | None, failures: int, releases: int) -> Claim:
    return Claim(
        id=claim.id,
        gen=claim.gen,
        tok=claim.tok + 1,
        nonce=claim.nonce,
        name=claim.name,
        payload=payload or claim.payload,
        queue=claim.queue,
        priority=claim.priority,
        failures=failures,
        releases=releases,
        body_of=claim.body_of,
    )


def _run_async(app: Smallage, claim: Claim, worker: LocalContext) -> Outcome:
    """An async body in a loop of its own; in another thread if a loop runs in this one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(aexecute(app, claim, worker))
    ends: list[Outcome] = []
    thread = threading.Thread(target=lambda: ends.append(asyncio.run(aexecute(app, claim, worker))))
    thread.start()
    thread.join()
    return ends[0]


def _result(task: Task[Any, R], task_id: str, outcome: Outcome, worker: LocalContext) -> EagerResult[R]:
    if isinstance(outcome, Done):
        value = codec.decode_result(outcome.result)
        if isinstance(value, codec.Marked):
            return EagerResult(task_id, value.meta, value.state, None, task.name)
        return EagerResult(task_id, None if value is None else task.convert_result(value), "SUCCESS", None, task.name)
    if isinstance(outcome, Cancelled):
        return EagerResult(task_id, TaskRevokedError(outcome.reason), "REVOKED", None, task.name)
    assert isinstance(outcome, (Failed, Crashed))
    error, text = restored(outcome.error)
    return EagerResult(task_id, worker.error or error, "FAILURE", text, task.name)


# -- groups -------------------------------------------------------------------------------------------------------
class _Ended:
    """The readers of a store, for a group whose members have all ended in this process."""

    def __init__(self, name: str, members: list[MemberResult]) -> None:
        self._members = members
        done = sum(one.state == "done" for one in members)
        cancelled = sum(one.state == "cancelled" for one in members)
        self._view = GroupView(
            id=name,
            total=len(members),
            done=done,
            cancelled=cancelled,
            failed=len(members) - done - cancelled,
            sealed=True,
        )

    def group(self, name: str) -> GroupView:
        return self._view

    def results(self, name: str, offset: int, n: int) -> list[MemberResult]:
        return self._members[offset : offset + n]


def _group_of(app: Smallage, results: list[Any], name: str | None = None) -> GroupResult[Any]:
    """A group that was run here and now: its handles know all."""
    return GroupResult(name or new_id(), results, app=app, sent=False)


def _outcomes_of(made: GroupResult[Any]) -> Outcomes:
    """What the body of a group gets that was run here."""
    encoded = [_member(place, one) for place, one in enumerate(made.results)]
    return Outcomes(SimpleNamespace(store=_Ended(made.id, encoded)), made.id)  # type: ignore[arg-type]


def _member(place: int, one: EagerResult[Any]) -> MemberResult:
    state, value, text = one._read()
    if state in ("SUCCESS", "IGNORED"):
        return MemberResult(place, one.id, "done", codec.encode_result(value))
    ended: State = "cancelled" if state == "REVOKED" else "dead"
    error = value if isinstance(value, BaseException) else RuntimeError(str(value))
    return MemberResult(place, one.id, ended, codec.encode_error(error, text), None if ended == "dead" else "revoked")


def fan_out(task: Task[Any, R], rows: Sequence[Any], then: Any, call: dict[str, Any]) -> GroupResult[R]:
    """`Task.fan_out` here and now."""
    made = _group_of(task.app, [apply(task, args, kwargs, call) for args, kwargs in rows])
    if then is not None:
        made.then = _body(task.app, signature(then), _outcomes_of(made), {})
    return made


def _body(app: Smallage, body: Signature, outcomes: Outcomes, flags: dict[str, Any]) -> EagerResult[Any]:
    """Run a group's body with the outcomes."""
    task = app.tasks[body.task]
    if body.immutable:
        flags = {**flags, "i": 1}
    worker = LocalContext(eager=True, outcomes=outcomes)
    return _run(task, body.args, body.kwargs, dict(body.options), worker, flags)
