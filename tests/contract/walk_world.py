"""The world of the random walk: stores side by side, what readers see of them, what must hold after every step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from hypothesis import note, reject
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)

from smallage.core.message import (
    Claim,
    Message,
    Settlement,
    member_id,
)
from smallage.core.states import OPEN, TERMINAL, State
from smallage.stores import base
from smallage.stores.base import (
    TOMBSTONE_US,
    ClaimRequest,
    Store,
    TaskView,
    Watch,
)
from smallage.testing import FakeClock
from tests.contract.kit import uid

SESSIONS = ("s1", "s2", "s3")
QUEUES = ("a", "b")
TASKS = 20
GROUPS = tuple(uid(100 + n) for n in range(2))
ROWS = 6
UNLIKE = uid(150)
UNLIKE_MEMBERS = tuple(uid(200 + n) for n in range(6))
SEATS = tuple(uid(400 + n) for n in range(6))
LATE = tuple(uid(500 + n) for n in range(4))
STATES: tuple[State, ...] = ("scheduled", "ready", "running", "parked", "waiting", "done", "dead", "cancelled")
MAY_REVIVE = frozenset({"requeue", "group_retry", "forget"})
"""Verbs after which an ended task may be open again or gone; else only time takes it away."""
MAKES_ROOM = frozenset({"push", "settle", "group_push", "fire"})
"""Verbs that may bring a new task in the place of one that never ran."""


def is_ended(view: TaskView | None) -> bool:
    return view is not None and view.state in TERMINAL


class World(RuleBasedStateMachine):
    """The model and the store under test, one clock. What is done to them goes through `both`."""

    other: ClassVar[Callable[[FakeClock], Store] | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.model: Store = base.open("memory://", clock=self.clock)
        self.stores = [self.model]
        opener = type(self).other
        if opener is not None:
            self.stores.append(opener(self.clock))
        self.count = itertools.count(1)
        self.last: tuple[str, tuple[Any, ...]] | None = None
        self.requests: dict[str, ClaimRequest] = {}
        self.claims: list[Claim] = []
        self.tokens: list[int] = []
        self.settlements: list[Settlement] = []
        self.bodies: dict[str, Message] = {}
        self.body_ids: list[str] = []
        self.before: dict[str, TaskView | None] = {}
        self.lives: dict[str, int] = {}
        self.births: dict[str, int] = {}
        self.deliveries: dict[tuple[str, int, int], int] = {}
        self.new_claims: list[Claim] = []
        self.completed: set[tuple[str, int, int]] = set()
        self.passed_us = 0
        self.verb = ""
        self.aged = False
        self.paused: set[str] = set()
        self.watches: list[Watch] = []
        self.counted: dict[str, Any] = {}
        self.follow_ups: list[str] = []
        self.watched: set[str] = set()
        self.replaced: set[str] = set()
        self.went_far = False
        self.went_back = False
        self.emptied: set[str] = set()

    def teardown(self) -> None:
        for watch in self.watches:
            watch.close()
        for store in self.stores:
            store.close()

    def both(self, verb: str, *args: Any, plain: Callable[[Any], Any] = lambda answer: answer) -> Any:
        """Do a verb on every store; answers must agree after `plain`. Returns the model's."""
        self.verb = verb
        self.last = (verb, args)
        note(f"{verb}{args}")
        answers = [getattr(store, verb)(*args) for store in self.stores]
        for answer in answers[1:]:
            agree(plain(answers[0]), plain(answer), f"{verb}{args}")
        return answers[0]

    def unique_us(self) -> int:
        """A small number of µs that no other delay has, so that no two tasks are due at one instant."""
        return next(self.count)

    def held(self) -> list[Claim]:
        current = {h.tok for session in SESSIONS for h in self.model.held(session)}
        return [claim for claim in self.claims if claim.tok in current]

    def see(self, ids: list[str]) -> None:
        """Watch ids that turned up on the way."""
        for watch in self.watches:
            watch.add(ids)
        self.watched.update(ids)

    # -- what must hold after every step ----------------------------------------------------------------------------
    def ids(self) -> list[str]:
        members = [member_id(group, i) for group in GROUPS for i in range(ROWS)]
        named = [*UNLIKE_MEMBERS, *SEATS, *LATE, *self.body_ids, *self.follow_ups]
        return [uid(n) for n in range(TASKS)] + members + named

    def snapshot(self, store: Store) -> dict[str, Any]:
        """All that readers can see and that the stores must agree on."""
        seen: dict[str, Any] = dict(zip(self.ids(), store.state(self.ids()), strict=True))
        for group in (*GROUPS, UNLIKE):
            view = store.group(group)
            seen[f"group {group}"] = msgspec.structs.replace(view, seq=0) if view else None
            seen[f"results {group}"] = store.results(group, 0, 100)
        for session in SESSIONS:
            seen[f"held {session}"] = sorted((h.id, h.gen, h.tok, h.nonce) for h in store.held(session))
        seen["workers"] = sorted((w.session, w.info, w.lease_end_us, w.held) for w in store.workers())
        counts = store.counts()
        for queue, states in counts.items():
            if queue:
                seen[f"queue {queue}"] = {state: n for state, n in sorted(states.items()) if n}
        for queue in QUEUES:
            seen.setdefault(f"queue {queue}", {})
        seen["limits"], seen["schedules"] = store.limits(), store.schedules()
        seen["answers"] = store.answers("ticket") if not self.went_back else {}
        ends = () if self.passed_us >= TOMBSTONE_US else ("done", "dead", "cancelled")
        seen["totals"] = {name: counts[""].get(name, 0) for name in ("stale", "purged", *ends)}
        return seen

    @invariant()
    def all_is_well(self) -> None:
        seen = [self.snapshot(store) for store in self.stores]
        for other in seen[1:]:
            agree(seen[0], other, self.verb)
        for store in self.stores:
            breaches = store.audit()
            assert not breaches, f"after {self.verb}: {breaches}"
        pick = self.ids()[next(self.count) % len(self.ids())]
        payloads = [store.payload(pick) for store in self.stores]
        assert payloads.count(payloads[0]) == len(payloads), f"payload of {pick}: {payloads}"
        self.check_found()
        self.check_told(seen[0])
        self.check_bells(seen[0])
        self.check_tasks(seen[0])
        self.check_groups(seen[0])
        self.break_ties()
        self.aged = False

    def check_found(self) -> None:
        """A state's tasks, in pages of three, are the same everywhere."""
        state = STATES[next(self.count) % len(STATES)]
        found = []
        for store in self.stores:
            views: list[TaskView] = []
            while page := store.find(state, 3, views[-1].id if views else None):
                views += page
            found.append({view.id: view for view in views})
            assert len(found[-1]) == len(views), f"find repeats itself: {views}"
        for other in found[1:]:
            agree(found[0], other, f"find of {state}")

    def check_bells(self, seen: dict[str, Any]) -> None:
        """Whoever found a queue empty and listens hears of what is ready in it now, unless a limit holds that back."""
        if any(view.held_back for view in self.model.limits().values()):
            self.emptied.clear()
            return
        for queue in QUEUES:
            if not seen[f"queue {queue}"].get("ready"):
                self.emptied.add(queue)
            elif queue in self.emptied and queue not in self.paused:
                self.emptied.discard(queue)
                for store in self.stores:
                    assert store.listen("s1", (queue,), 30.0), f"{store.url}: no bell of {queue} after {self.verb}"

    def check_told(self, seen: dict[str, Any]) -> None:
        """Watchers hear of every end and of every change of a group's counters."""
        ended = {i for i in self.watched if is_ended(seen[i]) and not is_ended(self.before.get(i))}
        for group in (*GROUPS, UNLIKE):
            view = seen[f"group {group}"]
            counters = view and (view.done, view.failed, view.cancelled)
            if view is not None and counters != self.counted.get(group) and view.ended:
                ended.add(group)
            self.counted[group] = counters
        if self.aged:
            return  # a clock set back shows old ends again, of which nobody is told
        for store, watch in zip(self.stores, self.watches, strict=True):
            silent = set(ended)
            while silent:
                told = watch.wait(30.0)
                assert told, f"{store.url}: watchers of {silent} were not told after {self.verb}"
                silent -= told

    def check_tasks(self, seen: dict[str, Any]) -> None:
        """The edges of a task's life (I15, I16, I19)."""
        for task_id in self.ids():
            view: TaskView | None = seen[task_id]
            was = self.before.get(task_id)
            again = self.is_another(task_id, was, view)
            if again or (
                was is None and view is not None and not (self.aged and self.births.get(task_id) == view.pushed_us)
            ):
                self.lives[task_id] = self.lives.get(task_id, 0) + 1  # else it is seen again as the clock went back
            if was is not None and was.state in TERMINAL and not again and (view is None or view.state in OPEN):
                assert self.aged or self.verb in MAY_REVIVE, f"{task_id} left {was.state} by {self.verb}"
                if view is not None and self.verb in ("requeue", "group_retry"):
                    assert view.gen == was.gen + 1
            if was is not None and view is not None and was.state == view.state and is_ended(view) and not again:
                assert was == view, f"{task_id} changed after its end"
            self.before[task_id] = view
            if view is not None:
                self.births[task_id] = view.pushed_us
        self.check_deliveries()

    def is_another(self, task_id: str, was: TaskView | None, view: TaskView | None) -> bool:
        """A task that took the place of one that never ran, or a later follow-up of the same generation."""
        if was is None or view is None or was == view:
            return False
        if view.tok < was.tok or view.gen < was.gen or (view.gen == was.gen and view.releases < was.releases):
            return True  # the end and the new task were one act
        if was.state not in TERMINAL:
            return False
        if task_id in self.follow_ups:
            return view.gen == 1 and self.verb != "requeue"
        return was.reason == "upstream" and self.verb in MAKES_ROOM

    def check_deliveries(self) -> None:
        """Each time a task was handed out is accounted for (I17). Ended members keep no counts."""
        for claim in self.new_claims:
            key = (claim.id, self.lives[claim.id], claim.gen)
            self.deliveries[key] = self.deliveries.get(key, 0) + 1
        self.new_claims.clear()
        for task_id, view in self.before.items():
            if view is not None and not (view.index is not None and view.state in ("done", "cancelled")):
                counted = view.failures + view.crashes + view.lost + view.releases + view.ran
                assert counted == self.deliveries.get((task_id, self.lives[task_id], view.gen), 0), f"{view}"

    def check_groups(self, seen: dict[str, Any]) -> None:
        """Counters equal what the members say (I29); a body is released when, and only when, the group ended (I30)."""
        for group in (*GROUPS, UNLIKE):
            view = seen[f"group {group}"]
            if view is None:
                continue
            states = [r.state for r in seen[f"results {group}"]]
            assert len(states) == view.total
            counted = {"done": view.done, "dead": view.failed, "cancelled": view.cancelled, "running": view.running}
            assert {state: states.count(state) for state in counted} == counted, f"{view} {states}"
            assert bool(view.ended_us) == (view.sealed and view.ended == view.total)
            body = seen.get(view.body) if view.body else None
            if body is not None and view.ended_us and body.id in self.body_ids and body.id not in self.replaced:
                assert body.state != "waiting"

    def break_ties(self) -> None:
        """Of tasks due at one instant the order is open; keep one of each."""
        tied: dict[tuple[Any, ...], list[str]] = {}
        for view in self.model.state(self.ids()):
            if view is not None and view.due_us is not None and not (view.index is not None and view.tok == 0):
                tied.setdefault((view.due_us, view.queue, view.priority), []).append(view.id)
        for ids in tied.values():
            ids.sort(key=lambda task_id: task_id not in self.follow_ups)  # these cannot be revoked
            if len(ids) > 1 and ids[1] in self.follow_ups:
                reject()
        extra = [task_id for ids in tied.values() for task_id in ids[1:]]
        if extra:
            note(f"# break ties: revoke {extra}")
            for store in self.stores:
                assert store.revoke(extra) == ["cancelled"] * len(extra)
            self.before.update(zip(extra, self.model.state(extra), strict=True))


def agree(expected: Any, got: Any, where: str) -> None:
    """Equal, or a failure that names what differs."""
    if expected == got:
        return
    if isinstance(expected, dict) and isinstance(got, dict):
        keys = [key for key in expected | got if expected.get(key) != got.get(key)]
        lines = [f"{key}:\n{differences(expected.get(key), got.get(key))}" for key in keys]
        raise AssertionError(f"after {where}\n" + "\n".join(lines))
    raise AssertionError(f"{where}\n{differences(expected, got)}")


def differences(expected: Any, got: Any) -> str:
    if isinstance(expected, msgspec.Struct) and type(expected) is type(got):
        names = [n for n in expected.__struct_fields__ if getattr(expected, n) != getattr(got, n)]
        return "\n".join(f"    {n}: model {getattr(expected, n)!r}, store {getattr(got, n)!r}" for n in names)
    return f"    model {expected!r}\n    store {got!r}"
