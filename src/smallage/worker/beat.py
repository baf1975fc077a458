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
from smallage.schedules.keeper import Schedules
from smallage.stores.base import SCHEDULES

if TYPE_CHECKING:
    from smallage.core.entries import Entry
    from smallage.schedules.ticks import Tick
    from smallage.stores.base import ScheduleView, Watch

logger = logging.getLogger("smallage.beat")

LONGEST: Final = 300.0
"""Seconds between looks while there are schedules, in case the clock is set; Celery's `beat_max_loop_interval`."""
_DEFAULT_SCHEDULERS: Final = frozenset(
    ("celery.beat:PersistentScheduler", "celery.beat.PersistentScheduler", "celery.beat:Scheduler")
)
_SHORTEST, _LONGEST_PAUSE = 0.05, 5.0
"""Seconds before the store is tried again."""


def check_scheduler(name: str | None) -> None:
    """Raise ImproperlyConfigured for another scheduler than Celery's default, whose place the store has taken."""
    if name and name not in _DEFAULT_SCHEDULERS:
        raise ImproperlyConfigured(
            f"The scheduler '{name}' is not offered: schedules are kept in the store, where all workers and "
            "app.schedules find them. Leave beat_scheduler out; entries of a database are put there with "
            "app.schedules.set(...)."
        )


class Beat:
    """The scheduler of an app. `step` does what is due; `run` does so for ever, until `stop`."""

    def __init__(self, app: Any, max_interval: float | None = None) -> None:
        self.app = app
        if callable(finalize := getattr(app, "finalize", None)):
            finalize()  # entries may be added by receivers of on_after_finalize
        check_scheduler(app.conf.beat_scheduler)
        interval = max_interval or app.conf.beat_max_loop_interval or LONGEST
        self.max_interval = options.seconds_us(interval, "beat_max_loop_interval") / SECOND_US
        self.code: dict[str, Entry] = ticks.of_the_code(app)
        """Entries of the code; a fault in them is told here, by ImproperlyConfigured."""
        self._views: dict[str, ScheduleView] | None = None
        """The stored schedules as last read; None: read them anew."""
        self._ticks: dict[str, tuple[ScheduleView, Tick | None]] = {}
        self._next: dict[str, tuple[Tick, float]] = {}
        """When the ticks of a schedule are looked at again; of another tick than this nothing is known yet."""
        self._failed: dict[str, int] = {}
        """The instant at which a schedule's message could not be made."""
        self._synced = False
        self._stopping = threading.Event()
        self._watch: Watch | None = None
        self._away = False

    # -- one look -----------------------------------------------------------------------------------------------------
    def step(self) -> float | None:
        """Fire what is due; seconds until the next look, or None if nothing will be due until a schedule changes.

        Raises StoreError while the store cannot be reached: then nothing is lost, and the next look does it."""
        if not self._synced:
            self.code = Schedules(self.app).sync()
            self._synced = True
        if self._views is None:
            self._views = {view.name: view for view in self.app.store.schedules()}
        chosen = [(name, tick) for name in self._views if (tick := self._tick(name)) is not None]
        if not chosen:
            return None
        now_us: int = self.app.store.tick(()).now_us  # the store's clock decides, whatever this computer's says
        deadline = self.app.conf.beat_cron_starting_deadline
        nearest = min(self._serve(name, tick, now_us, deadline) for name, tick in chosen)
        return min(max(0.0, (nearest - now_us) / SECOND_US), self.max_interval)

    def forget(self) -> None:
        """Read the stored schedules anew at the next look."""
        self._views = None

    def upcoming(self) -> list[tuple[int, str, str]]:
        """(instant, name, task) of the next tick of each schedule that this process fires, the nearest first."""
        if self._views is None:
            self.step()
        found = []
        for name in self._views or ():
            tick = self._tick(name)
            if tick is not None and ticks.is_plain(tick.entry.when):
                following = tick.after(tick.last_us)
                if following is not None:
                    found.append((following, name, tick.entry.task))
        return sorted(found)

    def _tick(self, name: str) -> Tick | None:
        """What this process fires for a schedule, None if nothing."""
        assert self._views is not None
        view = self._views[name]
        if view.paused:
            return None
        known = self._ticks.get(name)
        if known is not None and known[0] == view:
            return known[1]
        try:
            tick = ticks.in_force(self.app, view, self.code.get(name))
        except SmallageError as error:
            logger.error("The schedule %r cannot be fired by this process: %s", name, error)
            tick = None
        self._ticks[name] = (view, tick)
        return tick

    def _serve(self, name: str, tick: Tick, now_us: int, deadline: float | None) -> float:
        """Fire what is due of one schedule; the instant of its next look."""
        known = self._next.get(name)
        if known is not None and known[0] is tick and now_us < known[1]:
            return known[1]
        self._next[name] = (tick, following := self._look(name, tick, now_us, deadline))
        return following

    def _look(self, name: str, tick: Tick, now_us: int, deadline: float | None) -> float:
        try:
            found = ticks.look_at(tick, now_us, deadline)
        except Exception:
            logger.exception("The schedule %r cannot tell when it is due; asking again later", name)
            return now_us + LONGEST * SECOND_US
        for instant_us in found.fire:
            if instant_us <= self._failed.get(name, 0):
                continue
            if not self._fire(name, tick, instant_us):
                break
        if found.skipped_us is not None:
            self._remember(name, found.skipped_us, self.app.store.fire(name, found.skipped_us, None, skip=True))
        return math.inf if found.next_us is None else found.next_us

    def _fire(self, name: str, tick: Tick, instant_us: int) -> bool:
        """Send one tick unless somebody has; False if there is nothing more to send of this schedule."""
        entry = tick.entry
        try:
            message = ticks.message_of(self.app, entry, ticks.tick_id(name, instant_us))
        except Exception:
            logger.exception("The schedule %r cannot send its task %s; leaving this tick out", name, entry.task)
            self._failed[name] = instant_us
            return True
        verdict = self.app.store.fire(name, instant_us, message)
        if verdict == "fired":
            logger.info("Scheduler: Sending due task %s (%s)", name, entry.task)
        return self._remember(name, instant_us, verdict)

    def _remember(self, name: str, instant_us: int, verdict: str) -> bool:
        """Note what the store said; False if the schedule has changed."""
        from msgspec import structs

        if self._views is None:
            return False
        if verdict in ("fired", "late"):
            view = self._views[name]
            self._views[name] = structs.replace(view, last_us=max(instant_us, view.last_us or 0))
            return True
        self._views = None  # paused or removed meanwhile
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
                if self._views is None:  # what was sent is no longer what is stored
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
            self._views = None

    def _sleep(self, seconds: float | None) -> None:
        """Until something changes, or for so long."""
        assert self._watch is not None
        until = math.inf if seconds is None else monotonic() + seconds
        while not self._stopping.is_set():
            left = until - monotonic()
            if left <= 0:
                return
            if self._watch.wait(None if left == math.inf else left):
                self._views = None
                return

    def _lose(self, error: StoreError | None) -> None:
        if error is not None and not self._away:
            self._away = True
            logger.warning("Beat: the store does not answer, trying again until it does: %s", error)
        self._views = None
        self._close()

    def _close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            try:
                watch.close()
            except StoreError:  # the connection is gone anyway
                pass
