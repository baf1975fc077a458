"""Trees on their way into the store."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from smallage import signals
from smallage.core import options, plan, trees
from smallage.core.canvas import Signature, chord, group
from smallage.core.errors import StoreError
from smallage.core.plan import Batch, Origin
from smallage.core.trees import MAP, STARMAP, Chain, Fan, Step
from smallage.pushing import push_group
from smallage.request import running
from smallage.stores.base import GroupBatch
from smallage.workflows.handles import handle_of
from smallage.workflows.ids import check_ids, chosen_ids, fresh_ids
from smallage.workflows.making import Maker
from smallage.workflows.pinning import pin

if TYPE_CHECKING:
    from smallage.app import Smallage


def send_chain(app: Smallage, chain: Chain, args: Sequence[Any] = (), call: Mapping[str, Any] | None = None) -> Any:
    """Send a tree; returns the handle of its last result, whose parents lead back. None for an empty chain."""
    if not chain:
        return None
    check_ids(chain)
    alone = not chosen_ids(chain)
    trees.freeze(pin(app, chain), fresh_ids(chain))
    handle = handle_of(app, chain)
    start(app, chain, args, origin_of(chain, call or {}), call or {}, alone)
    request = running.get()
    if request is not None and request.claim is not None:
        request.add_child(handle, call or {})
    return handle


def origin_of(chain: Chain, call: Mapping[str, Any]) -> Origin:
    """Root and parent of a tree that is sent here: those of the running task, or none; the first step is the root."""
    request = running.get()
    root, parent = call.get("root_id"), call.get("parent_id")
    if request is not None and request.claim is not None:
        root, parent = root or request.root_id, parent or request.id
    head = chain[0]
    if root is None and isinstance(head, Step) and len(chain) > 1:
        root = head.id
    return Origin(root, parent)


def start(
    app: Smallage, chain: Chain, args: Sequence[Any], origin: Origin, call: Mapping[str, Any], alone: bool = False
) -> None:
    """Push what sets a frozen chain going. `alone`: its ids say what it is, so that receivers' changes may stay."""
    head = chain[0]
    make = Maker(app, alone=alone)
    if isinstance(head, Step):
        app.publish((plan.first(chain, args, origin, make),), call.get("retry"), call.get("retry_policy"))
    else:
        try:
            push_fan(app, head, args, origin, make, call)
        except StoreError:
            with contextlib.suppress(StoreError):  # the first error says it
                give_up(app, head)
            raise


def push_fan(
    app: Smallage, fan: Fan, args: Sequence[Any], origin: Origin, make: Maker, call: Mapping[str, Any]
) -> None:
    """Open a frozen fan, batch by batch. What cannot be sent is found before anything is."""
    keep_us = options.keep_us(app.conf.result_expires, False)
    batches = plan.batches(fan, args, origin, make)
    opening = next(batches)
    request = running.get()
    again = make.alone and request is not None and bool(request.retold)
    if again and not opening.seal:  # with other headers the parts would be others
        again, make = False, Maker(app)
        batches = plan.batches(fan, args, origin, make)
        opening = next(batches)
    if not opening.seal:
        check_fan(fan, args, origin, make)  # it takes several acts: none without the last
    for batch in itertools.chain((opening,), batches):
        push_group(app, _stored(batch, keep_us), call, again)


def check_fan(head: Fan | Step, args: Sequence[Any], origin: Origin, make: Maker) -> None:
    """Raise what makes a frozen fan impossible to send, unless receivers of `before_task_publish` would hear of it."""
    if isinstance(head, Fan) and not signals.before_task_publish.receivers:
        deque(plan.batches(head, args, origin, make), maxlen=0)


def give_up(app: Smallage, fan: Fan) -> None:
    """A fan cannot be finished: cancel what of it was pushed."""
    for member in fan.members:
        head = member[0]
        if isinstance(head, Fan):
            give_up(app, head)
    assert fan.id is not None
    view = app.store.group(fan.id)
    if view is not None:
        _revoke_firsts(app, fan)  # they came with their members' places
        app.store.group_revoke(fan.id)
        if not view.sealed:
            app.store.group_push(GroupBatch(id=fan.id, offset=view.total, seal=True))


def _revoke_firsts(app: Smallage, fan: Fan) -> None:
    """Cancel the first steps of the members that are chains."""
    firsts = [member[0].id for member in fan.members if len(member) > 1 and isinstance(member[0], Step)]
    for at in range(0, len(firsts), 1000):
        app.store.revoke(firsts[at : at + 1000])


