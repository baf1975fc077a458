"""The scheduler: fires the ticks of schedules that are due, in a worker's child or in a process of its own.

Any number may run. The store's `fire` lets each tick through once, so whoever is first sends it and the others are
told that they are late; one that dies has lost nothing that another does not do. It sleeps until the next nominal
instant or until a schedule changes, and without schedules until there is one.
"""

from __future__ import annotations

import logging
import math
import random
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from smallage.core import options
from smallage.core.due import SECOND_US
from smallage.core.errors import ImproperlyConfigured, SmallageError, StoreError
from smallage.schedules import ticks
from smallage.schedules.syncing import sync
from smallage.stores.base import SCHEDULES
from smallage.worker.agenda import Agenda, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smallage.core.entries import Entry
    from smallage.schedules.ticks import Tick
    from smallage.stores.base import ScheduleView, Watch

logger = logging.getLogger("smallage.beat")

LONGEST: Final = 300.0
"""Seconds between looks while there are schedules, in case the clock is set; Celery's `beat_max_loop_interval`."""
_DEFAULT_SCHEDULERS: Final = frozenset(
    ("celery.beat:PersistentScheduler", "celery.beat.PersistentScheduler", "celery.beat:Scheduler")
)
STARTING: Final = 60.0
"""Seconds after its begin in which a service puts entries that the store lacks. A worker's child that takes the place
of another later does not bring back what was removed meanwhile."""
_SHORTEST, _LONGEST_PAUSE = 0.05, 5.0
"""Seconds before the store is tried again."""
_READING_SHARE: Final = 10.0
"""Between two readings of the schedules passes so many times what a reading takes."""


def _same(one: ScheduleView, other: ScheduleView) -> bool:
    """True for views of one schedule between which it has not changed, whatever ticks it fired."""
    return (one.spec, one.source, one.paused, one.since_us) == (
        other.spec, other.source, other.paused, other.since_us,
    )  # fmt: skip


def check_scheduler(name: str | None) -> None:
    """Raise ImproperlyConfigured for another scheduler than Celery's default, whose place the store has taken."""
    if name and name not in _DEFAULT_SCHEDULERS:
        raise ImproperlyConfigured(
            f"The scheduler '{name}' is not offered: schedules are kept in the store, where all workers and "
            "app.schedules find them. Leave beat_scheduler out; entries of a database are put there with "
            "app.schedules.set(...)."
        )


