"""The rate limits of the code, told to the store: it is there that they hold, over all workers."""

from __future__ import annotations

from typing import Any

from smallage.core.limits import parse_rate
from smallage.stores.base import LimitSpec, Store


def tell_rates(app: Any, store: Store) -> None:
    """Set the default limits of the app's tasks where the store has others. An operator's limits stay above them."""
    conf = app.conf
    wanted: dict[str, LimitSpec | None] = {}
    for name, task in app.tasks.items():
        value = task.rate_limit
        if value is None:
            value = conf.task_default_rate_limit
        rate = None if conf.worker_disable_rate_limits else parse_rate(value, f"rate_limit of {name}")
        wanted[f"task:{name}"] = LimitSpec(rate.tokens, rate.per_us) if rate is not None else None
    known = store.limits(tuple(wanted)) if wanted else {}
    for key, spec in wanted.items():
        if (known[key].default if key in known else None) != spec:
            store.limit(key, spec, default=True)
