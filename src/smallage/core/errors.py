"""Every exception that Smallage raises, and those of Celery that programs catch or name.

SmallageError
├── CeleryError                     what Celery's own root covers
│   ├── ImproperlyConfigured        a setting, option or URL that cannot work; says what to use instead
│   ├── SecurityError
│   ├── TaskPredicate               raised in a task body to say how it ends
│   │   ├── Ignore
│   │   └── Replace             raised by `Task.replace`
│   │   ├── Reject
│   │   └── Retry
│   └── TaskError
│       ├── NotRegistered           (also a KeyError)
│       ├── AlreadyRegistered
│       ├── QueueNotFound           (also a KeyError)
│       ├── TimeoutError            a result did not come in time (also the built-in TimeoutError)
│       ├── MaxRetriesExceededError
│       ├── TaskRevokedError
│       ├── InvalidTaskError
│       ├── GroupError / ChordError members of a group failed
│       └── IncompleteStream
├── StoreError
│   ├── OperationalError            Celery's name for:
│   │   └── StoreUnavailable        the store cannot be reached
│   ├── StoreFull                   the store refuses new work; workers go on draining
│   ├── StoreRefused                the store is reachable but unfit: eviction policy, version, foreign file
│   └── PushConflict                the id is taken by a different task
├── BackendError / BackendGetMetaError, BackendStoreError
├── EncodeError                     a value that cannot travel (also a TypeError)
│   └── PayloadTooLarge
├── DecodeError                     bytes that are not a message of ours (also a ValueError)
├── RemoteError                     a task's exception whose class is not loaded here
├── WorkerLostError                 the crash budget of a task is spent
├── TimeLimitExceeded               the hard limit ended the task
├── Terminated                      Celery's name; a terminated task ends as revoked
└── (apart) SoftTimeLimitExceeded   raised inside the body, so that it can clean up
            WorkerShutdown, WorkerTerminate (SystemExit)
"""

from __future__ import annotations

import builtins
from datetime import datetime
from types import MappingProxyType
from typing import Any


class SmallageError(Exception):
    """Root of Smallage's own exceptions."""


class CeleryError(SmallageError):
    """Root of what Celery's root covers."""


class ImproperlyConfigured(CeleryError):
    """A setting, option or URL cannot work; the text says what to use instead."""


class SecurityError(CeleryError):
    """Celery's name for a message whose signature is wrong; Smallage signs none."""


class ParseException(SmallageError):
    """A crontab field with an empty part, an empty step or a negative number; other faults are ValueErrors."""


class StoreError(SmallageError):
    """Something is wrong with the store."""


class OperationalError(StoreError):
    """Celery's name for a store that cannot be reached."""


class StoreUnavailable(OperationalError):
    """The store cannot be reached now; what was asked may or may not have happened, repeat it with the same id."""

    waited = False
    """The time that an answer may take has passed: asking at once again would make the caller wait as long again."""


class StoreFull(StoreError):
    """The store has no room for new tasks; nothing was written. Workers go on draining."""


class StoreRefused(StoreError):
    """The store can be reached but is unfit for work; the text says what to change."""


class PushConflict(StoreError):
    """A task with this id exists and is a different one; nothing was written."""


class EncodeError(SmallageError, TypeError):
    """A value cannot travel to a worker; the text names it and says what to pass instead."""


class PayloadTooLarge(EncodeError):
    """Arguments or result are larger than the limit; the text says how to pass large data."""


class DecodeError(SmallageError, ValueError):
    """Bytes from the store are not a message of ours."""


class TaskPredicate(CeleryError):
    """Raised in a task body to say how the task ends."""


class Ignore(TaskPredicate):
    """The task ends without a result of its own; a state set by `update_state` stays."""


class Replace(Ignore):
    """Raised by `Task.replace`: another signature takes the task's place."""

    chain: Any = None
    """What takes its place, frozen."""


class Reject(TaskPredicate):
    """The task ends as a dead letter, or goes back to its queue with `requeue=True`."""

    def __init__(self, reason: object = None, requeue: bool = False) -> None:
        super().__init__(reason, requeue)
        self.reason = reason
        self.requeue = requeue

    def __repr__(self) -> str:
        return f"reject requeue={self.requeue}: {self.reason}"


class Retry(TaskPredicate):
    """The task is to be run again. `exc` is the error that led to it, `when` the delay in seconds or the instant."""

    exc: BaseException | str | None = None
    is_eager = False
    sig: Any = None

    def __init__(
        self,
        message: str | None = None,
        exc: BaseException | str | None = None,
        when: float | datetime | None = None,
        is_eager: bool = False,
        sig: Any = None,
    ) -> None:
        super().__init__(message, exc, when)
        self.message = message
        self.exc = exc
        self.when = when
        self.is_eager = is_eager
        self.sig = sig
        self.excs = repr(exc) if isinstance(exc, BaseException) else exc

    def humanize(self) -> str:
        """When the retry is due, in words."""
        if isinstance(self.when, (int, float)):
            return f"in {self.when}s"
        return f"at {self.when}"

    def __str__(self) -> str:
        if self.message:
            return self.message
        return f"Retry {self.humanize()}" + (f": {self.excs}" if self.excs else "")


