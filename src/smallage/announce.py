"""`before_task_publish` and `after_task_publish`: what a push says to those who listen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import structs

from smallage import signals
from smallage.core import codec, options
from smallage.core.message import Message


def before(
    message: Message,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    extras: Mapping[str, Any] | None,
    names: Sequence[str],
    stays: bool,
) -> Message:
    """Send `before_task_publish`; the message with the headers and properties that receivers changed in place.

    Without `stays` (several pushed as one by a task) changes are dropped: a task that is run again must push the same.
    """
    found = extras or {}
    given = dict(found.get("h") or {})
    fixed = _fixed(message, args, kwargs, found)
    headers = {**fixed, **given}
    properties = _properties(message, found)
    signals.before_task_publish.send(
        sender=message.envelope.name,
        body=_body(args, kwargs),
        exchange="",
        routing_key=message.envelope.queue,
        headers=headers,
        properties=properties,
        declare=[],
        retry_policy=None,
    )
    if not stays:
        return message
    wanted = {name: value for name, value in headers.items() if name not in fixed or name in given}
    own = {name: value for name, value in properties.items() if name not in _PROPERTIES and value is not None}
    rank = options.priority(properties.get("priority"))
    if rank != message.envelope.priority:
        message = structs.replace(message, envelope=structs.replace(message.envelope, priority=rank))
    if wanted == given and own == (found.get("y") or {}):
        return message
    changed = {**found, "h": options.headers(wanted) or {}, **({"y": own} if own else {})}
    return structs.replace(message, payload=codec.encode_payload(args, kwargs, changed, names))


def after(messages: Iterable[Message]) -> None:
    """Send `after_task_publish` for each of these, which the store has accepted."""
    for message in messages:
        args, kwargs, extras = codec.decode_payload(message.payload)
        signals.after_task_publish.send(
            sender=message.envelope.name,
            body=_body(args, kwargs),
            exchange="",
            routing_key=message.envelope.queue,
            headers={**_fixed(message, args, kwargs, extras), **(extras.get("h") or {})},
        )


def _body(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """(args, kwargs, embedded) as Celery's messages have them."""
    return list(args), dict(kwargs), {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


_PROPERTIES = frozenset({"correlation_id", "reply_to", "delivery_mode", "delivery_info", "priority"})


def _properties(message: Message, extras: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "correlation_id": message.id,
        "reply_to": None,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": message.envelope.queue},
        "priority": message.envelope.priority,
        **(extras.get("y") or {}),
    }


def _fixed(message: Message, args: Any, kwargs: Any, extras: Mapping[str, Any]) -> dict[str, Any]:
    """What Celery's headers say of the task itself."""
    parent, limits = extras.get("p"), extras.get("l")
    group, index = (extras.get("g") or (message.group, message.index))[:2]
    return {
        "lang": "py",
        "task": message.envelope.name,
        "id": message.id,
        "shadow": extras.get("s"),
        "eta": options.isoformat(message.envelope.due_us),
        "expires": options.isoformat(message.envelope.expires_us),
        "group": group,
        "group_index": index,
        "retries": 0,
        "timelimit": [limits[1], limits[0]] if limits else [None, None],
        "root_id": extras.get("o") or parent or message.id,
        "parent_id": parent,
        "argsrepr": _short(tuple(args)),
        "kwargsrepr": _short(dict(kwargs)),
        "ignore_result": message.envelope.keep_us == 0,
    }


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 1024 else text[:1023] + "…"
