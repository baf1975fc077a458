"""What tests of Smallage, and of applications that use it, are built from.

* `start_worker`: a worker beside the test, in threads or coroutines of its own process.
* `eager`: calls run tasks on the spot; `make_app`: an app with a store of its own; `current`: the current app.
* `FakeClock`: a clock the test owns, for any store: `open("memory://", clock=FakeClock())`.
* `FaultyStore`: any store, with outages and lost replies at chosen calls.
* `expect` and `hold`: wait for, or stop the code at, a moment that production code marks.
* `HistoryStore`: any store, with every act written to a history file that can be checked afterwards.

pytest's plugin is `plugin.py`, with Celery's fixtures. Each name is loaded at its first use: pytest imports this
package in each of its runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smallage.testing.apps import current, eager, make_app
    from smallage.testing.clock import FakeClock
    from smallage.testing.faulty import Call, Fault, FaultyStore
    from smallage.testing.history import History, HistoryStore, started
    from smallage.testing.moments import Expectation, Hold, expect, hold
    from smallage.testing.threaded import thread_worker
    from smallage.worker.inprocess import InProcessWorker, start_worker

_HOMES = {
    "Call": "testing.faulty",
    "Expectation": "testing.moments",
    "FakeClock": "testing.clock",
    "Fault": "testing.faulty",
    "FaultyStore": "testing.faulty",
    "History": "testing.history",
    "HistoryStore": "testing.history",
    "Hold": "testing.moments",
    "InProcessWorker": "worker.inprocess",
    "current": "testing.apps",
    "eager": "testing.apps",
    "expect": "testing.moments",
    "hold": "testing.moments",
    "make_app": "testing.apps",
    "start_worker": "worker.inprocess",
    "started": "testing.history",
    "thread_worker": "testing.threaded",
}
"""Public name → the module that has it."""

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
    "current",
    "eager",
    "expect",
    "hold",
    "make_app",
    "start_worker",
    "started",
    "thread_worker",
]

if not TYPE_CHECKING:  # else every misspelt name would have a type

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'smallage.testing' has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(f"smallage.{home}"), name)
        globals()[name] = found
        return found
