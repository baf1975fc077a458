"""What the sender of a workflow knows of its later steps is used before anything is sent.

Where tasks go is known to who sends; the workers that send later steps may not know these tasks. And a fault in a later
step is told to who wrote it: found in a worker, it would fail the task before it, whose work is done by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.core import calls, options, trees
from smallage.core.errors import ImproperlyConfigured
from smallage.core.trees import Chain, Step

if TYPE_CHECKING:
    from smallage.app import Smallage

ERRBACK = -1
"""In the place of a number of values: an error callback, whose arguments are known when the error is."""


def pin(app: Smallage, chain: Chain, values: int | None = None) -> Chain:
    """Write into the steps, in place, what of their tasks' queue, priority and `ignore_result` a worker that does not
    know the tasks would not see. Options of a call stay above it.

    Raises what the calls of later steps and callbacks would raise. The chain's first step gets so many `values` before
    its own arguments; None: its call is made now, and says so itself."""
    known: dict[str, dict[str, Any]] | None = {} if options.is_static(app.conf.task_routes) else None
    _walk(app, chain, known, values)
    return chain


def _walk(app: Smallage, chain: Chain, known: dict[str, dict[str, Any]] | None, values: int | None) -> None:
    for one in chain:
        if isinstance(one, Step):
            if values is not None:
                _check(app, one, values)
            _see_to(app, one, known)
        else:
            for member in one.members:
                _walk(app, member, known, values)
            _walk(app, one.body or [], known, 1)
        values = 1


def _see_to(app: Smallage, step: Step, known: dict[str, dict[str, Any]] | None) -> None:
    if known is not None:
        if step.task not in known:
            known[step.task] = _own(app, step.task)
        if known[step.task]:
            step.options = {**known[step.task], **step.options}
    for name in ("link", "link_error"):
        if step.options.get(name):
            step.options = {**step.options, name: pinned_links(app, name, step.options[name])}


def pinned_links(app: Smallage, name: str, links: Any) -> list[bytes]:
    """Callbacks (`name` "link") or error callbacks as bytes, their tasks pinned."""
    values = 1 if name == "link" else ERRBACK
    return [
        one if isinstance(one, bytes) else trees.pack(pin(app, trees.chain_of(one), values))
        for one in trees.as_list(links)
    ]


def _check(app: Smallage, step: Step, values: int) -> None:
    """Raise what the call of this step would raise, as far as it can be known."""
    task = app.tasks.get(step.task)
    if task is not None and task.typing and values != ERRBACK:
        args = step.args if step.immutable else ((None,) * values + tuple(step.args))
        task.current().binding.check(step.task, args, step.kwargs)
    call = {name: value for name, value in step.options.items() if name not in trees.PLACE}
    if call:
        try:
            calls.check(call)
            app.call(app.base_envelope(step.task) if task is None else task.current().envelope, call, (None, None))
        except (TypeError, ValueError, ImproperlyConfigured) as error:
            raise type(error)(f"{step.task} in a workflow: {error}") from None


def _own(app: Smallage, name: str) -> dict[str, Any]:
    """What a task says itself that the settings do not."""
    task = app.tasks.get(name)
    if task is None:
        return {}
    own, settings = task.current().envelope, app.base_envelope(name)
    route = options.route(app.conf.task_routes, name)
    found: dict[str, Any] = {}
    if own.queue != app.known_queue(route.get("queue") or settings.queue):
        found["queue"] = own.queue
    if own.priority != route.get("priority", settings.priority):
        found["priority"] = own.priority
    if own.keep_us != settings.keep_us:
        found["ignore_result"] = own.keep_us == 0
    return found