class Beat:
    """The scheduler of an app. `step` does what is due; `run` does so for ever, until `stop`.

    `began`: `monotonic()` when the service began that this is part of; now, if it is not given. What one that began
    later has put into the store from its code is left as it is, and entries that were removed stay away.
    """

    def __init__(self, app: Any, max_interval: float | None = None, began: float | None = None) -> None:
        self.app = app
        if callable(finalize := getattr(app, "finalize", None)):
            finalize()  # entries may be added by receivers of on_after_finalize
        check_scheduler(app.conf.beat_scheduler)
        interval = max_interval or app.conf.beat_max_loop_interval or LONGEST
        self.max_interval = options.seconds_us(interval, "beat_max_loop_interval") / SECOND_US
        self.code: dict[str, Entry] = ticks.of_the_code(app)
        """Entries of the code; a fault in them is told here, by ImproperlyConfigured."""
        self._began = monotonic() if began is None else began
        self._agenda = Agenda()
        self._known = False
        """Whether the stored schedules are as they were last read; else they are read anew."""
        self._read_at, self._read_seconds = 0.0, 0.0
        self._reread: float | None = None
        """When a change that was told is read, by `monotonic()`."""
        self._failed: dict[str, int] = {}
        """The instant at which a schedule's message could not be made."""
        self._epoch: str | None = None
        """Of the store that the entries of the code were put into; None: they are to be put."""
        self._emptied = False
        self._stopping = threading.Event()
        self._watch: Watch | None = None
        self._away = False

    # -- one look -----------------------------------------------------------------------------------------------------
    def step(self) -> float | None:
        """Fire what is due; seconds until the next look, or None if nothing will be due until a schedule changes.

        Raises StoreError while the store cannot be reached: then nothing is lost, and the next look does it."""
        if self._epoch is None:
            self._sync()
        if not self._known:
            self._read()
        if self._agenda.nearest() == math.inf:
            return None
        now_us: int = self.app.store.tick(()).now_us  # the store's clock decides, whatever this computer's says
        if self.app.store.epoch != self._epoch:  # somebody has emptied it
            self._known = False
            return 0.0
        self._serve(now_us)
        return min(max(0.0, (self._agenda.nearest() - now_us) / SECOND_US), self.max_interval)

    def forget(self) -> None:
        """Read the stored schedules anew at the next look."""
        self._known = False

    def upcoming(self) -> list[tuple[int, str, str]]:
        """(instant, name, task) of the next tick of each schedule that this process fires, the nearest first."""
        if not self._known:
            self.step()
        found = []
        for name, plan in self._agenda.plans.items():
            tick = plan.tick
            if tick is not None and ticks.is_plain(tick.entry.when):
                following = tick.after(tick.last_us)
                if following is not None:
                    found.append((following, name, tick.entry.task))
        return sorted(found)

    # -- what is stored -----------------------------------------------------------------------------------------------
    def _sync(self) -> None:
        """Put the entries of the code into the store: at the start, and when somebody has emptied it."""
        self.code = ticks.of_the_code(self.app)
        age = monotonic() - self._began
        emptied = self._emptied
        sync(self.app, self.code, int(age * SECOND_US), missing=emptied or age < STARTING)
        self._epoch, self._emptied = self.app.store.epoch, False

    def _read(self) -> None:
        begun = monotonic()
        views = {view.name: view for view in self.app.store.schedules()}
        if any(name not in views for name in self.code):
            self.app.store.tick(())  # meets a store that was emptied, and sets it up
        if self.app.store.epoch != self._epoch:
            self._emptied = bool(self._epoch)
            self._sync()
            views = {view.name: view for view in self.app.store.schedules()}
        self._compare(views)
        self._known, self._reread = True, None
        self._read_at = monotonic()
        self._read_seconds = self._read_at - begun

    def _compare(self, views: Mapping[str, ScheduleView]) -> None:
        """Plan anew what is not as it was."""
        agenda, before = self._agenda, self._agenda.plans
        agenda.plans = {}
        for name, view in views.items():
            plan = before.get(name)
            if plan is None or not _same(plan.view, view):
                plan = Plan(view, self._tick(view))
                agenda.plans[name] = plan
                agenda.put(plan, -math.inf if plan.tick is not None else math.inf)
            else:
                agenda.plans[name] = plan
                plan.fired(view.last_us or 0)

    def _tick(self, view: ScheduleView) -> Tick | None:
        """What this process fires for a schedule, None if nothing."""
        if view.paused:
            return None
        try:
            return ticks.in_force(self.app, view, self.code.get(view.name))
        except SmallageError as error:
            logger.error("The schedule %r cannot be fired by this process: %s", view.name, error)
            return None

    # -- what is due --------------------------------------------------------------------------------------------------
    def _serve(self, now_us: int) -> None:
        """Fire what is due of all schedules."""
        deadline = self.app.conf.beat_cron_starting_deadline
        left = self._agenda.take(now_us)
        left.reverse()
        try:
            while left and not self._stopping.is_set():
                due = self._looked(left[-1], now_us, deadline)
                self._agenda.put(left.pop(), due)
        finally:
            for plan in left:  # the store is away, or we are to end
                self._agenda.put(plan, -math.inf)

    def _looked(self, plan: Plan, now_us: int, deadline: float | None) -> float:
        """`_look`, where what goes wrong with one schedule is no matter of the others."""
        try:
            return self._look(plan, now_us, deadline)
        except StoreError:
            raise
        except Exception:
            logger.exception("The schedule %r cannot be served; trying again later", plan.view.name)
            return now_us + LONGEST * SECOND_US

    def _look(self, plan: Plan, now_us: int, deadline: float | None) -> float:
        """Fire what is due of one schedule; the instant of its next look."""
        tick, name = plan.tick, plan.view.name
        assert tick is not None
        try:
            found = ticks.look_at(tick, now_us, deadline)
            if found.fire and not ticks.is_plain(tick.entry.when) and self._refreshed(plan):
                tick = plan.tick or tick
                found = ticks.look_at(tick, now_us, deadline)
        except StoreError:
            raise
        except Exception:
            logger.exception("The schedule %r cannot tell when it is due; asking again later", name)
            return now_us + LONGEST * SECOND_US
        for instant_us in found.fire:
            if instant_us <= self._failed.get(name, 0):
                continue
            if not self._fire(plan, tick, instant_us):
                return math.inf  # until it is read anew
        if found.skipped_us is not None:
            verdict = self.app.store.fire(name, found.skipped_us, None, skip=True, spec=tick.spec)
            if not self._remember(plan, found.skipped_us, verdict):
                return math.inf
        return math.inf if found.next_us is None else found.next_us

    def _refreshed(self, plan: Plan) -> bool:
        """Learn when a schedule last fired: those of their own kind count from there, whoever fired it."""
        for view in self.app.store.schedules([plan.view.name]):
            if _same(plan.view, view):
                plan.fired(view.last_us or 0)
                return True
        return False

    def _fire(self, plan: Plan, tick: Tick, instant_us: int) -> bool:
        """Send one tick unless somebody has; False if the schedule is another now."""
        entry, name = tick.entry, plan.view.name
        try:
            message = ticks.message_of(self.app, entry, ticks.tick_id(name, instant_us))
        except Exception:
            logger.exception("The schedule %r cannot send its task %s; leaving this tick out", name, entry.task)
            self._failed[name] = instant_us
            return True
        verdict = self.app.store.fire(name, instant_us, message, spec=tick.spec)
        if verdict == "fired":
            logger.info("Scheduler: Sending due task %s (%s)", name, entry.task)
        return self._remember(plan, instant_us, verdict)

    def _remember(self, plan: Plan, instant_us: int, verdict: str) -> bool:
        """Note what the store said; False if the schedule has changed."""
        if verdict in ("fired", "late"):
            plan.fired(instant_us)
            return True
        self._known = False  # paused, removed or put anew meanwhile
        return False

    # -- for ever -----------------------------------------------------------------------------------------------------
    def start(self) -> threading.Thread:
        """Run in a thread of its own, which is returned."""
        thread = threading.Thread(target=self.run, name="smallage-beat", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Fire ticks until `stop`."""
        pause = _SHORTEST
        while not self._stopping.is_set():
            try:
                self._listen()
                wait = self.step()
                if not self._known:  # what was sent is no longer what is stored
                    continue
                if self._away:
                    self._away = False
                    logger.warning("Beat: the store answers again")
                pause = _SHORTEST
                self._sleep(wait)
            except StoreError as error:
                self._lose(error)
                self._stopping.wait(random.uniform(pause / 2, pause))
                pause = min(pause * 2, _LONGEST_PAUSE)
            except Exception:
                logger.exception("The scheduler failed, trying again")
                self._lose(None)
                self._stopping.wait(_LONGEST_PAUSE)
        self._close()

    def stop(self) -> None:
        """End `run`, from any thread or a signal handler."""
        self._stopping.set()
        watch = self._watch
        if watch is not None:
            watch.wake()

    def _listen(self) -> None:
        if self._watch is None:
            watch = self.app.store.watch()
            watch.add((SCHEDULES,))
            self._watch = watch
            self._known = False

    def _sleep(self, seconds: float | None) -> None:
        """Until something is due, or a change is to be read. Where there are thousands of schedules, whose reading
        takes a while, changes are gathered, so that most of the time is left for other things."""
        assert self._watch is not None
        until = math.inf if seconds is None else monotonic() + seconds
        while not self._stopping.is_set():
            now = monotonic()
            if self._reread is not None and now >= self._reread:
                self._known = False
                return
            if now >= until:
                return
            end = until if self._reread is None else min(until, self._reread)
            if self._watch.wait(None if end == math.inf else end - now) and self._reread is None:
                self._reread = self._read_at + _READING_SHARE * self._read_seconds

    def _lose(self, error: StoreError | None) -> None:
        if error is not None and not self._away:
            self._away = True
            logger.warning("Beat: the store does not answer, trying again until it does: %s", error)
        self._known = False
        self._close()

    def _close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            try:
                watch.close()
            except StoreError:  # the connection is gone anyway
                pass
