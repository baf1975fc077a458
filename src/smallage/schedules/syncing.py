"""How entries of the code come into the store, when a service starts that has them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from smallage.core import entries
from smallage.core.entries import Entry, Spec
from smallage.core.errors import DecodeError
from smallage.schedules import ticks
from smallage.stores.base import MAX_SCHEDULES, SchedulePut

if TYPE_CHECKING:
    from smallage.stores.base import ScheduleView

logger = logging.getLogger("smallage.beat")

_SAME_US: Final = 1_000_000
"""Beginnings so near to each other are those of one service, reckoned at different times."""


def sync(app: Any, code: Mapping[str, Entry], age_us: int = 0, missing: bool = True) -> None:
    """Put the entries of the code into the store where they differ, but for those that an operator has edited since
    they last changed, and those of a service that began later than this one, `age_us` ago: its code is the newer.
    Without `missing` those that the store has no more stay away. What the code no longer has stays listed and is
    fired by nobody. Raises StoreError."""
    if not code:
        return
    store = app.store
    began_us = store.tick(()).now_us - age_us
    views = {view.name: view for view in store.schedules()}
    left = {name: ticks.own_spec(app, entry) for name, entry in code.items()}
    while left:
        puts = [
            put for name, spec in left.items() if (put := _put(name, spec, views.get(name), began_us, missing))
        ]  # fmt: skip
        left = {name: left[name] for name in _overtaken(store, puts)}
        views = {view.name: view for view in store.schedules(list(left))} if left else {}


def _overtaken(store: Any, puts: list[SchedulePut]) -> list[str]:
    """Put them; the names of those that somebody else has changed meanwhile."""
    names: list[str] = []
    for start in range(0, len(puts), MAX_SCHEDULES):
        batch = puts[start : start + MAX_SCHEDULES]
        names += [put.name for put, done in zip(batch, store.schedules_put(batch), strict=True) if not done]
    return names


def _put(name: str, own: Spec, view: ScheduleView | None, began_us: int, missing: bool) -> SchedulePut | None:
    """What is to be put for an entry of the code; None if what is stored stands."""
    mine = entries.pack(structs.replace(own, began_us=began_us))
    if view is None:
        return SchedulePut(name=name, spec=mine, source=ticks.APP, over=b"") if missing else None
    try:
        stored = entries.unpack(view.spec)
    except DecodeError:  # of another version
        return SchedulePut(name=name, spec=mine, source=ticks.APP, over=view.spec)
    if (stored.over if view.source == ticks.OPERATOR else entries.digest(stored)) == entries.digest(own):
        return None
    if stored.began_us > began_us + _SAME_US:
        return None
    if stored.app and own.app and stored.app != own.app:
        logger.warning(
            "The schedule %r of the app %r takes the place of that of the app %r: name one of them otherwise",
            name, own.app, stored.app,
        )  # fmt: skip
    keep = entries.same_time(stored, own)
    return SchedulePut(name=name, spec=mine, source=ticks.APP, keep=keep, over=view.spec)
