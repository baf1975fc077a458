"""`app.schedules`: what the store keeps of schedules, read and changed while everything runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import structs

from smallage.app import new_id
from smallage.core import entries
from smallage.core.entries import Spec
from smallage.core.errors import DecodeError, ImproperlyConfigured, SmallageError
from smallage.core.schedule import moment
from smallage.result import AsyncResult
from smallage.schedules import ticks
from smallage.stores.base import SchedulePut

if TYPE_CHECKING:
    from smallage.stores.base import ScheduleView

_KEEP: Final[Any] = object()


class ScheduleNotFound(SmallageError, KeyError):
    """There is no schedule of this name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ScheduleInfo(NamedTuple):
    """A schedule as `list` shows it."""

    name: str
    task: str
    schedule: str
    """Cron's five fields, or "every 30 s"."""
    next: dt.datetime | None
    """Its next nominal instant; None while it is paused, and where only the code can tell."""
    last: dt.datetime | None
    """The last instant that fired under the present schedule."""
    fired: int
    paused: bool
    source: str
    """"app" for entries of the code, "operator" for those set or edited at run time."""
    catch_up: str
    zone: str | None


class Schedules:
    """The stored schedules of an app's store. Entries of `beat_schedule` are put there by the first worker or
    `smallage beat` that starts with them. Every change takes effect at once, in all processes, without a restart.

    Methods raise StoreUnavailable while the store cannot be reached, ScheduleNotFound (a KeyError) for a
    name that there is none of.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def list(self) -> list[ScheduleInfo]:
        """All schedules by name."""
        return [self._info(view) for view in self._app.store.schedules()]

    def get(self, name: str) -> ScheduleInfo | None:
        """One schedule, or None."""
        view = self._view(name)
        return None if view is None else self._info(view)

    def pause(self, name: str) -> None:
        """No ticks until `resume`; those that would have been due meanwhile are left out."""
        if not self._app.store.schedule_pause(name, True):
            raise _missing(name)

    def resume(self, name: str) -> None:
        """Ticks again, from now on; an interval starts anew. A schedule that is not paused is left as it is."""
        while (view := self._known(name)).paused:
            spec = entries.unpack(view.spec)
            spec = structs.replace(spec, resumes=spec.resumes + 1)
            if self._replace(view, spec, view.source):
                self._app.store.schedule_pause(name, False)
                return

    def set(
        self,
        name: str,
        schedule: Any = _KEEP,
        *,
        task: Any = _KEEP,
        args: Sequence[Any] = _KEEP,
        kwargs: Mapping[str, Any] = _KEEP,
        options: Mapping[str, Any] = _KEEP,
        relative: bool = _KEEP,
        catch_up: str = _KEEP,
        zone: str = _KEEP,
    ) -> ScheduleInfo:
        """Make a schedule, or change what is given of one that there is; a new one needs `schedule` and `task`.

        `schedule`: seconds, a timedelta, `crontab(...)`, `schedule(...)` or cron's five fields as text, read in
        `zone` (by its name; else in that of before, else the app's). If the time stays the same, ticks that are due
        stay so. An edit of an entry of the code holds until the code's own entry changes. Raises ImproperlyConfigured
        for what cannot be, and for schedules and arguments that cannot be kept as plain values.
        """
        given = {"task": task, "args": args, "kwargs": kwargs, "options": options, "catch_up": catch_up}
        given = {key: value for key, value in given.items() if value is not _KEEP}
        while True:
            view = self._view(name)
            before = None if view is None else entries.unpack(view.spec)
            spec = self._changed(name, before, schedule, relative, given)
            if zone is not _KEEP:
                spec = structs.replace(spec, zone=zone)
                ticks.zone_of(spec, self._app)  # raises for one that is unknown here
            if view is not None and before is not None:
                over = entries.digest(before) if view.source != ticks.OPERATOR else before.over
                spec = structs.replace(spec, over=over, app=before.app)
            if self._replace(view, spec, ticks.OPERATOR, name):
                return self._info(self._known(name))

    def remove(self, name: str) -> None:
        """Remove a schedule. One of the code comes back when a worker starts with that code; to stop it for good take
        it out there, or pause it."""
        if not self._app.store.schedule_remove(name):
            raise _missing(name)

    def run_now(self, name: str) -> AsyncResult[Any]:
        """Push the task once, apart from its ticks; also while it is paused."""
        view = self._known(name)
        entry = ticks.of_the_code(self._app).get(name)
        tick = ticks.in_force(self._app, view, entry)
        if tick is None:
            spec = entries.unpack(view.spec)
            if not spec.portable:
                raise ImproperlyConfigured(
                    f"The schedule '{name}' has arguments or options that only the program's code can compute; run it "
                    "with the app that has it in its beat_schedule."
                )
            made = entries.entry_of(name, spec, self._app)
        else:
            made = tick.entry
        message = ticks.message_of(self._app, made, new_id())
        self._app.publish((message,))
        return AsyncResult(message.id, self._app, self._app.tasks.get(made.task))

    # -- parts --------------------------------------------------------------------------------------------------------
    def _replace(self, view: ScheduleView | None, spec: Spec, source: str, name: str = "") -> bool:
        """Put a spec in the place of the one that was read; False if somebody else was faster."""
        before = None if view is None else entries.unpack(view.spec)
        put = SchedulePut(
            name=view.name if view is not None else name,
            spec=entries.pack(spec),
            source=source,
            keep=before is not None and before.resumes == spec.resumes and entries.same_time(before, spec),
            over=b"" if view is None else view.spec,
        )
        done: list[bool] = self._app.store.schedules_put([put])
        return done[0]

    def _view(self, name: str) -> ScheduleView | None:
        views: list[ScheduleView] = self._app.store.schedules([name])
        return views[0] if views else None

    def _known(self, name: str) -> ScheduleView:
        view = self._view(name)
        if view is None:
            raise _missing(name)
        return view

    def _changed(self, name: str, before: Spec | None, schedule: Any, relative: Any, given: dict[str, Any]) -> Spec:
        """The spec with the given parts changed."""
        if before is None and (schedule is _KEEP or "task" not in given):
            raise ImproperlyConfigured(f"There is no schedule '{name}' yet: a new one needs a schedule and a task.")
        whole = {"task": "" if before is None else before.task, **given}
        whole["schedule"] = 1.0 if schedule is _KEEP else schedule
        whole["relative"] = False if relative is _KEEP else relative
        made = entries.spec_of(entries.entry(name, whole, self._app), self._app.zone())
        if made.custom or None in (made.args, made.kwargs, made.options):
            raise ImproperlyConfigured(
                f"The schedule '{name}': schedule and arguments that are set at run time must be plain values; put "
                "others into the code's beat_schedule."
            )
        if before is None:
            return made
        kept = {key: getattr(made, key) for key in given}
        if schedule is not _KEEP:
            timing = ("crontab", "every_us", "relative", "custom")
            kept.update({key: getattr(made, key) for key in timing}, zone=before.zone or made.zone)
        elif relative is not _KEEP and before.every_us is not None:
            kept.update(relative=bool(relative), zone=before.zone or entries.zone_name(self._app.zone()))
        return structs.replace(before, **kept)

    def _info(self, view: ScheduleView) -> ScheduleInfo:
        try:
            spec = entries.unpack(view.spec)
        except DecodeError:  # put by a newer version
            spec = Spec(task="?", custom="?")
        return ScheduleInfo(
            name=view.name,
            task=spec.task,
            schedule=spec.words(),
            next=None if view.paused or spec.custom else self._next(view, spec),
            last=None if view.last_us is None else moment(view.last_us, ticks.zone_of(spec, self._app)),
            fired=view.fired,
            paused=view.paused,
            source=view.source,
            catch_up=spec.catch_up,
            zone=spec.zone,
        )

    def _next(self, view: ScheduleView, spec: Spec) -> dt.datetime | None:
        zone = ticks.zone_of(spec, self._app)
        timing = structs.replace(spec, args=[], kwargs={}, options={})
        last_us = max(view.since_us, view.last_us or 0)
        tick = ticks.Tick(entries.entry_of(view.name, timing), zone, view.since_us, last_us, view.spec)
        following = tick.after(tick.last_us)
        return None if following is None else moment(following, zone)


def _missing(name: str) -> ScheduleNotFound:
    return ScheduleNotFound(f"There is no schedule '{name}'; `smallage schedules` lists those that there are.")
