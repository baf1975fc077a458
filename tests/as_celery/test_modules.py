"""Modules of the tree that hold code of their own."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallage.app import Smallage
from smallage.as_celery import beat, states
from smallage.as_celery.app.control import flatten_reply
from smallage.as_celery.app.log import TaskFormatter
from smallage.as_celery.app.task import Context
from smallage.as_celery.contrib.abortable import AbortableAsyncResult, AbortableTask
from smallage.as_celery.exceptions import CeleryCommandException
from smallage.as_celery.local import PromiseProxy, Proxy, maybe_evaluate, try_import
from smallage.as_celery.stand_ins.kombu import Exchange, Queue
from smallage.as_celery.utils import chunks, gen_unique_id, imports, nodenames, noop, time
from smallage.as_celery.utils.dispatch import Signal
from smallage.as_celery.utils.log import LOG_LEVELS, mlevel
from smallage.testing import start_worker


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Smallage]:
    made = Smallage("modules", broker=f"sqlite:///{tmp_path}/queue.db", set_as_current=False)
    yield made
    made.close()


def test_an_aborted_task_sees_it_and_ends(app: Smallage) -> None:
    @app.task(name="counts", base=AbortableTask, bind=True)
    def counts(self: AbortableTask) -> str:
        while not self.is_aborted():
            pass
        return "gave up"

    waiting = counts.delay()
    assert isinstance(waiting, AbortableAsyncResult)
    assert (waiting.state, waiting.is_aborted()) == ("PENDING", False)
    waiting.abort()
    assert (waiting.state, waiting.is_aborted()) == ("ABORTED", True)
    with start_worker(app):
        assert counts.AsyncResult(waiting.id).get(timeout=30) == "gave up"
    assert waiting.state == "SUCCESS"


def test_states_compare_by_precedence() -> None:
    pending, custom, success = (states.state(name) for name in ("PENDING", "PROGRESS", "SUCCESS"))
    assert pending < custom < success
    assert success >= custom > states.state(states.STARTED)
    assert states.precedence("SUCCESS") == 0
    assert states.precedence("PROGRESS") == states.precedence("nonsense")


def test_a_proxy_asks_each_time_and_a_promise_once() -> None:
    there = [[1]]
    proxy, promise = Proxy(lambda: there[0]), PromiseProxy(lambda: there[0])
    assert (proxy == [1], len(promise)) == (True, 1)
    there[0] = [2, 3]
    assert (list(proxy), list(promise), proxy[1], 2 in proxy) == ([2, 3], [1], 3, True)
    proxy.append(4)
    assert there == [[2, 3, 4]]
    assert maybe_evaluate(promise) == [1]
    assert (repr(proxy), bool(Proxy(list))) == ("[2, 3, 4]", False)
    assert Proxy(lambda a, b: a + b, (1,), {"b": 2}) == 3
    assert try_import("no_such_module", 5) == 5


def test_names_of_nodes() -> None:
    assert nodenames.nodesplit("w1@a.example.com") == ("w1", "a.example.com")
    assert nodenames.nodesplit("a") == (None, "a")
    assert nodenames.default_nodename("w1@h") == "w1@h"
    assert nodenames.default_nodename(None) == f"celery@{nodenames.gethostname()}"
    assert nodenames.node_format("%n-%h-%d-%%-%i.log", "w1@a.example.com") == "w1-a.example.com-example.com-%-%i.log"
    assert nodenames.worker_direct("w1@h") == "w1@h.dq2"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (1, "1.00 second"), (90, "1.50 minutes"), (7200, "2.00 hours"), (86400, "1.00 day")],
)
def test_seconds_in_words(seconds: float, words: str) -> None:
    assert time.humanize_seconds(seconds) == words


def test_instants_and_zones() -> None:
    naive = dt.datetime(2027, 1, 31, 12)
    berlin = time.timezone.get_timezone("Europe/Berlin")
    assert time.maybe_make_aware(naive) == naive.replace(tzinfo=dt.UTC)
    assert time.maybe_make_aware(naive, berlin).isoformat() == "2027-01-31T13:00:00+01:00"
    assert time.maybe_make_aware(naive, berlin, naive_as_utc=False).isoformat() == "2027-01-31T12:00:00+01:00"
    assert time.localize(time.to_utc(naive), berlin).hour == 13
    assert time.maybe_iso8601("2027-01-31T12:00:00Z") == time.to_utc(naive)
    local = time.LocalTimezone()
    for month in (1, 7):
        here = naive.replace(month=month)
        assert local.utcoffset(here) == here.astimezone().utcoffset()
    assert time.maybe_timedelta(30) == dt.timedelta(seconds=30)
    assert (time.rate("10/m"), time.rate(None), time.rate("2/s")) == (10 / 60, 0, 2)
    assert time.get_exponential_backoff_interval(2, 3, 600) == 16


def test_small_helpers() -> None:
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert len(gen_unique_id()) == 36
    assert noop(1, x=2) is None  # type: ignore[func-returns-value]
    assert imports.symbol_by_name("os.path:join") is imports.symbol_by_name("os.path.join")
    assert imports.symbol_by_name("os.path").__name__ == "posixpath"
    assert imports.symbol_by_name(noop) is noop
    assert imports.qualname(Signal) == "smallage.as_celery.utils.dispatch.signal.Signal"
    assert imports.instantiate("builtins.list", (1, 2)) == [1, 2]
    assert (mlevel("info"), LOG_LEVELS["ERROR"], LOG_LEVELS[40]) == (20, 40, "ERROR")
    assert flatten_reply([{"a": 1}, {"b": 2}]) == {"a": 1, "b": 2}
    assert CeleryCommandException("no", 69).exit_code == 69


def test_a_signal_of_one_s_own() -> None:
    heard = []
    mine = Signal(name="mine", providing_args={"x"})

    @mine.connect
    def hear(**named: object) -> None:
        heard.append((named["sender"], named["x"]))

    mine.send("me", x=1)
    assert heard == [("me", 1)]


def test_a_context_by_hand() -> None:
    context = Context({"id": "x", "retries": 2}, own=5)
    context.update(retries=3)
    assert (context.id, context.retries, context.own, context.get("none", "default")) == ("x", 3, 5, "default")
    assert Context().called_directly


def test_a_formatter_knows_the_task() -> None:
    record = logging.LogRecord("x", 20, "p", 1, "said", (), None)
    assert TaskFormatter("%(task_id)s %(task_name)s %(message)s").format(record) == "??? ??? said"


def test_a_row_of_a_schedule_goes_on(app: Smallage) -> None:
    now = dt.datetime.now(dt.UTC)
    row = beat.ScheduleEntry("n", "t", now - dt.timedelta(hours=1), schedule=60.0, app=app)
    assert row.is_due().is_due
    after = next(row)  # it has no __iter__, as Celery's has
    assert (after.total_run_count, after.task, after.is_due().is_due) == (1, "t", False)
    with pytest.raises(NotImplementedError, match=r"app\.schedules"):
        beat.Scheduler(app)


def test_queues_compare_by_what_they_are() -> None:
    assert Queue("a", Exchange("e"), "k") == Queue("a", Exchange("e"), "k") != Queue("a", Exchange("f"), "k")
    assert Queue("a", "e").exchange == Exchange("e")
    assert {Exchange("e")} == {Exchange("e"), Exchange("e", "direct")}