class TaskError(CeleryError):
    """Something is wrong with a task or its result."""


class InvalidTaskError(TaskError):
    """Celery's name for a message that is no task."""


class NotRegistered(KeyError, TaskError):
    """No task of this name is registered here. The argument is the name, as in Celery; `advice` says what to do."""

    def __init__(self, *args: object, advice: str = "") -> None:
        super().__init__(*args)
        self.advice = advice

    def __str__(self) -> str:
        return self.advice or super().__str__()


class AlreadyRegistered(TaskError):
    """A task of this name exists."""


class QueueNotFound(KeyError, TaskError):
    """The queue is not among the configured ones."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TimeoutError(TaskError, builtins.TimeoutError):
    """The result did not come in time; the task goes on."""


class MaxRetriesExceededError(TaskError):
    """The task may not be retried again. `task_args` and `task_kwargs` are its arguments where it ran, and empty
    elsewhere: they are not stored with the error."""

    task_args: Any = ()
    task_kwargs: Any = MappingProxyType({})

    def __init__(self, *args: object, **kwargs: Any) -> None:
        self.task_args = kwargs.pop("task_args", ())
        self.task_kwargs = kwargs.pop("task_kwargs", {})
        super().__init__(*args)


class TaskRevokedError(TaskError):
    """The task was revoked, terminated or expired before it could end."""


class GroupError(TaskError):
    """Members of a group failed."""


class ChordError(GroupError):
    """A member of a chord's header failed, so its body does not run."""


class IncompleteStream(TaskError):
    """A result was asked for that is not there yet."""


class RemoteError(SmallageError):
    """A task raised an exception whose class is not loaded in this process: its type, message and traceback."""

    def __init__(self, exc_type: str = "", message: str = "", remote_traceback: str | None = None) -> None:
        super().__init__(exc_type, message)
        self.exc_type = exc_type
        self.message = message
        self.remote_traceback = remote_traceback

    def __str__(self) -> str:
        return f"{self.exc_type}: {self.message}" if self.exc_type else self.message


class WorkerLostError(SmallageError):
    """The processes that ran this task died again and again; its crash budget is spent."""


class TimeLimitExceeded(SmallageError):
    """The hard time limit ended the task. The argument is the limit in seconds."""

    def __str__(self) -> str:
        return f"TimeLimitExceeded{self.args}"


class Terminated(SmallageError):
    """Celery's name for the end of a terminated task, which here is revoked."""


class BackendError(SmallageError):
    """Celery's name for an error of the place that keeps results."""


class BackendGetMetaError(BackendError):
    """A result could not be read."""

    def __init__(self, *args: object, **kwargs: Any) -> None:
        super().__init__(*args)
        self.task_id = kwargs.get("task_id", "")

    def __repr__(self) -> str:
        return f"{super().__repr__()} task_id:{self.task_id}"


class BackendStoreError(BackendError):
    """A result could not be written."""

    def __init__(self, *args: object, **kwargs: Any) -> None:
        super().__init__(*args)
        self.state = kwargs.get("state", "")
        self.task_id = kwargs.get("task_id", "")

    def __repr__(self) -> str:
        return f"{super().__repr__()} state:{self.state} task_id:{self.task_id}"


class WorkerShutdown(SystemExit):
    """Celery's name for an orderly end of a worker."""


class WorkerTerminate(SystemExit):
    """Celery's name for an immediate end of a worker."""


class SoftTimeLimitExceeded(Exception):
    """Raised inside a task body when its soft time limit is over, so that it can clean up."""

    def __str__(self) -> str:
        return f"SoftTimeLimitExceeded{self.args}"


# -- warnings -----------------------------------------------------------------------------------------------------
class CeleryWarning(UserWarning):
    """Root of the warnings."""


class SmallageWarning(CeleryWarning):
    """Root of Smallage's own warnings."""


class AlwaysEagerIgnored(CeleryWarning):
    """`send_task` sends, although `task_always_eager` is on."""


class DuplicateNodenameWarning(CeleryWarning):
    """Two workers have one node name."""


class DuplicateTaskNameWarning(SmallageWarning):
    """Two functions were registered under one name; the first stays."""


class FixupWarning(CeleryWarning):
    """Django was announced and could not be set up."""


class NotConfigured(CeleryWarning):
    """No configuration was found."""


class SecurityWarning(CeleryWarning):
    """Something may be unsafe."""


class CPendingDeprecationWarning(PendingDeprecationWarning):
    """Something will be deprecated."""


class CDeprecationWarning(DeprecationWarning):
    """Something is deprecated."""
