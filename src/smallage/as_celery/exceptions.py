"""Celery's exceptions and warnings: `celery.exceptions`. All are Smallage's own, so each is caught under both names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from smallage.as_celery.absent import attribute
from smallage.core.errors import (
    AlreadyRegistered,
    AlwaysEagerIgnored,
    BackendError,
    BackendGetMetaError,
    BackendStoreError,
    CDeprecationWarning,
    CeleryError,
    CeleryWarning,
    ChordError,
    CPendingDeprecationWarning,
    DecodeError,
    DuplicateNodenameWarning,
    DuplicateTaskNameWarning,
    EncodeError,
    FixupWarning,
    Ignore,
    ImproperlyConfigured,
    IncompleteStream,
    InvalidTaskError,
    MaxRetriesExceededError,
    NotConfigured,
    NotRegistered,
    OperationalError,
    QueueNotFound,
    Reject,
    Retry,
    SecurityError,
    SecurityWarning,
    SoftTimeLimitExceeded,
    TaskError,
    TaskPredicate,
    TaskRevokedError,
    Terminated,
    TimeLimitExceeded,
    TimeoutError,
    WorkerLostError,
    WorkerShutdown,
    WorkerTerminate,
)

RetryTaskError = Retry
SystemTerminate = WorkerTerminate


class CeleryCommandException(click.ClickException):
    """A command of `celery` ends with this message and this exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click calls it one of the class, and reads it here


def reraise(tp: object, value: BaseException, tb: object = None) -> NoReturn:
    """Raise `value` with the traceback `tb`."""
    raise value.with_traceback(tb) if tb is not value.__traceback__ else value  # type: ignore[arg-type]  # a traceback


__all__ = [
    "AlreadyRegistered",
    "AlwaysEagerIgnored",
    "BackendError",
    "BackendGetMetaError",
    "BackendStoreError",
    "CDeprecationWarning",
    "CPendingDeprecationWarning",
    "CeleryCommandException",
    "CeleryError",
    "CeleryWarning",
    "ChordError",
    "DecodeError",
    "DuplicateNodenameWarning",
    "DuplicateTaskNameWarning",
    "EncodeError",
    "FixupWarning",
    "Ignore",
    "ImproperlyConfigured",
    "IncompleteStream",
    "InvalidTaskError",
    "MaxRetriesExceededError",
    "NotConfigured",
    "NotRegistered",
    "OperationalError",
    "QueueNotFound",
    "Reject",
    "Retry",
    "RetryTaskError",
    "SecurityError",
    "SecurityWarning",
    "SoftTimeLimitExceeded",
    "SystemTerminate",
    "TaskError",
    "TaskPredicate",
    "TaskRevokedError",
    "Terminated",
    "TimeLimitExceeded",
    "TimeoutError",
    "WorkerLostError",
    "WorkerShutdown",
    "WorkerTerminate",
    "reraise",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
