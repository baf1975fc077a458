"""Members added to a chord by one that runs."""

from __future__ import annotations

from typing import Any

from smallage.core import options, trees
from smallage.core.canvas import signature
from smallage.core.message import Message
from smallage.core.plan import Origin
from smallage.core.trees import Step
from smallage.stores.base import GroupBatch
from smallage.workflows.handles import handle_of
from smallage.workflows.ids import check_ids, fresh_ids
from smallage.workflows.making import Maker
from smallage.workflows.sending import start


def add_to_running_chord(task: Any, sig: Any) -> Any:
    """`Task.add_to_chord`."""
    request = task.request
    claim = request.claim
    if claim is None or claim.group is None:
        raise ValueError("Current task is not member of any chord")
    app = request.app
    chain = trees.collected(trees.chain_of(signature(sig)))
    end = trees.last_step(chain)
    assert end is not None
    end.options = {**end.options, "group_id": claim.group, "group_index": 0}  # the store gives the place
    check_ids(chain)
    trees.freeze(chain, fresh_ids(chain))
    make, origin = Maker(app), Origin(request.root_id, request.id)
    alone = len(chain) == 1 and isinstance(chain[0], Step)
    member = make(end, end.args, {}, origin) if alone else make.seat(end)
    _push(app, claim.group, member)
    if not alone:
        start(app, chain, (), origin, {})
    handle = handle_of(app, chain)
    request.add_child(handle, {})
    return handle


def _push(app: Any, group: str, member: Message) -> None:
    from smallage.pushing import push_group

    keep_us = options.keep_us(app.conf.result_expires, False)
    push_group(app, GroupBatch(id=group, members=(member,), late=True, keep_us=keep_us), {})
