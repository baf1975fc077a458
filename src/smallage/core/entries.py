"""Entries of a beat schedule: what programs write, checked, and as a plain spec that a store can keep."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

import msgspec

from smallage.core import calls, codec
from smallage.core.cron import crontab
from smallage.core.due import CATCH_UP, CatchUp
from smallage.core.errors import DecodeError, EncodeError, ImproperlyConfigured, ParseException
from smallage.core.ids import check_name
from smallage.core.options import MAX_SECONDS, nearest
from smallage.core.schedule import BaseSchedule, maybe_schedule, schedule

KEYS: Final = frozenset({"task", "schedule", "args", "kwargs", "options", "relative", "catch_up"})
LEAST_SECONDS: Final = 0.01
"""The shortest interval."""
MAX_NAME: Final = 200
YEAR_US: Final = 366 * 86_400_000_000


class BeatLazyFunc:
    """An argument of an entry that is computed when a tick is sent: `BeatLazyFunc(f, *args, **kwargs)`."""

    def __init__(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._func = func
        self._func_params: Any = {"args": args, "kwargs": kwargs}

    def __call__(self) -> Any:
        return self.delay()

    def delay(self) -> Any:
        """The value for this tick."""
        return self._func(*self._func_params["args"], **self._func_params["kwargs"])


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A task and when it is to run."""

    name: str
    task: str
    when: BaseSchedule
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    options: dict[str, Any] = {}
    catch_up: CatchUp = "latest"

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of one tick, lazy ones computed."""
        return [_now(value) for value in self.args], {key: _now(value) for key, value in self.kwargs.items()}


def _now(value: Any) -> Any:
    return value() if isinstance(value, BeatLazyFunc) else value


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An entry as plain values. `crontab` is in cron's order, intervals are in µs; one of the two is set, or neither
    for a schedule that only the program's own code can tell."""

    task: str
    crontab: str | None = None
    every_us: int | None = None
    relative: bool = False
    zone: str | None = None
    """Zone in which it is read; None for the reader's own."""
    args: list[Any] | None = []
    """None, with `kwargs`: known to the code alone, since they are computed there or cannot travel."""
    kwargs: dict[str, Any] | None = {}
    options: dict[str, Any] | None = {}
    catch_up: CatchUp = "latest"
    custom: str = ""
    """How the schedule shows itself, if only the code can tell its instants."""
    app: str = ""
    """Name of the app whose code has the entry."""
    over: str = ""
    """For an entry that was edited at run time: the digest of the code's own, which it replaces until that changes."""
    resumes: int = 0
    """How often it was resumed after a pause. Each makes the spec a new one, for which the store starts anew: what
    would have been due during the pause is left out."""
    began_us: int = 0
    """When the service began whose code put this. Those that began earlier leave it as it is."""

    @property
    def portable(self) -> bool:
        """True if any process can fire it, with or without the code that has it."""
        return not self.custom and self.args is not None and self.kwargs is not None and self.options is not None

    def words(self) -> str:
        """The schedule as text: cron's five fields, or "every 30 s"."""
        if self.crontab is not None:
            return self.crontab
        if self.every_us is None:
            return self.custom
        return f"every {self.every_us / 1e6:g} s{' on the clock' if self.relative else ''}"


