"""Every exception that Smallage raises.

SmallageError
├── ImproperlyConfigured            a setting, option or URL that cannot work; says what to use instead
├── StoreError
│   ├── StoreUnavailable            the store cannot be reached (also an OperationalError)
│   ├── StoreFull                   the store refuses new work; workers go on draining
│   ├── StoreRefused                the store is reachable but unfit: eviction policy, version, foreign file
│   └── PushConflict                the id is taken by a different task
├── EncodeError                     a value that cannot travel (also a TypeError)
│   └── PayloadTooLarge
├── DecodeError                     bytes that are not a message of ours (also a ValueError)
├── TaskPredicate                   raised in a task body to say how it ends
│   ├── Ignore
│   ├── Reject
│   └── Retry
├── TaskError
│   ├── NotRegistered               (also a KeyError)
│   ├── AlreadyRegistered
│   ├── QueueNotFound               (also a KeyError)
│   ├── TimeoutError                a result did not come in time (also the built-in TimeoutError)
│   ├── MaxRetriesExceededError
│   ├── TaskRevokedError
│   ├── GroupError / ChordError     members of a group failed
│   └── IncompleteStream
├── RemoteError                     a task's exception whose class is not loaded here
├── WorkerLostError                 the crash budget of a task is spent
├── TimeLimitExceeded               the hard limit ended the task
└── (apart) SoftTimeLimitExceeded   raised inside the body, so that it can clean up
"""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Any


class SmallageError(Exception):
    """Root of Smallage's own exceptions."""


class ImproperlyConfigured(SmallageError):
    """A setting, option or URL cannot work; the text says what to use instead."""


class StoreError(SmallageError):
    """Something is wrong with the store."""


class OperationalError(StoreError):
    """Celery's name for a store that cannot be reached."""


class StoreUnavailable(OperationalError):
    """The store cannot be reached now; what was asked may or may not have happened, repeat it with the same id."""


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


class TaskPredicate(SmallageError):
    """Raised in a task body to say how the task ends."""


class Ignore(TaskPredicate):
    """The task ends without a result of its own; a state set by `update_state` stays."""


class Reject(TaskPredicate):
    """The task ends as a dead letter, or goes back to its queue with `requeue=True`."""

    def __init__(self, reason: object = None, requeue: bool = False) -> None:
        super().__init__(reason, requeue)
        self.reason = reason
        self.requeue = requeue


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


class TaskError(SmallageError):
    """Something is wrong with a task or its result."""


class NotRegistered(TaskError, KeyError):
    """No task of this name is registered here."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class AlreadyRegistered(TaskError):
    """A task of this name exists."""


class QueueNotFound(TaskError, KeyError):
    """The queue is not among the configured ones."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TimeoutError(TaskError, builtins.TimeoutError):
    """The result did not come in time; the task goes on."""


class MaxRetriesExceededError(TaskError):
    """The task may not be retried again."""

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


class SoftTimeLimitExceeded(Exception):
    """Raised inside a task body when its soft time limit is over, so that it can clean up."""


class SmallageWarning(UserWarning):
    """Root of Smallage's warnings."""


class DuplicateTaskNameWarning(SmallageWarning):
    """Two functions were registered under one name; the first stays."""
