"""Pushing many tasks: rows in steps of a thousand, groups of signatures, chords."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from smallage import announce, signals
from smallage.core import calls, codec, options
from smallage.core.canvas import Signature, signature
from smallage.core.errors import EncodeError, ImproperlyConfigured, StoreError
from smallage.core.message import Envelope, Message, is_uuid
from smallage.groups import GroupResult
from smallage.request import running
from smallage.result import AsyncResult
from smallage.stores.base import MAX_PUSH, GroupBatch

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.task import Task

R = TypeVar("R")

STEP: Final = MAX_PUSH
STEP_BYTES: Final = 8 * 2**20


# -- rows ---------------------------------------------------------------------------------------------------------
def _row(row: Any, place: int) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """(args, kwargs) of a row."""
    if isinstance(row, (tuple, list)):
        return row, {}
    if isinstance(row, Mapping):
        return (), row
    raise TypeError(
        f"Row {place} is a bare {type(row).__name__}. A row is a tuple or list of positional arguments, or a mapping "
        "of keyword arguments: for one argument write (value,)."
    )


_NO_KEYWORDS: Final[dict[str, Any]] = {}


def _checked_rows(task: Task[Any, Any], rows: Iterable[Any]) -> Iterator[tuple[Sequence[Any], Mapping[str, Any]]]:
    """Rows whose arguments fit the task."""
    prepared = task.current()
    fewest, most, check = prepared.fewest, prepared.most, prepared.binding.check
    if isinstance(rows, (str, bytes, Mapping)) or not hasattr(rows, "__iter__"):
        raise TypeError(
            f"{task.name}: rows must be an iterable of rows such as [(1,), (2,)], not {type(rows).__name__}."
        )
    for place, row in enumerate(rows):
        args, kwargs = (row, _NO_KEYWORDS) if type(row) is tuple else _row(row, place)
        if kwargs or not fewest <= len(args) <= most:
            if task.typing:
                try:
                    check(task.name, args, kwargs)
                except TypeError as error:
                    raise TypeError(f"Row {place}: {error}") from None
        yield args, kwargs


def _encoded_rows(
    app: Smallage,
    name: str,
    rows: Iterable[tuple[Sequence[Any], Mapping[str, Any]]],
    names: Sequence[str],
) -> Iterator[bytes]:
    warn_over = min(app.conf.task_payload_warning or 2**53, app.conf.task_payload_limit or 2**53)
    for place, (args, kwargs) in enumerate(rows):
        try:
            row = codec.encode_row(args, kwargs, names)
            if len(row) > warn_over:
                app.check_size(name, len(row))
        except EncodeError as error:
            raise type(error)(f"Row {place}: {error}") from None
        yield row


T = TypeVar("T")


def _steps(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Items in steps of at most 1,000 and 8 MiB."""
    step: list[T] = []
    total = 0
    for item in items:
        total += size(item)
        if step and (len(step) >= STEP or total > STEP_BYTES):
            yield step
            step, total = [], size(item)
        step.append(item)
    if step:
        yield step


# -- pushing ------------------------------------------------------------------------------------------------------
def push_many(task: Task[Any, R], rows: Iterable[Any], call: dict[str, Any]) -> list[AsyncResult[R]]:
    """One independent task per row, in as few round trips as there are thousands."""
    app = task.app
    calls.check(call)
    if call.get("task_id"):
        raise TypeError("delay_many makes many tasks; it cannot give them one task_id.")
    if app.conf.task_always_eager:
        return [task.apply_async(*row, **call) for row in _checked_rows(task, rows)]
    prepared = task.current()
    envelope, extras = task.call(prepared, (), {}, call)

    def messages() -> Iterator[Message]:
        for place, (args, kwargs) in enumerate(_checked_rows(task, rows)):
            try:
                yield app.message(envelope, args, kwargs, extras, prepared.names, prepared.warn_over, alone=False)
            except EncodeError as error:
                raise type(error)(f"Row {place}: {error}") from None

    results: list[AsyncResult[R]] = []
    for step in _steps(messages(), lambda message: len(message.payload)):
        app.publish(step, call.get("retry"), call.get("retry_policy"))
        results.extend(AsyncResult(message.id, app, task) for message in step)
    return results


def fan_out(task: Task[Any, R], rows: Iterable[Any], then: Any, call: dict[str, Any]) -> GroupResult[R]:
    """One member per row; see `Task.fan_out`."""
    app = task.app
    calls.check(call)
    if app.conf.task_always_eager:
        from smallage.eager import fan_out as eager_fan_out

        return eager_fan_out(task, list(_checked_rows(task, rows)), then, call)
    prepared = task.current()
    envelope, extras = task.call(prepared, (), {}, call)
    template = _template(app, envelope, extras, call)
    encoded = _encoded_rows(app, task.name, _checked_rows(task, rows), prepared.names)
    body, handle = (None, None) if then is None else _body(app, then)
    _push_rows(app, template, encoded, body, call)
    made: GroupResult[R] = GroupResult(template.id, app=app, task=task, then=handle)
    request = running.get()
    if request is not None:
        request.add_child(made, call)
    return made


