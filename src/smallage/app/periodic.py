"""`add_periodic_task`: an entry of `beat_schedule`, made in code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallage.core import entries


def new_entry(
    app: Any, when: Any, sig: Any, args: Any, kwargs: Mapping[str, Any] | None, name: str | None, call: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """(key, entry) for a signature or task that is to be sent again and again. The key is the name, else what the
    signature looks like; `relative` and `catch_up` are the entry's own, other options go over the signature's."""
    own: dict[str, Any] = {key: call.pop(key) for key in ("relative", "catch_up") if key in call}
    if not hasattr(sig, "clone"):
        sig = sig.s() if hasattr(sig, "s") else app.signature(sig)
    made = sig.clone(args=tuple(args or ()), kwargs=dict(kwargs or {}))
    given: dict[str, Any] = {"task": made.task, "schedule": when, **own}
    given |= {"args": tuple(made.args), "kwargs": dict(made.kwargs), "options": {**made.options, **call}}
    return (name or repr(made))[: entries.MAX_NAME], given


def add_entry(app: Any, key: str, given: dict[str, Any]) -> None:
    """Put it into the settings. Raises ImproperlyConfigured for what cannot work."""
    entries.entry(key, given, app)
    app.conf.beat_schedule[key] = given
