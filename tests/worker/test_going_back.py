"""A store that has lost what it had confirmed, or believes of us what is not so: no task waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smallage import Smallage
from smallage.stores import base
from smallage.stores.base import Settled, SettleVerdict
from smallage.testing.wrapper import Wrapper
from smallage.worker import pace
from smallage.worker.inprocess import InProcessWorker, start_worker
from tests.worker.conftest import PATIENCE


class Forgetful(Wrapper):
    """Confirms the first settlement and loses it, as a server does that dies before it has written."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.breaks = 0

    def around(self, verb: str, act: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if verb != "settle" or self.breaks or not args[1]:
            return act(*args, **kwargs)
        session, settlements, *request = args
        answer: Settled = act(session, (), *request)
        confirmed: list[SettleVerdict] = ["ok" for _ in settlements]
        self.breaks += 1
        return Settled(tuple(confirmed), answer.claimed)


@pytest.mark.parametrize("pool", ["threads", "asyncio"])
def test_what_a_server_forgot_runs_again(pool: str) -> None:
    with Smallage("forgetful", broker="memory://", set_as_current=False) as app:
        app.use_store(Forgetful(base.open("memory://", shared=False)))
        runs: list[int] = []
        app.task(name="run")(runs.append)
        with start_worker(app, pool=pool):
            results = [app.send_task("run", (n,)) for n in range(3)]
            for result in results:
                result.get(timeout=PATIENCE)
        assert {*runs} == {0, 1, 2}
        assert len(runs) > 3
        assert app.store.audit() == []


def test_claims_that_were_dropped_and_are_still_ours_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor hands back what a frozen child holds and has it drop what waits; a claim may come in between."""
    monkeypatch.setattr(pace, "STALL", PATIENCE)  # else what waits behind a long body goes back by itself
    with Smallage("dropping", broker="memory://", set_as_current=False) as app:
        runs: list[int] = []
        dropped: list[int] = []

        @app.task(name="run")
        def run(n: int) -> None:
            runs.append(n)
            if worker.desk.backlog and not dropped:
                dropped.append(len(worker.desk.backlog))
                worker.engine.drop_backlog()

        results = [app.send_task("run", (n,)) for n in range(200)]
        worker = InProcessWorker(app, concurrency=1)
        with worker:
            for result in results:
                result.get(timeout=PATIENCE)
        assert dropped
        assert sorted(runs) == list(range(200))
