"""Was anything lost, or done twice? Checks a recorded history and a dump of the store against six rules.

Events are the lines that `smallage.testing` writes, in the order of one process or of one file: each has `pid`, `event`
and `act`. Lines of one process are ordered; lines of different processes are compared by their tokens only.

* H1 an acknowledged push ends in exactly one terminal state, or was purged or pruned;
* H2 at most one accepted terminal settlement for each (id, generation);
* H3 the starts of an id carry rising tokens;
* H4 an accepted settlement carries the largest token issued for its id before it;
* H5 nothing starts after the terminal event of its generation;
* H6 pushed = done + dead + cancelled + purged + pending; what was refused or never sent does not exist.

Pure: no file is opened, no clock is read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TERMINAL = frozenset({"done", "failed", "cancelled"})
"""Kinds of settlement that end a task."""
ENDED = frozenset({"done", "dead", "cancelled"})
"""States of the store in which a task has ended."""

Event = Mapping[str, Any]


@dataclass
class Breach:
    """A rule that does not hold for a task, with the events that show it."""

    rule: str
    id: str
    why: str
    events: list[Event] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.rule} {self.id}: {self.why}"


@dataclass
class Report:
    """What a history shows."""

    breaches: list[Breach]
    pushed: int = 0
    """Pushes that were acknowledged, or whose task turned up although the answer was lost."""
    unsure: int = 0
    """Pushes whose answer was lost."""
    refused: int = 0
    done: int = 0
    dead: int = 0
    cancelled: int = 0
    purged: int = 0
    pending: int = 0
    lost: int = 0
    """Acknowledged, without a terminal event, and not in the store."""
    starts: int = 0
    started_again: int = 0
    """Starts beyond the first of a task and generation."""
    settled: int = 0
    repeats: int = 0
    stale: int = 0
    """Settlements that the store refused because their token was no longer the task's."""
    stale_accepted: int = 0
    """Accepted settlements under a token that was not the newest, and second terminal settlements."""

    def breached(self, rule: str) -> list[Breach]:
        """The breaches of one rule."""
        return [b for b in self.breaches if b.rule == rule]


@dataclass
class Task:
    """What the history says of one id."""

    id: str
    pushes: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    """Claims, starts and settlements, in the order of the history."""
    cancelled: bool = False

    def acts(self, act: str, event: str) -> list[Event]:
        """Its events of one kind, in the order of the history."""
        return [e for e in self.events if e["act"] == act and e["event"] == event]

    def accepted(self) -> list[Event]:
        """Settlements that took effect."""
        return [e for e in self.acts("settle", "ok") if e["verdict"] == "ok"]

    def ends(self) -> list[Event]:
        """Accepted settlements that ended a generation."""
        return [e for e in self.accepted() if e["kind"] in TERMINAL]


def check(
    events: Iterable[Event], states: Mapping[str, str], *, purged: int = 0, pruned: bool = False, drained: bool = True
) -> Report:
    """Hold a history against the rules.

    `states`: {id: state} of all records in the store at the end. `purged`: how many tasks purges reported beyond those
    in the history. `pruned`: records of ended tasks may be gone. `drained`: the store was given the time to end all
    work, so that whatever is open breaks H1.
    """
    tasks, purged_here = _by_task(events)
    breaches: list[Breach] = []
    for task in tasks.values():
        breaches += _second_end(task) + _starts(task) + _superseded(task) + _after_the_end(task)
    report = Report(breaches)
    _count(report, tasks, states)
    _balance(report, tasks, states, purged + purged_here, pruned, drained)
    return report


def _by_task(events: Iterable[Event]) -> tuple[dict[str, Task], int]:
    tasks: dict[str, Task] = {}
    purged = 0
    for event in events:
        if event["act"] == "purge":
            purged += int(event["number"])
        if "id" not in event:
            continue
        task = tasks.setdefault(event["id"], Task(event["id"]))
        if event["act"] == "push":
            task.pushes.add(event["event"])
        elif event["act"] == "revoke":
            task.cancelled = task.cancelled or event.get("verdict") == "cancelled"
        elif event["act"] == "requeue":
            task.cancelled = task.cancelled and not event.get("verdict")
        elif event["act"] in ("claim", "start", "settle"):
            task.events.append(event)
    return tasks, purged


def _second_end(task: Task) -> list[Breach]:
    ends: defaultdict[int, list[Event]] = defaultdict(list)
    for end in task.ends():
        ends[end["gen"]].append(end)
    return [
        Breach("H2", task.id, f"{len(found)} accepted ends of generation {gen}", found)
        for gen, found in ends.items()
        if len(found) > 1
    ]


