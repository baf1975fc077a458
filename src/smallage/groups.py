"""Many tasks as one: pushing groups in steps, following them, and what their body reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, overload

import msgspec

from smallage.core import calls, codec, options
from smallage.core.canvas import Signature, chord, group, signature
from smallage.core.errors import ChordError, EncodeError, ImproperlyConfigured, StoreError, TaskError, TimeoutError
from smallage.core.ids import check_name, check_task_id
from smallage.core.message import Envelope, Message, is_uuid
from smallage.core.states import TERMINAL
from smallage.request import running
from smallage.result import AsyncResult, check_may_wait, read
from smallage.stores.base import MAX_PUSH, GroupBatch, GroupView, MemberResult, TaskView
from smallage.watching import REREAD, Waiter

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.task import Task

R = TypeVar("R")

STEP: Final = MAX_PUSH
STEP_BYTES: Final = 8 * 2**20
PAGE: Final = 1_000
BETWEEN: Final = 0.1
"""Seconds between two snapshots of `progress`."""

_REVERSED: Final = frozenset({"FAILURE", "REVOKED"})


# -- reading a group ----------------------------------------------------------------------------------------------
class Snapshot(msgspec.Struct, frozen=True):
    """A group's counters at one moment. `number` rises with every change."""

    id: str
    total: int
    done: int
    failed: int
    running: int
    cancelled: int
    retried: int
    number: int
    ended: bool
    """All members have ended."""


class MemberOutcome(NamedTuple):
    """How a member stands: its place, its state in Celery's words, its value or exception."""

    index: int  # type: ignore[assignment]
    state: str
    value: Any


class Count(int):
    """A number that answers Celery's `failed()` too: called, it says whether it is above zero."""

    def __call__(self) -> bool:
        return self > 0


def _snapshot(view: GroupView) -> Snapshot:
    ended = view.sealed and view.ended >= view.total
    return Snapshot(
        view.id,
        view.total,
        view.done,
        view.failed,
        view.running,
        view.cancelled,
        view.retried,
        view.seq,
        ended,
    )


def _outcome(member: MemberResult, convert: Callable[[Any], Any] | None = None) -> MemberOutcome:
    view = TaskView(id=member.id, state=member.state, result=member.result, reason=member.reason)
    state, value, _ = read(view, convert)
    return MemberOutcome(member.index, state, value)


def _pages(app: Smallage, name: str, size: int = PAGE) -> Iterator[list[MemberResult]]:
    """The members of a group, some at a time."""
    offset = 0
    while page := app.store.results(name, offset, size):
        yield page
        offset += len(page)


class _Counters:
    """A group's counters by id, each one read of the store."""

    id: str
    app: Smallage

    def view(self) -> GroupView:
        """The counters as the store has them. Raises TaskError for a group that it does not know (any more)."""
        view = self.app.store.group(self.id)
        if view is None:
            raise TaskError(f"The store knows no group {self.id}; it was never sent, or its results have expired.")
        return view

    @property
    def total(self) -> int:
        return self.view().total

    @property
    def done(self) -> int:
        """Members that ended well."""
        return self.view().done

    @property
    def failed(self) -> Count:
        """Members that failed for good. Also callable, as in Celery: `failed()` is True if any did."""
        return Count(self.view().failed)

    @property
    def running(self) -> int:
        return self.view().running

    @property
    def cancelled(self) -> int:
        return self.view().cancelled

    @property
    def retried(self) -> int:
        """Attempts of members that ended in a retry."""
        return self.view().retried


class Outcomes(_Counters):
    """What a group's body gets: how the members ended, read from the store in pages as it is asked for."""

    def __init__(self, app: Smallage, id: str) -> None:
        self.app = app
        self.id = id

    def __len__(self) -> int:
        return self.total

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[MemberOutcome]:
        """Every member in order: (index, state, value or exception)."""
        for page in self.pages():
            yield from page

    def pages(self, size: int = PAGE) -> Iterator[list[MemberOutcome]]:
        """The members, `size` (at most 1,000) at a time."""
        for page in _pages(self.app, self.id, min(size, PAGE)):
            yield [_outcome(member) for member in page]

    def values(self) -> Iterator[Any]:
        """The values of the members that ended well, in order."""
        return (value for _, state, value in self if state not in _REVERSED)

    def failures(self) -> Iterator[MemberOutcome]:
        """The members that failed, were cancelled or expired; `value` is the exception."""
        return (one for one in self if one.state in _REVERSED)

    def __repr__(self) -> str:
        return f"<Outcomes {self.id}>"


def chord_values(outcomes: Outcomes) -> list[Any]:
    """The values of all members in order. Raises ChordError naming the first that did not end well."""
    values: list[Any] = []
    for page in _pages(outcomes.app, outcomes.id):
        for member in page:
            _, state, value = _outcome(member)
            if state in _REVERSED:
                raise ChordError(f"Dependency {member.id} raised {value!r}")
            values.append(value)
    if len(values) != outcomes.total:
        raise ChordError(f"Of the results of group {outcomes.id} only {len(values)} are still kept.")
    return values