def _as_signature(then: Any) -> Signature:
    if isinstance(then, (Mapping, str)) or hasattr(then, "name"):
        return signature(then)
    raise TypeError(f"then= takes a signature such as task.s(...), not a {type(then).__name__}.")


def _template(app: Smallage, envelope: Envelope, extras: dict[str, Any] | None, call: Mapping[str, Any]) -> Message:
    """What all like members share; its id is the group's."""
    if call.get("task_id") is not None and not is_uuid(str(call["task_id"])):
        raise ImproperlyConfigured("The id of a group must be a UUID in its usual spelling, in lower case.")
    return app.message(envelope, (), {}, extras, (), 2**53, call, alone=False)


def _body(app: Smallage, then: Any) -> tuple[Message, Any]:
    """The message that begins what follows a fan-out, and the handle of its end. It gets the members' outcomes."""
    from smallage.core import trees
    from smallage.core.plan import first
    from smallage.workflows.handles import handle_of
    from smallage.workflows.ids import check_ids, fresh_ids
    from smallage.workflows.making import Maker
    from smallage.workflows.pinning import pin
    from smallage.workflows.sending import origin_of

    chain = trees.chain_of(_as_signature(then))
    if not chain or not isinstance(chain[0], trees.Step):
        raise ImproperlyConfigured("What follows a fan-out must begin with one task, which gets the outcomes.")
    check_ids(chain)
    trees.freeze(pin(app, chain, 1), fresh_ids(chain))
    return first(chain, (), origin_of(chain, {}), Maker(app), {}), handle_of(app, chain)


def _push_rows(
    app: Smallage, template: Message, rows: Iterable[bytes], body: Message | None, call: Mapping[str, Any]
) -> None:
    """Push the steps of a like group in order, the last one with the seal."""
    keep_us = options.keep_us(app.conf.result_expires, False)
    offset = 0
    waiting: list[bytes] = []

    def push(**last: Any) -> None:
        batch = GroupBatch(
            id=template.id, template=template, offset=offset, rows=tuple(waiting), keep_us=keep_us, **last
        )
        push_group(app, batch, call)

    try:
        for step in _steps(rows, len):
            if waiting:
                push()
                offset += len(waiting)
            waiting = step
        push(seal=True, body=body)
    except BaseException:
        if offset:
            _give_up(app, template, offset)
        raise


def _give_up(app: Smallage, template: Message, offset: int) -> None:
    """A group cannot be finished: cancel what of it was pushed."""
    try:
        app.store.group_revoke(template.id)
        app.store.group_push(GroupBatch(id=template.id, template=template, offset=offset, seal=True))
    except StoreError:
        pass  # the first error says it


def push_group(app: Smallage, batch: GroupBatch, call: Mapping[str, Any], again: bool = False) -> None:
    """Push a step of a group, patiently. Raises as `publish` does. `again`: if the id is taken, then by the same group,
    pushed by an earlier run, which differs in what receivers changed alone."""
    from smallage.app import refuse

    verdict = app.patiently(lambda: app.store.group_push(batch), call.get("retry"), call.get("retry_policy"))
    if verdict not in ("ok", "dup") and not (again and verdict == "conflict"):
        refuse(verdict, batch.id)
    if signals.after_task_publish.receivers:
        announce.after([*(one for one in batch.members if not one.waits), *batch.also])
        if batch.template is not None and batch.seal:  # the last step of a group of like members
            announce.after([batch.template])


# -- groups of signatures -----------------------------------------------------------------------------------------
def send_alike(app: Smallage, members: Sequence[Signature], name: str | None) -> GroupResult[Any]:
    """Push signatures that differ in nothing but their arguments: the template once, a row for each."""
    from smallage.workflows.making import Maker

    first = members[0]
    call = {**first.options, "task_id": name}
    envelope, extras, names = Maker(app).call_of(first.task, first.args, first.kwargs, dict(call))
    template = _template(app, envelope, extras, call)
    rows = ((one.args, one.kwargs) for one in members)
    _push_rows(app, template, _encoded_rows(app, first.task, _fitting(app, first.task, rows), names), None, call)
    return GroupResult(template.id, app=app, task=app.tasks.get(first.task), expected=len(members))


def _fitting(app: Smallage, name: str, rows: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    task = app.tasks.get(name)
    for args, kwargs in rows:
        if task is not None and task.typing:
            task.current().binding.check(name, args, kwargs)
        yield args, kwargs
