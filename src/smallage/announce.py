"""`before_task_publish` and `after_task_publish`: what a push says to those who listen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from smallage import signals
from smallage.core import codec, options
from smallage.core.message import Message


def before(
    message: Message,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    extras: Mapping[str, Any] | None,
    names: Sequence[str],
    repeatable: bool,
) -> Message:
    """Send `before_task_publish`; the message with the headers that receivers changed in place.

    With `repeatable` (a push by a task) changes are dropped: if that task is run again it must push the same.
    """
    given = dict((extras or {}).get("h") or {})
    fixed = _fixed(message, extras or {})
    headers = {**given, **fixed}
    envelope = message.envelope
    signals.before_task_publish.send(
        sender=envelope.name,
        body=(list(args), dict(kwargs), {}),
        exchange="",
        routing_key=envelope.queue,
        headers=headers,
        properties={"correlation_id": message.id, "priority": envelope.priority},
        declare=[],
        retry_policy=None,
    )
    wanted = {name: value for name, value in headers.items() if name not in fixed}
    if repeatable or wanted == given:
        return message
    changed = {**(extras or {}), "h": options.headers(wanted) or {}}
    return Message(message.id, codec.encode_payload(args, kwargs, changed, names), envelope)


def after(messages: Iterable[Message]) -> None:
    """Send `after_task_publish` for each of these, which the store has accepted."""
    for message in messages:
        args, kwargs, extras = codec.decode_payload(message.payload)
        signals.after_task_publish.send(
            sender=message.envelope.name,
            body=(args, kwargs, {}),
            exchange="",
            routing_key=message.envelope.queue,
            headers={**(extras.get("h") or {}), **_fixed(message, extras)},
        )


def _fixed(message: Message, extras: Mapping[str, Any]) -> dict[str, Any]:
    """What Celery's headers say of the task itself."""
    parent = extras.get("p")
    return {
        "lang": "py",
        "task": message.envelope.name,
        "id": message.id,
        "parent_id": parent,
        "root_id": extras.get("o") or parent or message.id,
        "eta": options.isoformat(message.envelope.due_us),
        "retries": 0,
    }
