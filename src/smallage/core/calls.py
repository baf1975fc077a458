"""One call's options over a task's own: the envelope and the extras of its message."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from smallage.core import options as bounds
from smallage.core.declared import serializer
from smallage.core.errors import ImproperlyConfigured
from smallage.core.ids import check_queue
from smallage.core.message import FOLLOW_ANY, FOLLOW_DEAD, Envelope

_DONE_WITH = bounds.CALL_OPTIONS | bounds.QUIET_OPTIONS
_KNOWN = _DONE_WITH | bounds.KEPT_OPTIONS
_REFUSED = {
    "chord": "make a chord of the task: chord([task.s(...)], body)",
    "stamped_headers": "give the call headers instead: headers={...}",
}


def check(options: Mapping[str, Any]) -> None:
    """Raise TypeError for a misspelt option, ImproperlyConfigured for one that is not offered.

    What resembles no option of ours is kept with the call and stands in `request.properties`, as in Celery.
    """
    if "serializer" in options:
        serializer("serializer", options["serializer"])
    if options.get("compression") is not None:
        from smallage.core.compression import method

        method(options["compression"])
    if options.get("retry_policy") is not None:
        _check_policy(options["retry_policy"])
    if not _KNOWN.issuperset(options):
        for name in options:
            if name in _REFUSED:
                if options[name] is not None:
                    raise ImproperlyConfigured(f"apply_async has no option {name} here; {_REFUSED[name]}.")
            elif name not in _KNOWN and bounds.nearest(name, _KNOWN):
                bounds.check_names((name,), _KNOWN, "apply_async")


def _check_policy(policy: Any) -> None:
    """Raise TypeError or ValueError for a `retry_policy` that would fail when the store is away."""
    if not isinstance(policy, Mapping):
        raise TypeError(f"retry_policy must be a dict, not {type(policy).__name__}.")
    for name in ("interval_start", "interval_step", "interval_max"):
        if name in policy:
            bounds.seconds_us(policy[name], f"{name} in retry_policy")
    bounds.retry_limit(policy.get("max_retries"), "max_retries in retry_policy")


def call_envelope(
    base: Envelope, options: Mapping[str, Any], result_expires: Any, now_us: int, zone: dt.tzinfo
) -> Envelope:
    """`base` with a call's options over it. `now_us` and `zone` give meaning to instants.

    Raises ValueError or TypeError for values out of bounds; the text names the option.
    """
    queue, ignore = options.get("queue"), options.get("ignore_result")
    delay_us, due_us = due(options, zone, now_us)
    expires_in_us, expires_us = base.expires_in_us, base.expires_us
    if "expires" in options:
        expires_in_us, expires_us = expiry(options["expires"], zone, now_us)
    priority = options.get("priority")
    if ignore is not None and not isinstance(ignore, bool):
        raise TypeError(f"ignore_result must be True or False, not {ignore!r}.")
    return Envelope(
        name=base.name,
        queue=base.queue if queue is None else check_queue(getattr(queue, "name", queue)),
        priority=base.priority if priority is None else bounds.priority(priority),
        delay_us=delay_us,
        due_us=due_us,
        expires_in_us=expires_in_us,
        expires_us=expires_us,
        keep_us=base.keep_us if ignore is None else bounds.keep_us(result_expires, bool(ignore)),
        max_crashes=base.max_crashes,
        max_lost=base.max_lost,
        follow=_follow(base.follow, options),
    )


def _follow(own: int, options: Mapping[str, Any]) -> int:
    """What follows must hear of ends that the store makes, and workers of calls that expire."""
    if options.get("chain") or options.get("expires") is not None:
        return FOLLOW_ANY
    return max(own, FOLLOW_DEAD) if options.get("link_error") else own


def due(options: Mapping[str, Any], zone: dt.tzinfo, now_us: int) -> tuple[int, int | None]:
    """(delay, instant) of a call: `countdown` wins over `eta`."""
    countdown, eta = options.get("countdown"), options.get("eta")
    if countdown is not None:
        return bounds.seconds_us(countdown, "countdown"), None
    if eta is not None:
        return 0, bounds.instant_us(eta, "eta", zone, now_us)
    return 0, None


def expiry(expires: Any, zone: dt.tzinfo, now_us: int) -> tuple[int | None, int | None]:
    """(age, instant) at which an unstarted task expires, from seconds, a timedelta or a datetime."""
    if expires is None:
        return None, None
    if isinstance(expires, dt.datetime):
        return None, bounds.instant_us(expires, "expires", zone, now_us)
    if isinstance(expires, (int, float)) and expires < 0:
        expires = 0
    return max(1, bounds.seconds_us(expires, "expires")), None


def call_extras(
    options: Mapping[str, Any],
    own_limits: tuple[float | None, float | None] = (None, None),
    eta_us: int | None = None,
) -> dict[str, Any]:
    """What travels beside the arguments; empty for a plain call. `own_limits` are the task's (soft, hard)."""
    extras: dict[str, Any] = {}
    if options.get("headers"):
        extras["h"] = bounds.headers(options["headers"])
    if "soft_time_limit" in options or "time_limit" in options:
        soft, hard = own_limits
        extras["l"] = list(
            bounds.limits(options.get("soft_time_limit", soft), options.get("time_limit", hard)),
        )
    if eta_us is not None:
        extras["a"] = eta_us
    elif options.get("countdown"):
        extras["d"] = bounds.seconds_us(options["countdown"], "countdown")
    if options.get("shadow"):
        extras["s"] = str(options["shadow"])[:200]
    if options.get("group_id"):
        extras["g"] = [str(options["group_id"]), options.get("group_index")]
    if options.get("link") or options.get("link_error") or options.get("chain"):
        _add_links(extras, options)
    if not _DONE_WITH.issuperset(options):
        extras["y"] = {name: value for name, value in options.items() if name not in _DONE_WITH and value is not None}
    return extras


def _add_links(extras: dict[str, Any], options: Mapping[str, Any]) -> None:
    from smallage.core import trees

    for name, key in (("link", "k"), ("link_error", "e")):
        if options.get(name):
            extras[key] = trees.pack_links(options[name])
    if options.get("chain"):
        rest: trees.Chain = []
        for one in reversed(options["chain"]):  # the last step stands first, as in Celery
            trees.join(rest, trees.chain_of(one))
        extras["n"] = trees.pack(rest)