def _starts(task: Task) -> list[Breach]:
    starts = task.acts("start", "start")
    breaches = [
        Breach("H3", task.id, f"token {tok} started {n} times", starts)
        for tok, n in Counter(e["tok"] for e in starts).items()
        if n > 1
    ]
    newest: dict[int, int] = {}
    for start in starts:
        before = newest.get(start["pid"], 0)
        if start["tok"] < before:
            breaches.append(Breach("H3", task.id, f"token {start['tok']} started after {before}", starts))
        newest[start["pid"]] = max(before, start["tok"])
    return breaches


def _superseded(task: Task) -> list[Breach]:
    """Accepted although a larger token had been issued: by one process in its order, or in the ended generation."""
    breaches = []
    issued: defaultdict[int, int] = defaultdict(int)
    largest_at_invoke: dict[tuple[int, int], int] = {}
    for event in task.events:
        pid, tok = event["pid"], event["tok"]
        if event["act"] in ("claim", "start"):
            issued[pid] = max(issued[pid], tok)
        elif event["event"] == "invoke":
            largest_at_invoke.setdefault((pid, tok), issued[pid])
    for ok in task.accepted():
        newest = largest_at_invoke.get((ok["pid"], ok["tok"]), 0)
        if newest > ok["tok"]:
            breaches.append(Breach("H4", task.id, f"settled under {ok['tok']} when {newest} was issued", [ok]))
    for end in task.ends():
        later = [e for e in task.acts("claim", "claim") if e["gen"] == end["gen"] and e["tok"] > end["tok"]]
        if later:
            why = f"ended under {end['tok']}, but {later[0]['tok']} was issued in generation {end['gen']}"
            breaches.append(Breach("H4", task.id, why, [end, *later]))
    return breaches


def _after_the_end(task: Task) -> list[Breach]:
    breaches = []
    for end in task.ends():
        place = next(i for i, e in enumerate(task.events) if e is end)
        for i, start in enumerate(task.events):
            if start["act"] != "start" or start["gen"] != end["gen"]:
                continue
            same_process = start["pid"] == end["pid"] and i > place
            if start["tok"] > end["tok"] or (same_process and start["tok"] == end["tok"]):
                why = f"started under {start['tok']} after its end under {end['tok']}"
                breaches.append(Breach("H5", task.id, why, [end, start]))
    return breaches


def _count(report: Report, tasks: Mapping[str, Task], states: Mapping[str, str]) -> None:
    by_state = Counter(states.values())
    report.done, report.dead, report.cancelled = by_state["done"], by_state["dead"], by_state["cancelled"]
    report.pending = sum(n for state, n in by_state.items() if state not in ENDED)
    report.stale_accepted = len({(b.id, b.why) for b in report.breaches if b.rule in ("H2", "H4")})
    for task in tasks.values():
        starts = task.acts("start", "start")
        report.starts += len(starts)
        report.started_again += len(starts) - len({e["gen"] for e in starts})
        verdicts = Counter(e["verdict"] for e in task.acts("settle", "ok"))
        report.settled += verdicts["ok"]
        report.repeats += verdicts["dup"]
        report.stale += verdicts["stale"]
        if "ok" in task.pushes:
            report.pushed += 1
        elif "fail" in task.pushes:
            report.refused += 1
        elif task.pushes:
            report.unsure += 1
            report.pushed += task.id in states


def _balance(
    report: Report, tasks: Mapping[str, Task], states: Mapping[str, str], purged: int, pruned: bool, drained: bool
) -> None:
    gone: list[Task] = []
    for task in tasks.values():
        state = states.get(task.id)
        if "ok" in task.pushes and state is None:
            ended = bool(task.ends()) or task.cancelled
            if ended and pruned:
                report.done += 1
            else:
                gone.append(task)
        elif drained and state is not None and state not in ENDED:
            report.breaches.append(Breach("H1", task.id, f"still {state} at the end", task.events))
        if state is not None and task.pushes == {"invoke", "fail"}:
            report.breaches.append(Breach("H6", task.id, f"refused, yet {state} in the store", task.events))
        if state in ENDED and state != "cancelled" and task.cancelled:
            report.breaches.append(Breach("H1", task.id, f"cancelled for good, yet {state}", task.events))
    for ghost in states.keys() - {t.id for t in tasks.values() if t.pushes}:
        report.breaches.append(Breach("H6", ghost, f"never sent, yet {states[ghost]} in the store"))
    report.purged = min(purged, len(gone))
    for task in gone[report.purged :]:
        report.lost += 1
        report.breaches.append(Breach("H1", task.id, "acknowledged, and gone without an end", task.events))
    total = report.done + report.dead + report.cancelled + report.purged + report.pending
    if report.pushed != total:
        why = (
            f"{report.pushed} pushed, but {report.done} done + {report.dead} dead + {report.cancelled} cancelled"
            f" + {report.purged} purged + {report.pending} pending = {total}"
        )
        report.breaches.append(Breach("H6", "*", why))


__all__ = ["ENDED", "TERMINAL", "Breach", "Event", "Report", "Task", "check"]
