"""What sends scheduled tasks: `celery.beat`. The schedules are in the store; workers and `smallage beat` send them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NoReturn

from smallage.app.current import the_app
from smallage.as_celery.absent import attribute
from smallage.core.errors import SmallageError
from smallage.schedules import BeatLazyFunc, maybe_schedule


class SchedulingError(SmallageError):
    """A scheduled task could not be sent."""


class ScheduleEntry:
    """One row of a schedule: what is sent, when, and when it was last. Iterating on gives the row after a run."""

    def __init__(
        self,
        name: str | None = None,
        task: str | None = None,
        last_run_at: dt.datetime | None = None,
        total_run_count: int | None = None,
        schedule: Any = None,
        args: Any = (),
        kwargs: Any = None,
        options: Any = None,
        relative: bool = False,
        app: Any = None,
    ) -> None:
        self.app = app or the_app()
        self.name, self.task = name, task
        self.args, self.kwargs, self.options = args, kwargs or {}, options or {}
        self.schedule = maybe_schedule(schedule, relative, app=self.app)
        self.last_run_at = last_run_at or self.default_now()
        self.total_run_count = total_run_count or 0

    def default_now(self) -> dt.datetime:
        """The present instant, as the schedule or the app counts it."""
        return self.schedule.now() if self.schedule else self.app.now()

    def is_due(self) -> Any:
        """(whether it is to be sent now, seconds until the next look)."""
        return self.schedule.is_due(self.last_run_at)

    def update(self, other: ScheduleEntry) -> None:
        """Take what is sent and when from another row; not when it last ran."""
        for name in ("task", "schedule", "args", "kwargs", "options"):
            setattr(self, name, getattr(other, name))

    def __next__(self, last_run_at: dt.datetime | None = None) -> ScheduleEntry:
        return type(self)(
            self.name,
            self.task,
            last_run_at or self.default_now(),
            self.total_run_count + 1,
            self.schedule,
            self.args,
            self.kwargs,
            self.options,
            app=self.app,
        )

    next = __next__

    def __repr__(self) -> str:
        return f"<ScheduleEntry: {self.name} {self.task} {self.schedule!r}>"


class Scheduler:
    """Refused: raises NotImplementedError when one is made. It is here so that modules can name it."""

    Entry = ScheduleEntry

    def __init__(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(
            "A scheduler of your own is not run: schedules are kept in the store, and any worker sends them. "
            "app.schedules lists, sets, pauses and removes them at run time; app.conf.beat_schedule declares them."
        )


class PersistentScheduler(Scheduler):
    """Refused, as `Scheduler` is."""


__all__ = ["BeatLazyFunc", "PersistentScheduler", "ScheduleEntry", "Scheduler", "SchedulingError"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
