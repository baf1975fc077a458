"""The course of the demonstration: plan, click, bar, judgement."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from smallage.core.errors import TimeoutError
from smallage.demo import evidence
from smallage.demo.chaos import Chaos
from smallage.demo.index import Hit, Index
from smallage.demo.report import Run, complaints, ideal, rows
from smallage.demo.stage import Stage, StageError
from smallage.demo.tasks import Tasks
from smallage.demo.view import Counts, View, duration
from smallage.groups import GroupResult, Snapshot
from smallage.result import AsyncResult

START_S = 30.0
"""How long the worker may take to start."""
PAUSE_S = 0.03
"""Between two looks at something that comes soon."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    n: int
    concurrency: int
    latency: float
    chaos: bool

    @property
    def children(self) -> int:
        """Worker processes; two where one is to be killed."""
        return 2 if self.chaos else 1

    @property
    def threads(self) -> int:
        """Tasks at a time in each of them."""
        return -(-self.concurrency // self.children)


class Show:
    """One performance on a stage."""

    def __init__(self, plan: Plan, stage: Stage, tasks: Tasks, view: View) -> None:
        self._plan = plan
        self._stage = stage
        self._tasks = tasks
        self._view = view
        self._index = Index(stage.index_path)

    def perform(self) -> bool:
        """All of it; True if all went well. Raises StageError when a process does not start or live."""
        plan, view = self._plan, self._view
        self._index.create()
        party = self._stage.open_third_party(plan.n, plan.latency)
        options = ["smallage.demo.worker_app:app", "-P", "threads", "-c", str(plan.threads)]
        self._stage.start_worker([*options, "--processes", str(plan.children)], self._tasks.environment)
        self._tasks.app.store.workers()  # what the store has to say about itself comes before the plan
        self._announce(party)
        self._wait_for_worker()
        chaos = Chaos(party) if plan.chaos else None
        clicked_at = time.monotonic()
        view.start()
        clicked = self._tasks.index_playlist.delay(party, hold=plan.chaos)
        group = self._foreman(clicked, chaos)
        shot = self._follow(group, chaos)
        assert group.then is not None
        finished = self._result(group.then)
        wall = time.monotonic() - clicked_at
        foreman = self._result(clicked)
        self._stage.stop_worker()
        run = self._judge(shot, finished, foreman, chaos, wall)
        self._tell(run, finished)
        return not complaints(run)

    def _announce(self, party: str) -> None:
        plan, view = self._plan, self._view
        at_once = plan.threads * plan.children
        view.say(view.paint('A user clicks "Index playlist"', "1"))
        shortest = duration(ideal(plan.n, at_once, plan.latency))
        lines = [
            ("plan", f"{plan.n:,} transcripts, {at_once} at a time: fetch and index; then search"),
            (
                "third party",
                f"{party}, {duration(plan.latency)} an answer, some of them 503 or 429",
            ),
            ("time", f"one after the other {duration(plan.n * plan.latency)}; {at_once} at a time {shortest} at best"),
            ("store", self._tasks.app.store.url),
            ("worker", f"{plan.children} processes of {plan.threads} threads" if plan.chaos else f"{at_once} threads"),
        ]
        if plan.chaos:
            lines.append(("chaos", "kill -9 of the foreman's process, then of one that is fetching"))
        view.table(lines)

    def _wait_for_worker(self) -> None:
        deadline = time.monotonic() + START_S
        while len(self._tasks.app.store.workers()) < self._plan.children:
            self._stage.check()
            if time.monotonic() > deadline:
                raise StageError(f"The worker did not start within {START_S:g} s.\n{self._stage.worker_words()}")
            time.sleep(PAUSE_S)

    def _foreman(self, clicked: AsyncResult[Any], chaos: Chaos | None) -> GroupResult[Any]:
        """The group that the foreman has fanned out, as soon as it is known."""
        while not isinstance(known := clicked.info, dict) or "run" not in known:
            self._stage.check()
            if clicked.state in ("FAILURE", "REVOKED"):
                raise StageError(f"The foreman failed: {clicked.result!r}\n{self._stage.worker_words()}")
            time.sleep(PAUSE_S)
        group = GroupResult.restore(known["run"], self._tasks.app)
        if group is None:
            raise StageError(f"The store does not know the group {known['run']} that the foreman has pushed.")
        if chaos is not None:
            self._say(chaos.foreman(known["pid"], group.total).line)
        return group

    def _follow(self, group: GroupResult[Any], chaos: Chaos | None) -> Snapshot:
        """Show the group's counters until all have ended; the last ones."""
        while True:
            try:
                for shot in group.progress(timeout=1.0):
                    counts = Counts(shot.total, shot.done, shot.failed + shot.cancelled, shot.retried)
                    self._view.show(counts, last=shot.ended)
                    if shot.ended:
                        return shot
                    if chaos is not None and (kill := chaos.look(counts)):
                        self._say(kill.line)
            except TimeoutError:
                self._stage.check()

    def _result(self, handle: AsyncResult[Any]) -> dict[str, Any]:
        """The value of a task, waited for while the worker lives."""
        while True:
            try:
                value = handle.get(timeout=1.0, propagate=False)
            except TimeoutError:
                self._stage.check()
                continue
            if isinstance(value, dict):
                return value
            raise StageError(f"The task {handle.id} failed: {value!r}\n{self._stage.worker_words()}")

    def _judge(
        self, shot: Snapshot, finished: dict[str, Any], foreman: dict[str, Any], chaos: Chaos | None, wall: float
    ) -> Run:
        plan = self._plan
        seen = evidence.read(self._stage.access_log)
        return Run(
            n=plan.n,
            concurrency=plan.threads * plan.children,
            latency=plan.latency,
            wall=wall,
            total=shot.total,
            done=shot.done,
            failed=shot.failed + shot.cancelled,
            retried=shot.retried,
            indexed=self._index.count(),
            unsearchable=tuple(self._index.unsearchable(f"v{number:04d}" for number in range(plan.n))),
            wait_p50=finished["wait_p50"],
            wait_p95=finished["wait_p95"],
            taken_back=finished["taken_back"],
            foreman_crashes=foreman["crashes"],
            evidence=seen,
            chaos=plan.chaos,
            kills=tuple(chaos.kills) if chaos else (),
        )

    def _tell(self, run: Run, finished: dict[str, Any]) -> None:
        say, paint = self._view.say, self._view.paint
        say()
        for words, (total, hits) in finished["searches"].items():
            say(f"{paint(words, '1')}: found in {total:,} videos")
            for hit in (Hit(**found) for found in hits):
                say(f"  {hit.title}")
                say(f"    {paint(hit.snippet, '2')}")
        say()
        self._view.table(rows(run))
        for sentence in complaints(run):
            say(paint(f"FAILED: {sentence}", "31"))

    def _say(self, line: str) -> None:
        self._view.say(self._view.paint(line, "33"))
