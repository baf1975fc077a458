"""The part of an app that turns a call's options into a message's envelope."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from smallage.app.registering import Registering
from smallage.app.registry import declared
from smallage.core import calls, options
from smallage.core.errors import QueueNotFound
from smallage.core.ids import check_name
from smallage.core.message import Envelope
from smallage.request import running
from smallage.result import AsyncResult
from smallage.task import arguments, keywords
from smallage.tasks.fields import chosen


class Calling(Registering):
    """Calls by name, and what the settings say about every call."""

    def send_task(
        self, name: str, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **call: Any
    ) -> AsyncResult[Any]:
        """Push a task by name, registered here or not. Options as for `Task.apply_async`; those of a task registered
        here are the defaults."""
        if self.conf.task_always_eager:
            _warn_of_eager()
        task = self.tasks.get(name)
        calls.check(call)
        args, kwargs = arguments(name, args), keywords(name, kwargs)
        if task is not None:
            prepared = task.current()
            envelope, extras = task.call(prepared, args, kwargs, call)
        else:
            envelope, extras = self.call_by_name(name, args, kwargs, call)
        warn_over = min(self.conf.task_payload_warning or 2**53, self.conf.task_payload_limit or 2**53)
        message = self.message(envelope, args, kwargs, extras, (), warn_over, call)
        self.publish((message,), call.get("retry"), call.get("retry_policy"))
        return AsyncResult(message.id, self.itself(), task)

    def call_by_name(
        self, name: str, args: Any, kwargs: Any, call: Mapping[str, Any]
    ) -> tuple[Envelope, dict[str, Any] | None]:
        """Envelope and extras of a call of a task that is not known here: as the settings and the routes say."""
        base = self.base_envelope(check_name(name))
        answer = options.route(self.conf.task_routes, name, args, kwargs, call)
        routed = {key: value for key, value in answer.items() if key in options.CALL_OPTIONS}
        return self.call(base, options.over(routed, call), (None, None))

    def base_envelope(self, name: str) -> Envelope:
        """What the settings alone say about a task."""
        conf = self.conf
        once = conf.task_acks_late is False or conf.task_reject_on_worker_lost is False
        return Envelope(
            name=name,
            queue=conf.task_default_queue,
            priority=conf.task_default_priority or 0,
            keep_us=options.keep_us(conf.result_expires, conf.task_ignore_result),
            max_crashes=0 if once else conf.task_max_crashes,
            max_lost=0 if once else conf.task_max_lost,
        )

    def known_queue(self, queue: str) -> str:
        """`queue`, or the one in `task_queues` that has this routing key. Raises QueueNotFound for another one if the
        settings forbid them."""
        conf = self.conf
        queues = conf.task_queues
        if queues and queue not in queues:
            queue = queues.by_key.get(queue, queue)
        if not conf.task_create_missing_queues and queue not in (*queues, conf.task_default_queue):
            raise QueueNotFound(f"The queue '{queue}' is not in task_queues, and task_create_missing_queues is off.")
        return queue

    def call(
        self, base: Envelope, call: Mapping[str, Any], limits: tuple[float | None, float | None]
    ) -> tuple[Envelope, dict[str, Any] | None]:
        """Envelope and extras of a call with options over a task's own."""
        if self.conf.task_inherit_parent_priority and call.get("priority") is None:
            call = self._inherit_priority(base.name, call)
        if not call:
            return base, None
        for name in ("link", "link_error"):
            if call.get(name):
                from smallage.workflows.pinning import pinned_links

                call = {**call, name: pinned_links(self.itself(), name, call[name])}
        if call.get("queue") is None and call.get("routing_key"):
            call = {**call, "queue": call["routing_key"]}
        envelope = calls.call_envelope(base, call, self.conf.result_expires, time.time_ns() // 1000, self.zone())
        if envelope.queue != base.queue:
            queue = self.known_queue(envelope.queue)
            if queue != envelope.queue:
                envelope = structs.replace(envelope, queue=queue)
        return envelope, calls.call_extras(call, limits, envelope.due_us)

    def _inherit_priority(self, name: str, call: Mapping[str, Any]) -> Mapping[str, Any]:
        """A call with the priority of the task that makes it, unless the called task has one of its own."""
        request, task = running.get(), declared(self.tasks, name)
        if request is None or request.claim is None or (task is not None and chosen(task, "priority") is not None):
            return call
        return {**call, "priority": request.claim.priority}


def _warn_of_eager() -> None:
    import warnings

    from smallage.core.errors import AlwaysEagerIgnored

    warnings.warn(
        "send_task sends, although task_always_eager is on: a name alone cannot be run here. Call the task instead.",
        AlwaysEagerIgnored,
        stacklevel=3,
    )