# -- from programs ------------------------------------------------------------------------------------------------
def entry(name: Any, given: Any, app: Any = None) -> Entry:
    """Check one entry of `beat_schedule` and give it its place. Raises ImproperlyConfigured, naming entry and fault."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise ImproperlyConfigured(
            f"The name of a schedule must be a text of 1 to {MAX_NAME} characters, not {name!r}."
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ImproperlyConfigured(f"The name of a schedule must be a text that can be written: {name!r}.") from None
    try:
        return _entry(name, given, app)
    except (TypeError, ValueError, ParseException, ImproperlyConfigured) as error:
        raise ImproperlyConfigured(f"The schedule '{name}': {error}") from None


def _entry(name: str, given: Any, app: Any) -> Entry:
    if not isinstance(given, Mapping):
        raise TypeError(f"it must be a dict with 'task' and 'schedule', not {type(given).__name__}.")
    for key in given:
        if key not in KEYS:
            raise ValueError(f"there is no key {key!r}{nearest(str(key), KEYS)}")
    for key in ("task", "schedule"):
        if given.get(key) is None:
            raise ValueError(f"it has no '{key}'.")
    args, kwargs, options = given.get("args") or (), given.get("kwargs") or {}, given.get("options") or {}
    if not isinstance(args, (list, tuple)):
        raise TypeError(f"'args' must be a list or tuple, not {type(args).__name__}; for one argument write (value,).")
    for what, value in (("kwargs", kwargs), ("options", options)):
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise TypeError(f"'{what}' must be a dict with texts as keys.")
    if options.get("task_id") is not None:
        raise ValueError("'options' must not hold a task_id: each tick is a task of its own.")
    calls.check(options)
    catch_up = given.get("catch_up", "latest")
    if catch_up not in CATCH_UP:
        raise ValueError(f"'catch_up' must be one of {', '.join(map(repr, CATCH_UP))}, not {catch_up!r}.")
    relative = given.get("relative", False)
    return Entry(
        name=name,
        task=check_name(getattr(given["task"], "name", given["task"])),
        when=when(given["schedule"], bool(relative), app),
        args=tuple(args),
        kwargs=dict(kwargs),
        options=dict(options),
        catch_up=catch_up,
    )


def when(given: Any, relative: bool = False, app: Any = None) -> BaseSchedule:
    """The schedule that a number of seconds, a timedelta, a text in cron's order or a schedule object means.

    Raises TypeError, ValueError or ParseException."""
    if isinstance(given, str):
        given = crontab.from_string(given)
    if isinstance(given, bool) or not isinstance(given, (int, float, dt.timedelta)):
        if not callable(getattr(given, "is_due", None)):
            raise TypeError(
                "'schedule' must be seconds, a timedelta, crontab(...), schedule(...) or a text of cron's five fields, "
                f"not {type(given).__name__}."
            )
    elif isinstance(given, float) and not isfinite(given):
        raise ValueError("an interval must be a number of seconds.")
    elif (given.total_seconds() if isinstance(given, dt.timedelta) else given) > MAX_SECONDS:
        raise ValueError(f"an interval is at most {MAX_SECONDS} seconds (ten years).")
    made: BaseSchedule = maybe_schedule(given, relative, app)
    if type(made) is schedule:
        _check_interval(made)
    return made


def _check_interval(made: schedule) -> None:
    if not isinstance(made.run_every, dt.timedelta):
        raise TypeError("schedule(...) needs an interval: seconds or a timedelta.")
    if made.run_every.total_seconds() < LEAST_SECONDS:
        raise ValueError(f"an interval is at least {LEAST_SECONDS} seconds.")


# -- to the store and back ----------------------------------------------------------------------------------------
def spec_of(made: Entry, zone: dt.tzinfo, app: str = "") -> Spec:
    """The spec of an entry that is read in `zone` and belongs to the code of `app`."""
    args: list[Any] | None = list(made.args)
    kwargs: dict[str, Any] | None = made.kwargs
    options: dict[str, Any] | None = made.options
    if any(isinstance(value, BeatLazyFunc) for value in (*made.args, *made.kwargs.values())) or not _travels(
        [args, kwargs]
    ):
        args = kwargs = None
    if not _travels(options):
        options = None
    fields: dict[str, Any] = {"args": args, "kwargs": kwargs, "options": options}
    if type(made.when) is crontab:
        fields["crontab"], fields["zone"] = made.when.text(), zone_name(zone)
    elif type(made.when) is schedule:
        fields["every_us"] = made.when.run_every // dt.timedelta(microseconds=1)
        if made.when.relative:
            fields["relative"], fields["zone"] = True, zone_name(zone)
    else:
        fields["custom"] = _ADDRESS.sub("", repr(made.when))[:200]
    return Spec(task=made.task, catch_up=made.catch_up, app=app, **fields)


_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
"""What Python writes into the text of an object that has none of its own; another in each process."""


def _travels(value: Any) -> bool:
    try:
        codec.encode_value(value)
    except EncodeError:
        return False
    return True


def zone_name(zone: dt.tzinfo) -> str | None:
    """The name under which every process finds the zone."""
    return "UTC" if zone is dt.UTC else getattr(zone, "key", None)


def pack(spec: Spec) -> bytes:
    """A spec as bytes; equal specs are equal bytes."""
    plain = msgspec.structs.asdict(spec)
    defaults = dict(zip(plain, msgspec.structs.asdict(_BARE).values(), strict=True))
    return codec.encode_value({key: value for key, value in plain.items() if key == "task" or value != defaults[key]})


_BARE = Spec(task="")


def unpack(data: bytes) -> Spec:
    """The spec of such bytes; raises DecodeError for others."""
    try:
        return msgspec.convert(codec.decode_value(data), Spec)
    except msgspec.ValidationError as error:
        raise DecodeError(f"This is no schedule of this version of Smallage: {error}") from None


def digest(spec: Spec) -> str:
    """16 characters that tell two specs of one entry apart, whatever pauses they have seen."""
    from hashlib import sha256  # loads OpenSSL, which a process that only pushes need not

    return sha256(pack(msgspec.structs.replace(spec, resumes=0, began_us=0))).hexdigest()[:16]


def same_time(one: Spec, other: Spec) -> bool:
    """True if both are due at the same instants, as far as specs can tell: then ticks that nobody served yet stay due
    when one replaces the other."""
    if one.custom and other.custom:
        return True  # only the code knows; it is asked with the last instant that fired
    return (one.crontab, one.every_us, one.relative, one.zone) == (
        other.crontab, other.every_us, other.relative, other.zone,
    ) and one.custom == other.custom  # fmt: skip


def same_code(stored: Spec, own: Spec) -> bool:
    """True if a stored entry of the code is this process's own."""
    if pack(msgspec.structs.replace(own, resumes=stored.resumes, began_us=stored.began_us)) == pack(stored):
        return True
    if stored.custom and own.custom:  # some show themselves otherwise in each process
        stored, own = (msgspec.structs.replace(spec, custom="its own") for spec in (stored, own))
    return digest(stored) == digest(own)


def entry_of(name: str, spec: Spec, app: Any = None) -> Entry:
    """The entry of a portable spec. Raises ImproperlyConfigured if it cannot be one."""
    given: dict[str, Any] = {"task": spec.task, "args": spec.args, "kwargs": spec.kwargs, "options": spec.options}
    timing: Any = spec.crontab if spec.crontab is not None else dt.timedelta(microseconds=spec.every_us or 0)
    return entry(name, {**given, "schedule": timing, "relative": spec.relative, "catch_up": spec.catch_up}, app)
