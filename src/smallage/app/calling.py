"""The part of an app that turns a call's options into a message's envelope."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from smallage.app.registering import Registering
from smallage.core import calls, options
from smallage.core.errors import QueueNotFound
from smallage.core.ids import check_name
from smallage.core.message import Envelope
from smallage.result import AsyncResult
from smallage.task import arguments, keywords


class Calling(Registering):
    """Calls by name, and what the settings say about every call."""

    def send_task(
        self, name: str, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **call: Any
    ) -> AsyncResult[Any]:
        """Push a task by name, registered here or not. Options as for `Task.apply_async`; those of a task registered
        here are the defaults."""
        task = self.tasks.get(name)
        calls.check(call)
        args, kwargs = arguments(name, args), keywords(name, kwargs)
        if task is not None:
            prepared = task.current()
            envelope, extras = task.call(prepared, args, kwargs, call)
        else:
            base = self.base_envelope(check_name(name))
            answer = options.route(self.conf.task_routes, name, args, kwargs, call)
            call = {**{key: answer[key] for key in ("queue", "priority") if key in answer}, **call}
            envelope, extras = self.call(base, call, (None, None))
        message = self.message(envelope, args, kwargs, extras, (), self.conf.task_payload_warning or 2**53, call)
        self.publish((message,), call.get("retry"), call.get("retry_policy"))
        return AsyncResult(message.id, self._app(), task)

    def base_envelope(self, name: str) -> Envelope:
        """What the settings alone say about a task."""
        conf = self.conf
        once = conf.task_acks_late is False or conf.task_reject_on_worker_lost is False
        return Envelope(
            name=name,
            queue=conf.task_default_queue,
            priority=conf.task_default_priority,
            keep_us=options.keep_us(conf.result_expires, conf.task_ignore_result),
            max_crashes=0 if once else conf.task_max_crashes,
            max_lost=0 if once else conf.task_max_lost,
        )

    def known_queue(self, queue: str) -> str:
        """`queue`, unless the settings list the queues and forbid others (QueueNotFound)."""
        conf = self.conf
        if not conf.task_create_missing_queues and queue not in (*conf.task_queues, conf.task_default_queue):
            raise QueueNotFound(f"The queue '{queue}' is not in task_queues, and task_create_missing_queues is off.")
        return queue

    def call(
        self, base: Envelope, call: Mapping[str, Any], limits: tuple[float | None, float | None]
    ) -> tuple[Envelope, dict[str, Any] | None]:
        """Envelope and extras of a call with options over a task's own."""
        if not call:
            return base, None
        envelope = calls.call_envelope(base, call, self.conf.result_expires, time.time_ns() // 1000, self.zone())
        if envelope.queue != base.queue:
            self.known_queue(envelope.queue)
        return envelope, calls.call_extras(call, limits, envelope.due_us)