# -- the handle ---------------------------------------------------------------------------------------------------
class Members(Sequence[AsyncResult[R]]):
    """The handles of a group's members; called, their outcomes in order."""

    def __init__(self, result: GroupResult[R]) -> None:
        self._result = result

    def __len__(self) -> int:
        return self._result.total

    @overload
    def __getitem__(self, place: int) -> AsyncResult[R]: ...
    @overload
    def __getitem__(self, place: slice) -> list[AsyncResult[R]]: ...
    def __getitem__(self, place: int | slice) -> AsyncResult[R] | list[AsyncResult[R]]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        index = place if place >= 0 else place + len(self)
        found = self._result.app.store.results(self._result.id, index, 1) if index >= 0 else []
        if not found:
            raise IndexError(f"The group has no member {place}.")
        return self._result.handle(found[0].id)

    def __iter__(self) -> Iterator[AsyncResult[R]]:
        for page in _pages(self._result.app, self._result.id):
            for member in page:
                yield self._result.handle(member.id)

    def __call__(self) -> Iterator[MemberOutcome]:
        """(index, state, value or exception) of every member, in pages of 1,000."""
        result = self._result
        for page in _pages(result.app, result.id):
            for member in page:
                yield _outcome(member, result.convert)


class GroupResult(_Counters, Generic[R]):
    """A group that was sent. Counters are one read at any size."""

    def __init__(
        self,
        id: str,
        app: Smallage | None = None,
        task: Task[Any, R] | None = None,
        then: AsyncResult[Any] | None = None,
        parent: Any = None,
    ) -> None:
        from smallage.app import current_app

        self.id = id
        self.app = app if app is not None else current_app()
        self.then = then
        """The handle of the body, if there is one."""
        self.parent = parent
        self._task = task

    @classmethod
    def restore(cls, id: str, app: Smallage | None = None) -> GroupResult[Any] | None:
        """The handle of a group that was sent before, here or elsewhere; None if the store does not know it."""
        made: GroupResult[Any] = cls(id, app)
        view = made.app.store.group(id)
        if view is None:
            return None
        made.then = AsyncResult(view.body, made.app) if view.body else None
        return made

    def handle(self, task_id: str) -> AsyncResult[R]:
        """The handle of a member."""
        return AsyncResult(task_id, self.app, self._task)

    def convert(self, value: Any) -> Any:
        """A member's value as the task's annotation has it."""
        return self._task.convert_result(value) if self._task is not None else value

    # -- members --------------------------------------------------------------------------------------------------
    @property
    def results(self) -> Members[R]:
        """The members' handles as a sequence; `results()` yields (index, state, value or exception) of each."""
        return Members(self)

    children = results

    def __iter__(self) -> Iterator[AsyncResult[R]]:
        return iter(self.results)

    def __len__(self) -> int:
        return self.total

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, place: int) -> AsyncResult[R]:
        return self.results[place]

    # -- following ------------------------------------------------------------------------------------------------
    def snapshot(self) -> Snapshot:
        """All counters in one read."""
        return _snapshot(self.view())

    async def asnapshot(self) -> Snapshot:
        """`snapshot` without blocking the event loop."""
        from smallage.aio import in_thread

        return await in_thread(self.snapshot)

    def progress(self, timeout: float | None = None) -> Iterator[Snapshot]:
        """Snapshots: one now, then one for each change (at most ten a second), the last when all have ended.

        Raises TimeoutError when that takes longer than `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if (now := self.snapshot()).ended:
            yield now
            return
        with Waiter(self.app.hub, self.id) as waiter:
            last: Snapshot | None = None
            shown_at = 0.0
            while True:
                shot = self.snapshot()
                if shot != last:
                    shown_at = time.monotonic()
                    yield shot
                    last = shot
                if shot.ended:
                    return
                waiter.wait(self._patience(deadline, timeout))
                time.sleep(max(0.0, shown_at + BETWEEN - time.monotonic()))

    async def aprogress(self, timeout: float | None = None) -> AsyncIterator[Snapshot]:
        """`progress` for asyncio."""
        from smallage.aio import AsyncWaiter, in_thread

        deadline = None if timeout is None else time.monotonic() + timeout
        async with AsyncWaiter(self.app.hub, self.id) as waiter:
            last: Snapshot | None = None
            shown_at = 0.0
            while True:
                shot = await in_thread(self.snapshot)
                if shot != last:
                    shown_at = time.monotonic()
                    yield shot
                    last = shot
                if shot.ended:
                    return
                await waiter.wait(self._patience(deadline, timeout))
                await asyncio.sleep(max(0.0, shown_at + BETWEEN - time.monotonic()))

    def ready(self) -> bool:
        """True when all members have ended."""
        return self.snapshot().ended

    def successful(self) -> bool:
        """True when all have ended well."""
        view = self.view()
        return view.sealed and view.done == view.total

    def waiting(self) -> bool:
        """True while any has not ended."""
        return not self.ready()

    def completed_count(self) -> int:
        """How many have ended well."""
        return self.done

    # -- waiting --------------------------------------------------------------------------------------------------
    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Any = None,
        disable_sync_subtasks: bool = True,
        on_interval: Any = None,
    ) -> list[Any]:
        """Wait until all have ended; their values in order.

        Raises the first member's exception as soon as one has failed; with `propagate=False` exceptions stand in the
        list. `callback(task_id, value)` gets the values instead of the list. Raises TimeoutError after `timeout`
        seconds; the tasks go on.
        """
        check_may_wait(not disable_sync_subtasks)
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._settled(propagate):
            with Waiter(self.app.hub, self.id) as waiter:
                while not self._settled(propagate):
                    waiter.wait(self._patience(deadline, timeout))
        return self._values(propagate, callback)

    join = get

    async def aget(self, timeout: float | None = None, propagate: bool = True) -> list[Any]:
        """`get` for asyncio."""
        from smallage.aio import AsyncWaiter, in_thread

        check_may_wait(False)
        deadline = None if timeout is None else time.monotonic() + timeout
        async with AsyncWaiter(self.app.hub, self.id) as waiter:
            while not await in_thread(self._settled, propagate):
                await waiter.wait(self._patience(deadline, timeout))
        return await in_thread(self._values, propagate)

    def _settled(self, propagate: bool) -> bool:
        shot = self.snapshot()
        return shot.ended or (propagate and shot.failed + shot.cancelled > 0)

    def _patience(self, deadline: float | None, timeout: float | None) -> float:
        if deadline is None:
            return REREAD
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"The group {self.id} has not ended within {timeout:g} seconds; it goes on.")
        return min(left, REREAD)

    def _values(self, propagate: bool, callback: Callable[[str, Any], Any] | None = None) -> list[Any]:
        values: list[Any] = []
        for page in _pages(self.app, self.id):
            for member in page:
                _, state, value = _outcome(member, self.convert)
                if propagate and state in _REVERSED:
                    raise value
                if callback is None:
                    values.append(value)
                elif member.state in TERMINAL:
                    callback(member.id, value)
        return values

    # -- acting ---------------------------------------------------------------------------------------------------
    def cancel(self, terminate: bool = False) -> int:
        """Cancel what has not started, in one step; with `terminate` also what runs. Returns how many ended now."""
        return self.app.store.group_revoke(self.id, terminate=terminate)

    def revoke(self, connection: Any = None, terminate: bool = False, signal: Any = None, **_: Any) -> None:
        """`cancel`, by Celery's name."""
        self.cancel(terminate)

    def retry_failed(self) -> int:
        """Run the failed members again and wait for them anew. Returns how many."""
        return self.app.store.group_retry(self.id)

    def save(self, backend: Any = None) -> None:
        """Celery's: every group can be restored until it expires, so there is nothing to save."""

    def forget(self) -> None:
        """Remove the ended group with its members' results; while it has not ended nothing happens."""
        self.app.store.forget([self.id])

    delete = forget

    def as_tuple(self) -> tuple[tuple[str, Any], list[Any]]:
        parent = self.parent.as_tuple() if self.parent is not None else None
        return (self.id, parent), [one.as_tuple() for one in self]

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, GroupResult) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<GroupResult: {self.id}>"


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


