"""Celery's signals: functions that are called when something happens to a task or a worker.

Receivers are called in the process where it happens, in the order in which they were connected. What they raise is
logged and changes nothing.

* By whoever pushes: `before_task_publish`, `after_task_publish` (once for all members of a fan-out, with the group's
  id). What a receiver of the first changes in `headers` and `properties` travels with the task, unless a running task
  pushes it: were that run repeated, it would have to push the same.
* By the process that runs the body: `task_prerun`, `task_postrun`, `task_success`, `task_failure`, `task_retry`;
  `task_internal_error` when what comes after a body cannot be worked out.
* By a worker's children about tasks: `task_received`, `task_unknown`, `task_rejected` (arguments that cannot be read),
  `task_revoked` (a run that was terminated, and what a worker learns of tasks that were revoked or expired).
* By each child of a worker as it starts: `import_modules`, `celeryd_init`, `setup_logging` or `after_setup_logger` and
  `after_setup_task_logger`, `worker_init`, `celeryd_after_setup`, `worker_before_create_process`,
  `worker_process_init`; as it ends:
  `worker_process_shutdown`. The parent of the children runs no code of yours, so nothing is inherited from it and
  each child must be set up.
* By the first child alone, once for the worker: `worker_ready`, `heartbeat_sent` (every two seconds, while the worker
  works), `worker_shutting_down`, `worker_shutdown`.
* By a scheduler that starts: `beat_init`, and one in a worker then `beat_embedded_init`.
* By commands, and by each child of a worker, for an app with `user_options["preload"]`: `user_preload_options`.
* Never: `task_sent` and those about eventlet. They can be connected, for programs that do.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

Receiver = Callable[..., Any]

hearing: set[str] = set()
"""Names of the signals of every run that somebody listens to: empty, a run does not look further."""
_OF_A_RUN = frozenset({"task_prerun", "task_postrun", "task_success"})


class Signal:
    """Something that happens, and those who want to hear of it."""

    def __init__(self, name: str, arguments: tuple[str, ...] = ()) -> None:
        self.name = name
        self.arguments = arguments
        """Keywords that receivers get, besides `signal` and `sender`."""
        self.receivers: list[tuple[Any, Any, Callable[[], Receiver | None]]] = []
        """(key, sender or None, how to reach the receiver). Empty: sending costs nothing."""

    def connect(
        self,
        receiver: Receiver | None = None,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Any = None,
        retry: bool = False,
        **_: Any,
    ) -> Any:
        """Call `receiver(signal=, sender=, **keywords)` from now on; only for `sender` if one is given. Also a
        decorator.

        `weak` receivers are forgotten with their last other reference. `dispatch_uid`: a second one of that name is not
        connected. `retry`: one that raises is called again, up to ten times within two minutes.
        """
        if receiver is None:
            return lambda function: self.connect(function, sender, weak, dispatch_uid, retry)
        key = (dispatch_uid if dispatch_uid is not None else _identity(receiver), _sender_key(sender))
        if all(known != key for known, _, _ in self.receivers):
            reach = _reach(receiver, weak)
            self._set([*self.receivers, (key, sender, (lambda: _patient(self, reach())) if retry else reach)])
        return receiver

    def disconnect(
        self, receiver: Receiver | None = None, sender: Any = None, weak: Any = None, dispatch_uid: Any = None
    ) -> bool:
        """Stop calling a receiver; True if it was connected."""
        key = (dispatch_uid if dispatch_uid is not None else _identity(receiver), _sender_key(sender))
        before = len(self.receivers)
        self._set([one for one in self.receivers if one[0] != key])
        return len(self.receivers) < before

    def has_listeners(self, sender: Any = None) -> bool:
        """True if somebody would be called."""
        return any(wanted is None or wanted is sender or wanted == sender for _, wanted, _ in self.receivers)

    def send(self, sender: Any, **named: Any) -> list[tuple[Receiver, Any]]:
        """Call the receivers; (receiver, answer or exception) of each."""
        answers: list[tuple[Receiver, Any]] = []
        for entry in self.receivers:
            _, wanted, reach = entry
            receiver = reach()
            if receiver is None:
                self._set([one for one in self.receivers if one is not entry])
            elif wanted is None or wanted is sender or wanted == sender:
                try:
                    answers.append((receiver, receiver(signal=self, sender=sender, **named)))
                except Exception as error:
                    import logging

                    logging.getLogger("smallage.signals").exception("A receiver of %s failed", self.name)
                    answers.append((receiver, error))
        return answers

    send_robust = send

    def _set(self, receivers: list[tuple[Any, Any, Callable[[], Receiver | None]]]) -> None:
        self.receivers = receivers
        if self.name in _OF_A_RUN:
            (hearing.add if receivers else hearing.discard)(self.name)

    def __repr__(self) -> str:
        return f"<Signal {self.name}>"


def _identity(receiver: Any) -> Any:
    owner = getattr(receiver, "__self__", None)
    return id(receiver) if owner is None else (id(owner), id(receiver.__func__))


def _sender_key(sender: Any) -> Any:
    return None if sender is None else (sender if isinstance(sender, str) else id(sender))


def _reach(receiver: Receiver, weak: bool) -> Callable[[], Receiver | None]:
    if not weak:
        return lambda: receiver
    if hasattr(receiver, "__self__") and hasattr(receiver, "__func__"):
        return weakref.WeakMethod(receiver)
    return weakref.ref(receiver)


def _patient(signal: Signal, receiver: Receiver | None) -> Receiver | None:
    """A receiver that is called again while it raises."""
    if receiver is None:
        return None

    def again(**named: Any) -> Any:
        import logging

        for turn in range(1, _TRIES):
            try:
                return receiver(**named)
            except Exception as error:
                pause = min(2 * turn, 30)
                text = "A receiver of %s failed (%s); it is called again in %d s"
                logging.getLogger("smallage.signals").warning(text, signal.name, type(error).__name__, pause)
                time.sleep(pause)
        return receiver(**named)

    return again


_TRIES = 10

_TASK = ("task_id", "task", "args", "kwargs")

before_task_publish = Signal("before_task_publish", ("body", "exchange", "routing_key", "headers", "properties"))
after_task_publish = Signal("after_task_publish", ("body", "exchange", "routing_key", "headers"))
task_prerun = Signal("task_prerun", _TASK)
task_postrun = Signal("task_postrun", (*_TASK, "retval", "state"))
task_success = Signal("task_success", ("result", "runtime"))
task_failure = Signal("task_failure", ("task_id", "exception", "args", "kwargs", "traceback", "einfo"))
task_retry = Signal("task_retry", ("request", "reason", "einfo"))
task_revoked = Signal("task_revoked", ("request", "terminated", "signum", "expired"))
task_rejected = Signal("task_rejected", ("message", "exc"))
task_unknown = Signal("task_unknown", ("message", "exc", "name", "id"))
task_received = Signal("task_received", ("request",))
task_internal_error = Signal("task_internal_error", (*_TASK, "request", "exception", "traceback", "einfo"))
import_modules = Signal("import_modules")
celeryd_init = Signal("celeryd_init", ("instance", "conf", "options"))
celeryd_after_setup = Signal("celeryd_after_setup", ("instance", "conf"))
worker_init = Signal("worker_init")
worker_ready = Signal("worker_ready")
worker_before_create_process = Signal("worker_before_create_process")
worker_process_init = Signal("worker_process_init")
worker_process_shutdown = Signal("worker_process_shutdown", ("pid", "exitcode"))
worker_shutting_down = Signal("worker_shutting_down", ("sig", "how", "exitcode"))
worker_shutdown = Signal("worker_shutdown")
heartbeat_sent = Signal("heartbeat_sent")
task_sent = Signal("task_sent", ("task_id", "task", "args", "kwargs", "eta", "taskset"))
eventlet_pool_started = Signal("eventlet_pool_started")
eventlet_pool_preshutdown = Signal("eventlet_pool_preshutdown")
eventlet_pool_postshutdown = Signal("eventlet_pool_postshutdown")
eventlet_pool_apply = Signal("eventlet_pool_apply", ("target", "args", "kwargs"))
user_preload_options = Signal("user_preload_options", ("app", "options"))
setup_logging = Signal("setup_logging", ("loglevel", "logfile", "format", "colorize"))
after_setup_logger = Signal("after_setup_logger", ("logger", "loglevel", "logfile", "format", "colorize"))
after_setup_task_logger = Signal("after_setup_task_logger", ("logger", "loglevel", "logfile", "format", "colorize"))
beat_init = Signal("beat_init")
beat_embedded_init = Signal("beat_embedded_init")
