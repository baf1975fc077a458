"""The end of the demonstration: what to print in the last table, and whether it went well."""

from __future__ import annotations

from dataclasses import dataclass, field

from smallage.demo.evidence import Evidence
from smallage.demo.view import duration

ENOUGH = 5
"""Tasks that must be running in a child for its death to count."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A child process that was killed, and what it was chosen for."""

    pid: int
    why: str
    foreman: bool = False

    @property
    def line(self) -> str:
        return f"kill -9 {self.pid}: {self.why}"


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for, and how it ended."""

    n: int
    concurrency: int
    latency: float
    wall: float
    total: int
    done: int
    failed: int
    retried: int
    indexed: int
    unsearchable: tuple[str, ...]
    wait_p50: float
    wait_p95: float
    taken_back: int
    """Tasks that were run again because their process died."""
    foreman_crashes: int
    evidence: Evidence
    chaos: bool = False
    kills: tuple[Kill, ...] = field(default=())

    @property
    def one_by_one(self) -> float:
        return self.n * self.latency

    @property
    def ideal(self) -> float:
        return ideal(self.n, self.concurrency, self.latency)


def ideal(n: int, concurrency: int, latency: float) -> float:
    """Seconds for `n` answers in full rounds of `concurrency`, with nothing else taking any time."""
    return -(-n // concurrency) * latency


def rows(run: Run) -> list[tuple[str, str]]:
    """The lines of the last table."""
    seen = run.evidence.statuses
    table = [
        ("indexed and searchable", f"{run.indexed - len(run.unsearchable):,} of {run.n:,}"),
        ("wall time", f"{duration(run.wall)}  ({_times(run)})"),
        ("", f"{_over(run.wall - run.ideal)} the ideal {duration(run.ideal)} of {run.concurrency} at a time"),
        ("tasks per second", f"{run.done / run.wall:,.0f}" if run.wall else "–"),
        ("retried", f"{run.retried:,}  ({seen[503]:,} × 503, {seen[429]:,} × 429)"),
        ("failed", f"{run.failed:,}"),
        ("waited for a slot", f"p50 {duration(run.wait_p50)} · p95 {duration(run.wait_p95)}"),
        ("third party", f"{run.evidence.requests:,} requests, {run.evidence.peak} at once at most"),
    ]
    if run.chaos:
        table += [
            ("killed", "\n".join(kill.line for kill in run.kills) or "nothing"),
            ("taken back", f"{run.taken_back:,} running tasks; the foreman {run.foreman_crashes} ×"),
            ("fetched again", f"{run.evidence.fetched_again:,} items, as the third party's log shows"),
            ("fanned out twice", f"{len(run.evidence.fanned_out_twice):,} items"),
        ]
    return table


def complaints(run: Run) -> list[str]:
    """A sentence for each thing that is not as it should be; empty when all went well."""
    found = []
    if run.total != run.n:
        found.append(f"{run.total:,} tasks were fanned out for {run.n:,} items.")
    if run.done != run.n or run.failed:
        found.append(f"{run.done:,} of {run.n:,} tasks are done and {run.failed:,} failed.")
    if run.indexed != run.n:
        found.append(f"The index holds {run.indexed:,} of {run.n:,} videos.")
    if run.unsearchable:
        found.append(f"{len(run.unsearchable):,} videos cannot be found, among them {', '.join(run.unsearchable[:5])}.")
    if run.evidence.served != run.n:
        found.append(f"The third party served {run.evidence.served:,} of {run.n:,} transcripts.")
    if run.evidence.fanned_out_twice:
        twice = run.evidence.fanned_out_twice
        found.append(f"{len(twice):,} items were fanned out twice, among them {', '.join(twice[:5])}.")
    return found + (_chaos_complaints(run) if run.chaos else [])


def _chaos_complaints(run: Run) -> list[str]:
    found = []
    if not any(kill.foreman for kill in run.kills):
        found.append("The child that ran the foreman was not killed.")
    elif not run.foreman_crashes:
        found.append("The foreman was not run again after its child was killed.")
    busy = [run.evidence.cut[kill.pid] for kill in run.kills if not kill.foreman]
    if not busy:
        found.append("No child was killed while it fetched; with more items (--n) there is more time for it.")
    elif max(busy) < ENOUGH:
        found.append(f"Only {max(busy)} requests were cut by the kill, {ENOUGH} are wanted.")
    if not run.taken_back:
        found.append("Nothing had to be taken back.")
    if run.evidence.fetched_again < ENOUGH:
        found.append(f"The third party's log shows {run.evidence.fetched_again} items fetched again.")
    return found


def _times(run: Run) -> str:
    times = f", {run.one_by_one / run.wall:.0f} × as long" if run.wall else ""
    return f"one after the other: {duration(run.one_by_one)}{times}"


def _over(seconds: float) -> str:
    return f"{duration(seconds)} over" if seconds >= 0 else f"{duration(-seconds)} under"
