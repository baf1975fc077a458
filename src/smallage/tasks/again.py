"""The next attempt of a task: when, where, and with what."""

from __future__ import annotations

import time
from typing import Any

from smallage.core import calls, codec, options
from smallage.core.message import Retry
from smallage.request import Request


def next_attempt(request: Request, call: dict[str, Any], plan: Any, data: bytes, wall: float) -> Retry:
    app, claim = request.app, request.claim
    assert claim is not None
    now_us = store_now_us(request, wall)
    delay_us, due_us = calls.due(call, app.zone(), now_us)
    expires_us: int | None = None
    if "expires" in call:
        age, expires_us = calls.expiry(call["expires"], app.zone(), now_us)
        expires_us = now_us + age if age is not None else expires_us or 0
    queue, rank = call.get("queue"), call.get("priority")
    return Retry(
        delay_us=delay_us,
        due_us=due_us,
        error=data,
        payload=new_payload(request, call, plan),
        queue=None if queue is None else app.known_queue(getattr(queue, "name", queue)),
        priority=None if rank is None else options.priority(rank),
        expires_us=expires_us,
        note=codec.encode_note("RETRY", data),
    )


def store_now_us(request: Request, wall: float) -> int:
    """The store's time: that of the claim and what has passed since; clocks of workers decide nothing."""
    claim = request.claim
    if claim is None or not claim.claimed_us:
        return int(wall * 1_000_000)
    return claim.claimed_us + int((time.monotonic() - request.began) * 1_000_000)


def new_payload(request: Request, call: dict[str, Any], plan: Any) -> bytes | None:
    """The payload of the next attempt if anything in it changes, else None."""
    task = request.task_object
    extras = calls.call_extras(call, task.own_limits())
    for name in ("a", "d"):
        extras.pop(name, None)
    changed = plan is not None and plan.changed
    if not changed and not extras:
        return None
    args, kwargs = (plan.args, plan.kwargs) if changed else (request.args, request.kwargs)
    payload = codec.encode_payload(args, kwargs, {**request.extras, **extras}, task.current().names)
    if len(payload) > request.prepared.warn_over:
        request.app.check_size(task.name, len(payload))
    return payload