def _checked_rows(task: Task[Any, Any], rows: Iterable[Any]) -> Iterator[tuple[Sequence[Any], Mapping[str, Any]]]:
    """Rows whose arguments fit the task."""
    prepared = task.current()
    fewest, most, check = prepared.fewest, prepared.most, prepared.binding.check
    for place, row in enumerate(rows):
        args, kwargs = _row(row, place)
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
        for args, kwargs in _checked_rows(task, rows):
            yield app.message(envelope, args, kwargs, extras, prepared.names, prepared.warn_over)

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
    members = [one.clone(args, kwargs, **call) for one in sig.tasks]
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
    if sig.body is None:
        raise TypeError("This chord has no body; give it one: chord(header)(body).")
    call = {name: value for name, value in {**sig.options, **given}.items() if value is not None}
    body = sig.body.clone(**{name: value for name, value in call.items() if name not in ("countdown", "eta")})
    call.pop("task_id", None)
    if app.conf.task_always_eager:
        from smallage.eager import eager_chord

        return eager_chord([one.clone(args, kwargs, **call) for one in sig.header.tasks], body)
    message = body_message(app, body, "chord")
    header = _send_group(app, sig.header, args, kwargs, call, message)
    task = app.tasks.get(body.task)
    return AsyncResult(message.id, app, task, parent=header)
