"""Signals about a worker, sent by its children."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec

from smallage import signals
from smallage.worker import own_options
from smallage.worker.options import WorkerOptions, node_name

HEARTBEAT: Final = 2.0
"""Seconds between two `heartbeat_sent`."""


class WorkerView:
    """The worker as receivers see it: `app`, `hostname`, `options`, and what it will be. Equal to its node name, so
    that a receiver can be connected for one worker by name."""

    def __init__(self, app: Any, options: WorkerOptions) -> None:
        self.app = app
        self.hostname = node_name(options.node)
        self.options: dict[str, Any] = msgspec.structs.asdict(options)
        self.concurrency = options.concurrency or app.conf.worker_concurrency
        self.pool_cls = options.pool or app.conf.worker_pool
        self.queues = options.queues

    @property
    def consumer(self) -> WorkerView:
        return self

    controller = consumer

    def __eq__(self, other: object) -> bool:
        return self is other or other == self.hostname

    def __hash__(self) -> int:
        return hash(self.hostname)

    def __str__(self) -> str:
        return self.hostname

    def __repr__(self) -> str:
        return f"<Worker: {self.hostname}>"


def beginning(app: Any, options: WorkerOptions) -> WorkerView:
    """The app is loaded, nothing is decided: receivers of `celeryd_init` may change its settings. Raises
    ImproperlyConfigured for options of its own that it does not have."""
    view = WorkerView(app, options)
    if options.own or app.user_options:
        own = own_options.read(app, "worker", options.own)
        own_options.tell(app, "worker", own)
        view.options.update(own)
    signals.celeryd_init.send(sender=view.hostname, instance=view, conf=app.conf, options=view.options)
    return view


def set_up(view: WorkerView) -> None:
    """It is decided what the worker will be."""
    signals.worker_init.send(sender=view)
    signals.celeryd_after_setup.send(sender=view.hostname, instance=view, conf=view.app.conf)


def starting(view: WorkerView) -> None:
    """The child is about to work. It is made already, so whoever is asked to let go of things before a process is made
    has to do with this one's own."""
    signals.worker_before_create_process.send(sender=view)
    signals.worker_process_init.send(sender=view.hostname)


def ready(view: WorkerView, alive: Callable[[], bool]) -> None:
    """The worker's first child works. `alive` says whether it still does."""
    signals.worker_ready.send(sender=view)
    if signals.heartbeat_sent.receivers:
        threading.Thread(target=_beat, args=(view, alive), name="smallage-heartbeat", daemon=True).start()


def _beat(view: WorkerView, alive: Callable[[], bool]) -> None:
    pause = threading.Event()
    while True:
        if alive():
            signals.heartbeat_sent.send(sender=view)
        else:
            logging.getLogger("smallage.worker").debug("No heartbeat: the engine has not been seen for a while")
        pause.wait(HEARTBEAT)


def stopping(view: WorkerView) -> None:
    """The worker was told to stop and drains."""
    signals.worker_shutting_down.send(sender=view.hostname, sig="SIGTERM", how="Warm", exitcode=0)


def ended(view: WorkerView, pid: int, last: bool) -> None:
    """The child has stopped working; `last`: and so does the worker."""
    signals.worker_process_shutdown.send(sender=view.hostname, pid=pid, exitcode=0)
    if last:
        signals.worker_shutdown.send(sender=view)
