"""From a schedule to its ticks: which entry is in force, when it is due, and the message of one tick."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from smallage.core import calls, entries, options
from smallage.core.canvas import Signature
from smallage.core.cron import crontab
from smallage.core.due import Look, look, next_after
from smallage.core.entries import Entry, Spec
from smallage.core.errors import ImproperlyConfigured
from smallage.core.ids import random_uuid_text
from smallage.core.schedule import BaseSchedule, moment, schedule

if TYPE_CHECKING:
    from smallage.core.message import Message
    from smallage.stores.base import ScheduleView

APP: Final = "app"
OPERATOR: Final = "operator"
"""Sources of a stored schedule: the code, or somebody at run time."""
HEADER: Final = "celery_beat_task"
OWN_LOOK_US: Final = 300_000_000
"""A schedule of its own kind is asked at least this often."""


# -- entries of the code ------------------------------------------------------------------------------------------
def of_the_code(app: Any) -> dict[str, Entry]:
    """The entries of the app's `beat_schedule`, checked. Raises ImproperlyConfigured."""
    given = app.conf.beat_schedule or {}
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"beat_schedule must be a dict of entries, not {type(given).__name__}.")
    return {name: entries.entry(name, one, app) for name, one in given.items()}


# -- what is in force ---------------------------------------------------------------------------------------------
class Tick(NamedTuple):
    """A schedule that this process can fire."""

    entry: Entry
    zone: dt.tzinfo
    start_us: int
    """Where intervals are counted from, and the instant after which ticks are due."""
    last_us: int
    """The last instant that has fired, else the start."""
    spec: bytes
    """The stored spec that it is of; once there is another, the store refuses it."""

    def after(self, instant_us: int) -> int | None:
        """The first nominal instant after another."""
        return next_after(self.entry.when, instant_us, self.zone, self.start_us)


def in_force(app: Any, view: ScheduleView, code: Entry | None) -> Tick | None:
    """What this process fires for a stored schedule: the operator's entry if there is one, else the code's own, and
    where newer code has put another, that one. None for an entry of some other code, or of newer code that alone can
    compute its arguments. Raises SmallageError for one that cannot be read."""
    spec = entries.unpack(view.spec)
    if code is None and (view.source != OPERATOR or not spec.portable):
        return None
    if code is not None and view.source != OPERATOR and entries.same_code(spec, own_spec(app, code)):
        made, zone = code, app.zone()
    elif spec.portable:
        made, zone = entries.entry_of(view.name, spec, app), zone_of(spec, app)
    elif code is not None and view.source == OPERATOR:
        made, zone = _edited(view.name, spec, code, app), zone_of(spec, app)
    else:
        return None
    return Tick(made, zone, view.since_us, max(view.since_us, view.last_us or 0), view.spec)


def own_spec(app: Any, code: Entry) -> Spec:
    """The spec of an entry of this process's code."""
    return entries.spec_of(code, app.zone(), str(app.main or ""))


def _edited(name: str, spec: Spec, code: Entry, app: Any) -> Entry:
    """An operator's edit of an entry whose arguments, options or schedule only the code has."""
    plain = msgspec.structs.replace(
        spec,
        args=spec.args if spec.args is not None else [],
        kwargs=spec.kwargs if spec.kwargs is not None else {},
        options=spec.options if spec.options is not None else {},
        every_us=entries.YEAR_US if spec.custom else spec.every_us,
    )
    made = entries.entry_of(name, plain, app)
    return msgspec.structs.replace(
        made,
        when=code.when if spec.custom else made.when,
        args=code.args if spec.args is None else made.args,
        kwargs=code.kwargs if spec.kwargs is None else made.kwargs,
        options=code.options if spec.options is None else made.options,
    )


