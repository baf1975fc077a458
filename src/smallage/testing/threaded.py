"""A worker in threads of the test's process, with the arguments that Celery's has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib import reload as reload_module
from typing import Any

from smallage.app import Smallage
from smallage.results.waiting import allow_join_result
from smallage.signals import Signal
from smallage.worker.inprocess import InProcessWorker
from smallage.worker.options import pool_named

PING = "celery.ping"
"""Task that is run before the test goes on, where it is registered."""
_WITHOUT_EFFECT = frozenset(
    [
        "without_heartbeat",
        "without_mingle",
        "without_gossip",
        "send_events",
        "task_events",
        "events",
        "optimization",
        "prefetch_multiplier",
        "heartbeat_interval",
        "statedb",
        "state_db",
        "loader",
        "redirect_stdouts",
        "redirect_stdouts_level",
    ]
)

test_worker_starting = Signal("test_worker_starting")
"""Sent before a worker of `thread_worker` starts."""
test_worker_started = Signal("test_worker_started", ("worker", "consumer"))
"""Sent when it works."""
test_worker_stopped = Signal("test_worker_stopped", ("worker",))
"""Sent when it has stopped."""


class ThreadWorker(InProcessWorker):
    """A worker beside the test."""

    @property
    def hostname(self) -> str:
        """The worker's name."""
        return self._node

    def ensure_started(self) -> None:
        """Celery's: a worker that one has been given works already."""

    def reload(self, modules: Sequence[str] | None = None, reload: bool = False, reloader: Any = None) -> None:
        """Import `modules`, again if `reload`, and take up tasks that were declared after the start."""
        for name in modules or ():
            module = import_module(name)
            if reload:
                (reloader or reload_module)(module)
        self.app.finalize()
        self._announce()


def comma_list(text: str) -> tuple[str, ...]:
    """`a,b` as a tuple."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


@contextmanager
def thread_worker(
    app: Smallage,
    concurrency: int = 1,
    pool: str = "solo",
    loglevel: Any = None,
    logfile: Any = None,
    perform_ping_check: bool = True,
    ping_task_timeout: float = 10.0,
    shutdown_timeout: float = 10.0,
    queues: Sequence[str] | str = (),
    hostname: str = "",
    **options: Any,
) -> Iterator[ThreadWorker]:
    """A worker of `app` that works until the end of the block; what runs then has `shutdown_timeout` seconds to end.

    `pool` is "solo", "threads", "processes" (all of them threads here) or "asyncio"; `queues` default to the app's.
    With `perform_ping_check` the task `celery.ping`, if it is registered, must answer first. `loglevel` and `logfile`
    are Celery's and have no effect: logging is the test's. Raises ImproperlyConfigured for gevent.
    """
    if unknown := options.keys() - _WITHOUT_EFFECT - {"beat", "lease"}:
        raise TypeError(f"A worker in a thread has no {', '.join(sorted(unknown))}.")
    name = pool_named(pool)
    worker = ThreadWorker(
        app,
        pool="threads" if name in ("solo", "processes") else name,
        concurrency=concurrency,
        queues=comma_list(queues) if isinstance(queues, str) else tuple(queues),
        node=hostname,
        **{option: value for option, value in options.items() if option not in _WITHOUT_EFFECT},
    )
    app.import_default_modules()
    app.finalize()
    test_worker_starting.send(sender=app)
    with worker:
        try:
            test_worker_started.send(sender=app, worker=worker, consumer=None)
            if perform_ping_check and PING in app.tasks:
                with allow_join_result():
                    assert app.tasks[PING].apply_async(queue=worker.queues[0]).get(ping_task_timeout) == "pong"
            yield worker
        finally:
            worker.stop(shutdown_timeout)
    test_worker_stopped.send(sender=app, worker=worker)
