"""Messages of steps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import structs

from smallage.core import calls, options
from smallage.core.errors import SmallageWarning
from smallage.core.message import FOLLOW_ANY, FOLLOW_DEAD, Envelope, Message
from smallage.core.plan import Origin
from smallage.core.trees import EXPAND, MAP, PLACE, STARMAP, UPSTREAM, Step

if TYPE_CHECKING:
    from smallage.app import Smallage


class Maker:
    """Makes messages of steps, by what the app knows of their tasks."""

    def __init__(self, app: Smallage, alone: bool = False) -> None:
        """`alone`: they are pushed one by one, or with the end of a run."""
        self.app, self.alone = app, alone

    def __call__(
        self, step: Step, args: Sequence[Any], extras: dict[str, Any], origin: Origin, whole: bool = True
    ) -> Message:
        """The message of a frozen step; `whole`: these are all its arguments."""
        call: dict[str, Any] = {name: value for name, value in step.options.items() if name not in PLACE}
        task_id = step.id
        root, parent = origin.root or task_id, origin.parent
        if parent is not None:
            extras["p"] = parent
        if root not in (task_id, parent):
            extras["o"] = root
        if "nesting" in step.options:
            extras["r"] = step.options["nesting"]
        call["parent_id"], call["root_id"] = parent, root
        if step.task in (EXPAND, UPSTREAM):
            envelope = self._internal(step.task, call.pop("beside"))
            more: dict[str, Any] | None = None
            names: Sequence[str] = ()
        else:
            if whole:
                self.check(step, args)
            envelope, more, names = self.call_of(step.task, args, step.kwargs, call)
        follow = FOLLOW_ANY if "n" in extras else FOLLOW_DEAD if "e" in extras else 0
        made = self.app.message(
            with_follow(envelope, follow) if follow else envelope,
            args,
            step.kwargs,
            {**(more or {}), **extras},
            names,
            min(self.app.conf.task_payload_warning or 2**53, self.app.conf.task_payload_limit or 2**53),
            call,
            task_id,
            self.alone,
        )
        group = step.options.get("group_id")
        if group is None or "group_index" not in step.options:
            return made
        return Message(made.id, made.payload, made.envelope, group, step.options["group_index"])

    def check(self, step: Step, args: Sequence[Any]) -> None:
        """Raise TypeError if these arguments do not fit the step's task."""
        task = self.app.tasks.get(step.task)
        if task is not None and task.typing:
            task.current().binding.check(step.task, args, step.kwargs)

    def call_of(
        self, name: str, args: Any, kwargs: Any, call: dict[str, Any]
    ) -> tuple[Envelope, dict[str, Any] | None, Sequence[str]]:
        """Envelope, extras and parameter names of a call, by the task if it is known here."""
        calls.check(call)
        if name in (MAP, STARMAP):
            inner, _, _ = self.call_of(kwargs["task"]["task"], (), {}, call)
            return structs.replace(inner, name=name), calls.call_extras(call, (None, None), inner.due_us), ()
        task = self.app.tasks.get(name)
        if task is None:
            envelope, extras = self.app.call_by_name(name, args, kwargs, call)
            return envelope, extras, ()
        warn_of_own_sending(type(task))
        prepared = task.current()
        envelope, extras = task.call(prepared, args, kwargs, call)
        return envelope, extras, prepared.names

    def _internal(self, name: str, beside: Step | None) -> Envelope:
        """The envelope of a built-in task: it goes where a task beside it goes."""
        base = self.app.base_envelope(name)
        queue, priority = (base.queue, base.priority) if beside is None else self._where(beside)
        return Envelope(name=name, queue=queue, priority=priority, keep_us=0, max_crashes=20, max_lost=20)

    def _where(self, step: Step) -> tuple[str, int]:
        """Queue and priority that a step's message would have."""
        call = {name: step.options[name] for name in ("queue", "priority") if step.options.get(name) is not None}
        task = self.app.tasks.get(step.task)
        if task is None:
            envelope, _ = self.app.call_by_name(step.task, step.args, step.kwargs, call)
        else:
            envelope, _ = task.call(task.current(), step.args, step.kwargs, call)
        return envelope.queue, envelope.priority

    def seat(self, step: Step) -> Message:
        """What keeps the place of a step in its group."""
        queue, priority = self._where(step)
        envelope = seat_envelope(step.task, queue, priority, self.app.conf.result_expires)
        return Message(step.id, b"", envelope, step.options["group_id"], step.options["group_index"], waits=True)


_seen: set[Any] = set()
"""What `apply_async` is, of the tasks that came by."""


def warn_of_own_sending(kind: type[Any]) -> None:
    """Say once that a class's own `apply_async` is not asked for a part of a workflow."""
    if kind.apply_async in _seen:
        return
    _seen.add(kind.apply_async)
    if not kind.apply_async.__module__.startswith("smallage."):
        warnings.warn(
            f"{kind.apply_async.__qualname__} is called for single calls, not for later steps, callbacks and members "
            "of groups: these are sent with what they belong to. What all of them shall carry a receiver of "
            "before_task_publish can put into their headers.",
            SmallageWarning,
            stacklevel=2,
        )


@lru_cache(maxsize=256)
def with_follow(envelope: Envelope, follow: int) -> Envelope:
    """The envelope of a task that something follows."""
    return structs.replace(envelope, follow=follow)


def seat_envelope(name: str, queue: str, priority: int, expires: Any) -> Envelope:
    return _seat_envelope(name, queue, priority, options.keep_us(expires, False))


@lru_cache(maxsize=256)
def _seat_envelope(name: str, queue: str, priority: int, keep_us: int) -> Envelope:
    return Envelope(name=name, queue=queue, priority=priority, keep_us=keep_us)