def zone_of(spec: Spec, app: Any) -> dt.tzinfo:
    """The zone that a spec is read in."""
    if spec.zone is None:
        zone: dt.tzinfo = app.zone()
        return zone
    if spec.zone == "UTC":
        return dt.UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(spec.zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ImproperlyConfigured(
            f"This computer does not know the time zone {spec.zone!r}; install the package tzdata."
        ) from None


# -- when it is due -----------------------------------------------------------------------------------------------
def look_at(tick: Tick, now_us: int, deadline: float | dt.timedelta | None) -> Look:
    """What to fire now and when to look again. `deadline` is `beat_cron_starting_deadline`."""
    entry = tick.entry
    if not is_plain(entry.when):
        return _look_at_own(entry.when, tick, now_us)
    on_clock = isinstance(entry.when, crontab) and deadline is not None
    deadline_us = options.seconds_us(deadline, "beat_cron_starting_deadline") if on_clock else None
    return look(tick.after, tick.last_us, now_us, entry.catch_up, deadline_us)


def is_plain(when: BaseSchedule) -> bool:
    """True if the instants of a schedule can be computed without asking it."""
    return type(when) in (crontab, schedule)


def _look_at_own(when: BaseSchedule, tick: Tick, now_us: int) -> Look:
    """Ask a schedule of its own kind, with a clock that stands still, so that all who ask hear the same instant. It
    is rounded to seconds: some ask a clock of their own."""
    before = when.nowfun
    when.nowfun = lambda: moment(now_us, tick.zone)
    try:
        last = moment(tick.last_us, tick.zone)
        due, seconds = when.is_due(last)
        try:
            nominal = now_us + round(when.remaining_estimate(last).total_seconds() * 1e6)
        except (NotImplementedError, AttributeError):
            nominal = now_us
    finally:
        when.nowfun = before
    following = now_us + min(max(round(seconds * 1e6), 1_000), OWN_LOOK_US)
    nominal = max(min(nominal, now_us) // 1_000_000 * 1_000_000, tick.last_us + 1)
    return Look((nominal,) if due else (), following)


# -- one tick -----------------------------------------------------------------------------------------------------
def tick_id(name: str, instant_us: int) -> str:
    """The id of the task of one tick: the same whoever fires it."""
    from hashlib import sha256  # loads OpenSSL, which a process that only pushes need not

    return random_uuid_text(sha256(f"{name}\0{instant_us}".encode()).hexdigest()[:32])


def message_of(app: Any, entry: Entry, task_id: str) -> Message:
    """The message of one tick, as `apply_async` would make it; of a workflow, the one that sets it going. Raises what
    `apply_async` raises."""
    args, kwargs = entry.arguments()
    call = dict(entry.options)
    call["headers"] = {**(call.get("headers") or {}), HEADER: True}
    if entry.task.startswith("celery.") or not _TREES.isdisjoint(call):
        return _tree(app, entry.task, args, kwargs, call, task_id)
    calls.check(call)
    task = app.tasks.get(entry.task)
    names: Any = ()
    if task is not None:
        prepared = task.current()
        names = prepared.names
        envelope, extras = task.call(prepared, args, kwargs, call)
    else:
        answer = options.route(app.conf.task_routes, entry.task, args, kwargs, call)
        call = {**{key: answer[key] for key in ("queue", "priority") if key in answer}, **call}
        envelope, extras = app.call(app.base_envelope(entry.task), call, (None, None))
    warn_over = min(app.conf.task_payload_warning or 2**53, app.conf.task_payload_limit or 2**53)
    made: Message = app.message(envelope, args, kwargs, extras, names, warn_over, call, task_id)
    return made


_TREES: Final = frozenset({"link", "link_error", "chain"})
"""Options that make a workflow of a call."""


def _tree(app: Any, task: str, args: list[Any], kwargs: dict[str, Any], call: dict[str, Any], task_id: str) -> Message:
    from smallage.core import plan, trees
    from smallage.workflows.ids import derived
    from smallage.workflows.making import Maker
    from smallage.workflows.sending import origin_of

    kind = task.removeprefix("celery.")
    sig = Signature.from_dict(
        {
            "task": task,
            "args": args,
            "kwargs": kwargs,
            "options": call,
            "subtask_type": kind if kind in Signature.TYPES else None,
            "immutable": False,
        },
        app,
    )
    chain = trees.chain_of(sig)
    if not chain:
        raise ImproperlyConfigured("An empty workflow has nothing to send.")
    if len(chain) == 1:
        trees.name_last(chain, {"task_id": task_id})
    trees.freeze(chain, derived(task_id))
    return plan.first(chain, (), origin_of(chain, {}), Maker(app))
