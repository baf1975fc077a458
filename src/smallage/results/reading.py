"""Tasks as the store has them, in Celery's terms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from smallage.core import codec
from smallage.core.errors import DecodeError
from smallage.core.states import TERMINAL, celery_state
from smallage.core.wrapped import unwrap
from smallage.results.restoring import exception_of, restored

if TYPE_CHECKING:
    from smallage.stores.base import TaskView

READY_STATES = frozenset({"SUCCESS", "FAILURE", "REVOKED", "IGNORED"})
PROPAGATE_STATES = frozenset({"FAILURE", "REVOKED"})
EXCEPTION_STATES = frozenset({"RETRY", "FAILURE", "REVOKED"})

HANDED_IN: Final = "smallage.handed_in"
"""The name under which results stand in the store that were handed in from outside of a task."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def read(view: TaskView | None, convert: Callable[[Any], Any] | None = None) -> tuple[str, Any, str | None]:
    """(state, result or info, traceback) of a task."""
    if view is None:
        return "PENDING", None, None
    state = celery_state(view.state, view.reason, view.failures)
    if state == "SUCCESS":
        value = codec.decode_result(view.result)
        if isinstance(value, codec.Marked):
            return value.state, value.meta, None
        return state, convert(value) if convert is not None and value is not None else value, None
    if state in PROPAGATE_STATES:
        error, traceback = exception_of(view)
        return state, error, traceback
    return _read_open(view, state)


def _read_open(view: TaskView, state: str) -> tuple[str, Any, str | None]:
    """A task that has not ended: its own state if it set one, or RETRY with the error."""
    if view.progress is None:
        return state, None, None
    try:
        own, meta = codec.decode_note(view.progress)
    except DecodeError:
        return state, None, None
    if own == "RETRY":
        if state != "RETRY" or not isinstance(meta, bytes):
            return state, None, None
        error, traceback = restored(meta)
        return state, error, traceback
    if view.state == "running":
        return own, meta, None
    return state, None, None


def has_ended(view: TaskView | None) -> bool:
    """True for a task that has ended; not for one whose state was only handed in, as that of one that goes on."""
    if view is None or view.state not in TERMINAL:
        return False
    return view.name != HANDED_IN or read(view)[0] in READY_STATES


def date_done(view: TaskView | None) -> dt.datetime | None:
    """When a task ended, by the store's clock."""
    if view is None or view.state not in TERMINAL or not view.ended_us:
        return None
    return _EPOCH + dt.timedelta(microseconds=view.ended_us)


def retries(view: TaskView | None) -> int | None:
    """Attempts that ended in a retry; the failure at the end is none."""
    if view is None:
        return None
    return view.failures - 1 if view.reason == "failed" and view.failures else view.failures


def kept(view: TaskView | None) -> dict[str, Any]:
    """What was kept beside a task's result: its children "c", its call "x"."""
    if view is None or view.state not in TERMINAL:
        return {}
    try:
        return unwrap(view.result)[1]
    except DecodeError:
        return {}


def call_kept(view: TaskView | None) -> dict[str, Any]:
    """The call of a task with `result_extended`: `args`, `kwargs`, `worker`, `parent`, `root`; else empty."""
    call = dict(kept(view).get("x") or {})
    for name in ("args", "kwargs"):
        if name in call:
            call[name] = codec.decode_value(call[name])
    return call


def meta_of(view: TaskView | None, task_id: str, convert: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """A task as a dict, by Celery's names. `children` are tuples; `result` is an exception in the states of one."""
    state, value, traceback = read(view, convert)
    done = date_done(view)
    children = kept(view).get("c", ())
    meta: dict[str, Any] = {
        "task_id": task_id,
        "status": state,
        "result": value,
        "traceback": traceback,
        "children": [((one[0], None), []) if isinstance(one, list) else ((one, None), None) for one in children],
        "date_done": done.isoformat() if done else None,
    }
    if view is None:
        return meta
    if view.group is not None:
        meta["group_id"] = view.group
    call = call_kept(view)
    if call:
        meta.update(name=view.name, args=call["args"], kwargs=call["kwargs"], worker=call["worker"])
        meta.update(retries=retries(view), queue=view.queue, parent_id=call["parent"], root_id=call["root"])
    return meta
