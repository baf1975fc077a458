"""What the third party saw, read from its access log: the outside witness of the demonstration."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

GONE = 0
"""Status in the log for a client that hung up before its answer."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sums over the access log."""

    peak: int
    """Transcripts that were waited for at the same time, at most."""
    statuses: Counter[int]
    """Answers by status; `GONE` counts the clients that went away without one."""
    served: int
    """Items that were answered with 200."""
    fanned_out_twice: tuple[str, ...]
    """Items that tasks of more than one id asked for."""
    cut: Counter[int]
    """Requests under way when the client process of this id died."""
    fetched_again: int
    """Items whose request was cut and that were answered with 200 afterwards."""

    @property
    def requests(self) -> int:
        return self.statuses.total()


def read(path: Path) -> Evidence:
    """The evidence in the log at `path`, a last half line left out."""
    text = path.read_text(encoding="utf-8")
    return weigh(json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines())


def weigh(lines: Iterable[dict[str, object]]) -> Evidence:
    """The evidence in log lines, in the order in which they were written."""
    statuses: Counter[int] = Counter()
    tasks: dict[str, set[str]] = {}
    cut: Counter[int] = Counter()
    served: set[str] = set()
    waiting: set[str] = set()
    again: set[str] = set()
    peak = 0
    for line in lines:
        peak = max(peak, int(str(line["open"])))
        item, status = str(line["item"]), int(str(line["status"]))
        statuses[status] += 1
        tasks.setdefault(item, set()).add(str(line["task"]))
        if status == GONE:
            cut[int(str(line["pid"] or 0))] += 1
            waiting.add(item)
        elif status == 200:
            served.add(item)
            if item in waiting:
                again.add(item)
    twice = tuple(sorted(item for item, ids in tasks.items() if len(ids) > 1))
    return Evidence(peak, statuses, len(served), twice, cut, len(again))
