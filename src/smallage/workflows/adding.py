"""Members added to a chord by one that runs."""

from __future__ import annotations

import time
from typing import Any, Final

from smallage.core import options, plan, trees
from smallage.core.canvas import signature
from smallage.core.message import Message
from smallage.core.plan import Origin
from smallage.core.trees import Step
from smallage.stores.base import GroupBatch
from smallage.workflows.handles import handle_of
from smallage.workflows.ids import check_ids, fresh_ids
from smallage.workflows.making import Maker
from smallage.workflows.pinning import pin
from smallage.workflows.sending import check_fan

LOOK: Final = 0.05
"""Seconds between two looks at a group that is being sent."""
PATIENCE: Final = 1_200
"""Looks before the addition is tried all the same, and refused."""


def add_to_running_chord(task: Any, sig: Any) -> Any:
    """`Task.add_to_chord`."""
    request = task.request
    claim = request.claim
    if claim is None or claim.group is None:
        raise ValueError("Current task is not member of any chord")
    app = request.app
    chain = trees.collected(pin(app, trees.chain_of(signature(sig))))
    end = trees.last_step(chain)
    assert end is not None
    end.options = {**end.options, "group_id": claim.group, "group_index": 0}  # the store gives the place
    check_ids(chain)
    trees.freeze(chain, fresh_ids(chain))
    make, origin = Maker(app), Origin(request.root_id, request.id)
    if len(chain) == 1 and isinstance(chain[0], Step):
        _push(app, claim.group, make(end, end.args, {}, origin))
    else:
        check_fan(chain[0], (), origin, make)
        _push(app, claim.group, make.seat(end), plan.first(chain, (), origin, make))
    handle = handle_of(app, chain)
    request.add_child(handle, {})
    return handle


def _push(app: Any, group: str, member: Message, *also: Message) -> None:
    """The member, and what sets its chain going: both or neither."""
    from smallage.pushing import push_group

    keep_us = options.keep_us(app.conf.result_expires, False)
    _wait_for_the_seal(app, group)
    push_group(app, GroupBatch(id=group, members=(member,), also=also, late=True, keep_us=keep_us), {})


def _wait_for_the_seal(app: Any, group: str) -> None:
    """A member may run while its group is still being sent; it can be added to when that is over."""
    for _ in range(PATIENCE):
        view = app.store.group(group)
        if view is None or view.sealed:
            return
        time.sleep(LOOK)
