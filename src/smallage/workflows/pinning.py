"""Where tasks go is known to who sends a workflow; the workers that send its later steps may not know these tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.core import options, trees
from smallage.core.trees import Chain, Step

if TYPE_CHECKING:
    from smallage.app import Smallage


def pin(app: Smallage, chain: Chain) -> Chain:
    """Write into the steps, in place, what of their tasks' queue, priority and `ignore_result` a worker that does not
    know the tasks would not see. Options of a call stay above it."""
    if options.is_static(app.conf.task_routes):
        _pin(app, chain, {})
    return chain


def _pin(app: Smallage, chain: Chain, known: dict[str, dict[str, Any]]) -> None:
    for one in chain:
        if not isinstance(one, Step):
            for member in one.members:
                _pin(app, member, known)
            _pin(app, one.body or [], known)
            continue
        if one.task not in known:
            known[one.task] = _own(app, one.task)
        if known[one.task]:
            one.options = {**known[one.task], **one.options}
        for name in ("link", "link_error"):
            if one.options.get(name):
                one.options = {**one.options, name: pinned_links(app, one.options[name])}


def pinned_links(app: Smallage, links: Any) -> list[bytes]:
    """Callbacks as bytes, their tasks pinned."""
    return [
        one if isinstance(one, bytes) else trees.pack(pin(app, trees.chain_of(one))) for one in trees.as_list(links)
    ]


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
