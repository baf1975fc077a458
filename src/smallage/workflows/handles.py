"""Handles of what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.core.trees import Chain, Fan, Step, last_step
from smallage.groups import GroupResult
from smallage.result import AsyncResult

if TYPE_CHECKING:
    from smallage.app import Smallage


def handle_of(app: Smallage, chain: Chain, parent: Any = None) -> Any:
    """The handle of a frozen chain's end; `parent` of the first. Of a lone chord it is its body's end, right below the
    header."""
    if len(chain) == 1 and isinstance(chain[0], Fan) and chain[0].body and parent is None and last_step(chain):
        header = group_handle(app, chain[0], None)
        result = handle_of(app, chain[0].body, header)
        result.parent = header
        return result
    for one in chain:
        if isinstance(one, Step):
            parent = AsyncResult(one.id, app, app.tasks.get(one.task), parent=parent)
        else:
            parent = group_handle(app, one, parent)
            if one.body:
                parent = handle_of(app, one.body, parent)
    return parent


def group_handle(app: Smallage, fan: Fan, parent: Any = None) -> GroupResult[Any]:
    """The handle of a frozen fan's members."""
    assert fan.id is not None
    if fan.like():
        head = fan.members[0][0]
        assert isinstance(head, Step)
        made: GroupResult[Any] = GroupResult(
            fan.id, parent=parent, app=app, task=app.tasks.get(head.task), expected=len(fan.members)
        )
        return made
    return GroupResult(fan.id, [handle_of(app, member) for member in fan.members], parent=parent, app=app)