def push_cancelled(app: Smallage, fan: Fan, args: Sequence[Any], origin: Origin, make: Maker) -> None:
    """A fan is not to be opened, or not to its end: all its members end as cancelled, so that whoever waits for it is
    told. Repeating it is safe. The ends of the bodies are not made here."""
    check_fan(fan, args, origin, make)
    keep_us = options.keep_us(app.conf.result_expires, False)
    for one in _fans(fan):
        _revoke_firsts(app, one)
        assert one.id is not None
        app.store.group_push(GroupBatch(id=one.id, keep_us=keep_us))  # no member yet: none can be claimed
        app.store.group_revoke(one.id)
    for batch in plan.batches(fan, args, origin, make):
        app.store.group_push(structs.replace(_stored(batch, keep_us), also=(), body=None))


def _fans(fan: Fan) -> Iterator[Fan]:
    """A fan, and those that its opening opens too."""
    yield fan
    for member in fan.members:
        if isinstance(member[0], Fan):
            yield from _fans(member[0])


def _stored(batch: Batch, keep_us: int) -> GroupBatch:
    return GroupBatch(
        id=batch.fan,
        template=batch.template,
        offset=batch.offset,
        rows=batch.rows,
        members=batch.members,
        also=batch.also,
        seal=batch.seal,
        body=batch.body,
        keep_us=keep_us,
    )


# -- signatures ---------------------------------------------------------------------------------------------------
def send(sig: Signature, args: Any, kwargs: Any, given: dict[str, Any]) -> Any:
    """Send a signature of any kind; see `Signature.apply_async`."""
    app: Smallage = sig.app
    given = {name: value for name, value in given.items() if value is not None}
    if sig.subtask_type is None and sig.task not in MAPS:
        merged_args, merged_kwargs, call = sig.merged(args, kwargs, given)
        task = app.tasks.get(sig.task)
        if task is not None:
            return task.apply_async(merged_args, merged_kwargs, **call)
        return app.send_task(sig.task, merged_args, merged_kwargs, **call)
    if app.conf.task_always_eager:
        return here(sig, args, kwargs, given)
    if isinstance(sig, group):
        return _send_group(app, sig, args, kwargs, given)
    return send_chain(app, chain_for(sig, args, kwargs, given), call={**sig.options, **given})


def here(sig: Signature, args: Any, kwargs: Any, given: dict[str, Any]) -> Any:
    """Run a signature of any kind in this process; see `Signature.apply`."""
    from smallage.eager import apply_chain

    app: Smallage = sig.app
    throw = given.pop("throw", None)
    if sig.subtask_type is None and sig.task not in MAPS:
        merged_args, merged_kwargs, call = sig.merged(args, kwargs, given)
        return app.tasks[sig.task].apply(merged_args, merged_kwargs, throw=throw, **call)
    chain = chain_for(sig, args, kwargs, given)
    trees.freeze(chain, fresh_ids(chain))
    return apply_chain(app, chain, throw)


def chain_for(sig: Signature, args: Any, kwargs: Any, given: Mapping[str, Any]) -> Chain:
    """What a container comes down to when it is sent with these arguments and options."""
    if isinstance(sig, group):
        for name in ("link", "link_error"):
            if given.get(name) is not None:
                raise TypeError(f"Cannot add {name} to group: give it to the members, or use then= or a chord.")
    call = dict(given)
    chosen = call.pop("task_id", None) if isinstance(sig, chord) else None
    if isinstance(sig, chord) and sig.body is None and not (kwargs or {}).get("body"):
        raise TypeError("This chord has no body; give it one: chord(header)(body).")
    made = trees.chain_of(sig.clone(args, kwargs, **call))
    if chosen is not None:
        trees.name_last(made, {"task_id": chosen})
    return made


def _send_group(app: Smallage, sig: group, args: Any, kwargs: Any, given: dict[str, Any]) -> Any:
    """A group of plain calls of one task goes by the short way, which makes no tree of it."""
    from smallage.pushing import send_alike

    call = {**sig.options, **given}
    name = call.pop("task_id", None)
    request = running.get()
    heard = request is not None and request.claim is not None and bool(signals.before_task_publish.receivers)
    if not {"link", "link_error"} & given.keys() and (name is not None or not heard):
        members = sig.flat(args, kwargs, **given)
        if len(members) >= SHORT_WAY and alike(members):
            handle = send_alike(app, members, name)
            if request is not None and request.claim is not None:
                request.add_child(handle, given)
            return handle
    return send_chain(app, chain_for(sig, args, kwargs, given), call=call)


SHORT_WAY: Final = 2
MAPS: Final = (MAP, STARMAP)


def alike(members: Sequence[Signature]) -> bool:
    """True if all call one task with the same options, so that only the arguments need to be sent for each."""
    first = members[0]
    return "task_id" not in first.options and all(
        one.task == first.task
        and one.subtask_type is None
        and one.options == first.options
        and one.immutable == first.immutable
        for one in members
    )
