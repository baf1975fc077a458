"""Pushing many tasks: rows in steps of a thousand, groups of signatures, chords."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from smallage import announce, signals
from smallage.core import calls, codec, options
from smallage.core.canvas import Signature, chain, chord, group, signature
from smallage.core.errors import EncodeError, ImproperlyConfigured, StoreError
from smallage.core.ids import check_name, check_task_id
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
                yield app.message(envelope, args, kwargs, extras, prepared.names, prepared.warn_over)
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
    body = None if then is None else body_message(app, _as_signature(then), "then")
    _push_rows(app, template, encoded, body, call)
    handle = None if body is None else AsyncResult[Any](body.id, app)
    return GroupResult(template.id, app, task, handle)


def _as_signature(then: Any) -> Signature:
    if isinstance(then, (Mapping, str)) or hasattr(then, "name"):
        return signature(then)
    raise TypeError(f"then= takes a signature such as task.s(...), not a {type(then).__name__}.")


def _template(app: Smallage, envelope: Envelope, extras: dict[str, Any] | None, call: Mapping[str, Any]) -> Message:
    """What all like members share; its id is the group's."""
    if call.get("task_id") is not None and not is_uuid(str(call["task_id"])):
        raise ImproperlyConfigured("The id of a group must be a UUID in its usual spelling, in lower case.")
    return app.message(envelope, (), {}, extras, (), 2**53, call)


def body_message(app: Smallage, body: Signature, kind: str) -> Message:
    """The message of a group's body; `kind` "chord" gives it the list of results, "then" the outcomes."""
    if body.subtask_type is not None:
        raise ImproperlyConfigured("The body of a group must be the signature of a task.")
    call = dict(body.options)
    calls.check(call)
    task = app.tasks.get(body.task)
    if task is not None:
        prepared = task.current()
        envelope, extras = task.call(prepared, body.args, body.kwargs, call)
    else:
        envelope, extras = app.call(app.base_envelope(check_name(body.task)), call, (None, None))
    flags: dict[str, Any] = {"c": 1} if kind == "chord" else {}
    if body.immutable:
        flags["i"] = 1
    merged = {**(extras or {}), **flags}
    warn_over = app.conf.task_payload_warning or 2**53
    return app.message(envelope, body.args, body.kwargs, merged, (), warn_over, call)


def _push_rows(
    app: Smallage, template: Message, rows: Iterable[bytes], body: Message | None, call: Mapping[str, Any]
) -> None:
    """Push the steps of a like group in order, the last one with the seal."""
    keep_us = options.keep_us(app.conf.result_expires, False)
    offset = 0
    waiting: list[bytes] = []
    try:
        for step in _steps(rows, len):
            if waiting:
                batch = GroupBatch(
                    id=template.id,
                    template=template,
                    offset=offset,
                    rows=tuple(waiting),
                    keep_us=keep_us,
                )
                _push_group(app, batch, call)
                offset += len(waiting)
            waiting = step
        batch = GroupBatch(
            id=template.id,
            template=template,
            offset=offset,
            rows=tuple(waiting),
            seal=True,
            body=body,
            keep_us=keep_us,
        )
        _push_group(app, batch, call)
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


def _push_group(app: Smallage, batch: GroupBatch, call: Mapping[str, Any]) -> None:
    from smallage.app import refuse

    verdict = app.patiently(lambda: app.store.group_push(batch), call.get("retry"), call.get("retry_policy"))
    if verdict not in ("ok", "dup"):
        refuse(verdict, batch.id)
    if signals.after_task_publish.receivers:
        announce.after(batch.members)
        if batch.template is not None and batch.seal:  # the last step of a group of like members
            announce.after([batch.template])


def _push_members(
    app: Smallage, name: str, messages: Iterable[Message], body: Message | None, call: Mapping[str, Any]
) -> None:
    """Push the steps of a group of unlike members."""
    keep_us = options.keep_us(app.conf.result_expires, False)
    offset = 0
    waiting: list[Message] = []
    for step in _steps(messages, lambda message: len(message.payload)):
        if waiting:
            batch = GroupBatch(id=name, offset=offset, members=tuple(waiting), keep_us=keep_us)
            _push_group(app, batch, call)
            offset += len(waiting)
        waiting = step
    last = GroupBatch(id=name, offset=offset, members=tuple(waiting), seal=True, body=body, keep_us=keep_us)
    _push_group(app, last, call)


# -- signatures ---------------------------------------------------------------------------------------------------
def send(sig: Signature, args: Any, kwargs: Any, given: dict[str, Any]) -> Any:
    """Send a signature of any kind; see `Signature.apply_async`."""
    from smallage.app import current_app

    app: Smallage = sig.app or current_app()
    if isinstance(sig, group):
        return _send_group(app, sig, args, kwargs, given)
    if isinstance(sig, chord):
        return _send_chord(app, sig, args, kwargs, given)
    if isinstance(sig, chain):
        raise ImproperlyConfigured(
            "A chain cannot be sent by this version; push what follows from the task itself, or use fan_out(then=...) "
            "or chord(header, body)."
        )
    merged_args, merged_kwargs, call = sig.merged(args, kwargs, given)
    task = app.tasks.get(sig.task)
    if task is not None:
        return task.apply_async(merged_args, merged_kwargs, **call)
    return app.send_task(sig.task, merged_args, merged_kwargs, **call)


