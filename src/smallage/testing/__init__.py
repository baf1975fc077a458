"""What tests of Smallage, and of applications that use it, are built from.

* `FakeClock`: a clock the test owns, for any store: `open("memory://", clock=FakeClock())`.
* `FaultyStore`: any store, with outages and lost replies at chosen calls.
* `expect` and `hold`: wait for, or stop the code at, a moment that production code marks.
* `start_worker`: a worker beside the test, in threads or coroutines of its own process.
* `HistoryStore`: any store, with every act written to a history file that can be checked afterwards.
"""

from smallage.testing.clock import FakeClock
from smallage.testing.faulty import Call, Fault, FaultyStore
from smallage.testing.history import History, HistoryStore, started
from smallage.testing.moments import Expectation, Hold, expect, hold
from smallage.worker.inprocess import InProcessWorker, start_worker

__all__ = [
    "Call",
    "Expectation",
    "FakeClock",
    "Fault",
    "FaultyStore",
    "History",
    "HistoryStore",
    "Hold",
    "InProcessWorker",
    "expect",
    "hold",
    "start_worker",
    "started",
]
