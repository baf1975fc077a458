"""Which schedules are to be looked at next, among thousands, without looking at the others."""

from __future__ import annotations

import math
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smallage.schedules.ticks import Tick
    from smallage.stores.base import ScheduleView


class Plan:
    """A stored schedule and what this process does for it."""

    __slots__ = ("due", "tick", "view")

    def __init__(self, view: ScheduleView, tick: Tick | None) -> None:
        self.view = view
        self.tick = tick
        """None: this process fires nothing of it."""
        self.due = math.inf
        """When it is looked at again, by the store's clock in µs."""

    def fired(self, instant_us: int) -> None:
        """This instant, or a later one, has fired."""
        if self.tick is not None and instant_us > self.tick.last_us:
            self.tick = self.tick._replace(last_us=instant_us)


class Agenda:
    """Plans by name, and in the order in which they are due."""

    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}
        self._order: list[tuple[float, int, Plan]] = []
        self._numbers = count()

    def put(self, plan: Plan, due: float) -> None:
        """Look at a plan at this instant."""
        plan.due = due
        if due < math.inf:
            heappush(self._order, (due, next(self._numbers), plan))

    def take(self, now_us: int) -> list[Plan]:
        """The plans that are due; who took them puts them again."""
        taken = []
        while self.nearest() <= now_us:
            plan = heappop(self._order)[2]
            plan.due = math.inf
            taken.append(plan)
        return taken

    def nearest(self) -> float:
        """When the next plan is due; infinite if there is none."""
        while self._order and not self._stands(self._order[0]):
            heappop(self._order)
        return self._order[0][0] if self._order else math.inf

    def _stands(self, placed: tuple[float, int, Plan]) -> bool:
        due, _, plan = placed
        return plan.due == due and self.plans.get(plan.view.name) is plan