def _send_group(
    app: Smallage, sig: group, args: Any, kwargs: Any, given: dict[str, Any], body: Message | None = None
) -> GroupResult[Any]:
    call = {**sig.options, **{name: value for name, value in given.items() if value is not None}}
    for name in ("link", "link_error"):
        if call.get(name) is not None:
            raise TypeError(f"A group takes no {name}; give it to the members, or use then= or a chord.")
    name = call.pop("task_id", None)
    members = sig.flat(args, kwargs, **call)
    if app.conf.task_always_eager:
        from smallage.eager import eager_group

        return eager_group(members)
    handle = None if body is None else AsyncResult[Any](body.id, app)
    if members and _alike(members):
        template = _send_alike(app, members, name, body)
        return GroupResult(template, app, app.tasks.get(members[0].task), handle)
    return GroupResult(_send_unlike(app, members, name, body), app, None, handle)


def _alike(members: Sequence[Signature]) -> bool:
    """True if all call one task with the same options, so that only the arguments need to be sent for each."""
    first = members[0]
    return all(
        one.task == first.task and one.options == first.options and one.subtask_type is None for one in members
    ) and not first.options.get("task_id")


def _send_alike(app: Smallage, members: Sequence[Signature], name: str | None, body: Message | None) -> str:
    first = members[0]
    call = {**first.options, "task_id": name}
    envelope, extras, names = _call_of(app, first, call)
    template = _template(app, envelope, extras, call)
    rows = ((one.args, one.kwargs) for one in members)
    _push_rows(app, template, _encoded_rows(app, first.task, _fitting(app, first.task, rows), names), body, call)
    return template.id


def _fitting(app: Smallage, name: str, rows: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    task = app.tasks.get(name)
    for args, kwargs in rows:
        if task is not None and task.typing:
            task.current().binding.check(name, args, kwargs)
        yield args, kwargs


def _call_of(
    app: Smallage, sig: Signature, call: Mapping[str, Any]
) -> tuple[Envelope, dict[str, Any] | None, Sequence[str]]:
    """Envelope, extras and parameter names of a signature's call."""
    if sig.subtask_type is not None:
        raise ImproperlyConfigured(f"A {sig.subtask_type} cannot be a member of a group in this version.")
    calls.check(call)
    task = app.tasks.get(sig.task)
    if task is not None:
        prepared = task.current()
        envelope, extras = task.call(prepared, sig.args, sig.kwargs, dict(call))
        return envelope, extras, prepared.names
    envelope, extras = app.call(app.base_envelope(check_name(sig.task)), call, (None, None))
    return envelope, extras, ()


def _send_unlike(app: Smallage, members: Sequence[Signature], name: str | None, body: Message | None) -> str:
    request = running.get()
    name = check_task_id(name) if name else _group_id(request, members)
    if not is_uuid(name):
        raise ImproperlyConfigured("The id of a group must be a UUID in its usual spelling, in lower case.")
    made: list[Message] = []
    for place, one in enumerate(members):
        envelope, extras, names = _call_of(app, one, one.options)
        for args, kwargs in _fitting(app, one.task, [(one.args, one.kwargs)]):
            message = app.message(envelope, args, kwargs, extras, names, 2**18, one.options)
            made.append(Message(message.id, message.payload, message.envelope, name, place))
    _push_members(app, name, made, body, members[0].options if members else {})
    return name


def _group_id(request: Any, members: Sequence[Signature]) -> str:
    from smallage.app import new_id

    if request is None or request.claim is None:
        return new_id()
    shape = codec.encode_value([one.task for one in members])
    text: str = request.next_child(shape[:64])
    return text


def _send_chord(app: Smallage, sig: chord, args: Any, kwargs: Any, given: dict[str, Any]) -> AsyncResult[Any]:
    kwargs = dict(kwargs or {})
    body = kwargs.pop("body", sig.body)
    if body is None:
        raise TypeError("This chord has no body; give it one: chord(header)(body).")
    call = {name: value for name, value in {**sig.options, **given}.items() if value is not None}
    body = signature(body).clone(**{name: value for name, value in call.items() if name not in ("countdown", "eta")})
    call.pop("task_id", None)
    if app.conf.task_always_eager:
        from smallage.eager import eager_chord

        return eager_chord(sig.members(args, kwargs, **call), body)
    message = body_message(app, body, "chord")
    header = _send_group(app, sig.header, *sig.header_arguments(args, kwargs), call, message)
    task = app.tasks.get(body.task)
    return AsyncResult(message.id, app, task, parent=header)
