"""What follows an end: the next step, callbacks, error callbacks, and the ends of steps that do not come any more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from smallage.core import codec, plan, trees
from smallage.core.errors import WorkerLostError
from smallage.core.message import Done, End, Message
from smallage.core.plan import Origin
from smallage.core.trees import EXPAND, UPSTREAM, Chain, Fan, Step
from smallage.request import Request
from smallage.result import exception_of
from smallage.workflows.handles import handle_of
from smallage.workflows.ids import derived
from smallage.workflows.making import Maker
from smallage.workflows.sending import give_up, push_cancelled

if TYPE_CHECKING:
    from smallage.app import Smallage

logger = logging.getLogger("smallage.task")

CANCELLED: Final = frozenset({"revoked", "terminated", "purged"})
"""Reasons of ends that somebody asked for."""
MOST_KILLS: Final = 2
"""Workers that an error callback may take with it."""
MAX_ENDS: Final = 900
"""Later steps that are ended in the act of the end that stops them."""


def follows_success(request: Request, value: Any) -> tuple[Message, ...]:
    """The messages that go with the good end of a run."""
    extras = request.extras
    if request.task in (EXPAND, UPSTREAM):
        return ()
    rest = _rest_of(request, trees.unpack_next) if "n" in extras else []
    links = [trees.unpack(link) for link in extras.get("k", ())]
    make, ids = Maker(request.app, alone=True), _ids_of(request)
    then = plan.after_success(rest, links, value, Origin(request.root_id, request.id), make, ids)
    for chain in (*links, rest):
        if chain:
            request.add_child(handle_of(request.app, chain[:1]), {})
    return then


def _rest_of(request: Request, read: Callable[[bytes], Chain] = trees.unpack) -> Chain:
    """The rest of a run's chain. One that came with the option `chain` has no ids yet."""
    rest = read(request.extras["n"])
    if rest and isinstance(rest[0], Step) and "task_id" not in rest[0].options:
        rest = trees.unpack(request.extras["n"])
        trees.freeze(rest, _ids_of(request), "n")
    return rest


def _ids_of(request: Request) -> Callable[[str], str]:
    claim = request.claim
    assert claim is not None
    return derived(f"{claim.after or claim.id}\0{claim.gen}\0{claim.failures}")


def with_ends(request: Request, end: Any, state: Any, data: bytes | None, reason: str | None = None) -> Any:
    """`end`, a `Done` or `Failed`, with the ends of the steps that do not come any more."""
    rest = _rest_of(request)
    ends = plan.upstream(rest, state, data, reason)
    fan = trees.last_fan(rest)
    if fan is not None and state != "done" and request.task == EXPAND and not fan.like():
        why = reason or "upstream" if state == "dead" else reason
        ends += tuple(End(one, state, result=data, reason=why) for one in trees.member_ids(fan))
    if len(ends) <= MAX_ENDS:
        return structs.replace(end, ends=ends)
    tail: Chain = [Step(one.name, (), {}, {"task_id": one.id}) for one in ends[MAX_ENDS:]]
    claim, ids = request.claim, _ids_of(request)
    assert claim is not None
    beside = Step(request.task, (), {}, {"queue": claim.queue, "priority": claim.priority})
    options = {"task_id": ids("ends"), "beside": beside}
    more = Maker(request.app)(
        Step(UPSTREAM, (), {}, options), (state, data, reason), {"n": trees.pack(tail)}, Origin(None, request.id)
    )
    return structs.replace(end, ends=ends[:MAX_ENDS], then=(*end.then, more))


def origin_of_fan(request: Request) -> Origin:
    """Where the members of a fan come from whose opening this run is, or follows."""
    return Origin(request.extras.get("o") or request.extras.get("p"), request.extras.get("p"))


def errbacks_of(request: Request) -> list[Chain]:
    """The error callbacks of a run."""
    return [trees.unpack(errback) for errback in request.extras.get("e", ())]


def call_errbacks(request: Request, error: BaseException, text: str | None) -> tuple[Message, ...]:
    """Call the error callbacks that take more than an id, here and now; returns the messages of the others."""
    sent: list[Chain] = []
    for errback in errbacks_of(request):
        head = errback[0] if len(errback) == 1 else None
        call = takes_the_error(request.app, head) if isinstance(head, Step) else None
        if call is None:
            sent.append(errback)
            continue
        assert isinstance(head, Step)
        if _kills(request):
            logger.error(
                "An error callback of %s[%s] killed its worker %d times and is left out: %s",
                *(request.task, request.id, MOST_KILLS, head.task),
            )
            continue
        try:
            call(request, error, text, *head.args, **head.kwargs)
        except Exception:
            logger.exception("An error callback of %s[%s] failed: %s", request.task, request.id, head.task)
    make = Maker(request.app, alone=True)
    origin = Origin(request.root_id, request.id)
    return plan.errback_messages(sent, request.id, origin, make, _ids_of(request))


def _kills(request: Request) -> bool:
    """True of a follow-up that lost its worker time and again: nothing in it but an error callback can do that, and
    what else follows is still to come."""
    claim = request.claim
    return claim is not None and claim.after is not None and claim.crashes >= MOST_KILLS


def takes_the_error(app: Smallage, step: Step) -> Any:
    """The task of an error callback that is called in the failing worker; None if it is sent instead."""
    task = app.tasks.get(step.task)
    if task is None or task.bind or step.immutable:
        return None
    binding = task.current().binding
    free = binding.most - len(step.args)
    return task if free > 1 else None


def follow_up(request: Request) -> Done:
    """What follows a task that the store itself has ended: as a failure if it died, else its later steps are cancelled
    like it."""
    claim = request.claim
    assert claim is not None
    request.update(id=claim.after)
    if claim.name == EXPAND:
        (fan,) = trees.unpack(request.extras["n"])
        assert isinstance(fan, Fan)
        if claim.reason in CANCELLED:
            push_cancelled(request.app, fan, request.args, origin_of_fan(request), Maker(request.app))
        else:
            give_up(request.app, fan)  # no more: it may be sent round again
    if claim.reason == "expired":  # it may be sent round again, and then they come after all
        return with_ends(request, Done(), "dead", None, "expired") if "n" in request.extras else Done()
    if claim.reason in CANCELLED:
        return with_ends(request, Done(), "cancelled", None, "revoked") if "n" in request.extras else Done()
    view = request.app.store.state([request.id])[0]
    if view is None:
        error: BaseException = WorkerLostError(f"{claim.name}[{claim.after}] has ended: {claim.reason}.")
        text = None
    else:
        error, text = exception_of(view)
    end = Done(then=call_errbacks(request, error, text) if "e" in request.extras else ())
    return with_ends(request, end, "dead", codec.encode_error(error, text)) if "n" in request.extras else end
