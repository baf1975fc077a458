"""The exceptions: Celery's tree, bases and attributes."""

from __future__ import annotations

import builtins

import pytest

from smallage.core import errors

BASES = {
    "ImproperlyConfigured": ("CeleryError",),
    "SecurityError": ("CeleryError",),
    "TaskPredicate": ("CeleryError",),
    "Ignore": ("TaskPredicate", "CeleryError"),
    "Reject": ("TaskPredicate", "CeleryError"),
    "Retry": ("TaskPredicate", "CeleryError"),
    "TaskError": ("CeleryError",),
    "QueueNotFound": ("TaskError", KeyError),
    "NotRegistered": ("TaskError", KeyError),
    "IncompleteStream": ("TaskError",),
    "AlreadyRegistered": ("TaskError",),
    "TimeoutError": ("TaskError", builtins.TimeoutError),
    "MaxRetriesExceededError": ("TaskError",),
    "TaskRevokedError": ("TaskError",),
    "InvalidTaskError": ("TaskError",),
    "ChordError": ("TaskError",),
    "BackendGetMetaError": ("BackendError",),
    "BackendStoreError": ("BackendError",),
    "StoreUnavailable": ("OperationalError",),
    "WorkerShutdown": (SystemExit,),
    "WorkerTerminate": (SystemExit,),
    "CeleryWarning": (UserWarning,),
    "AlwaysEagerIgnored": ("CeleryWarning",),
    "DuplicateNodenameWarning": ("CeleryWarning",),
    "DuplicateTaskNameWarning": ("CeleryWarning",),
    "FixupWarning": ("CeleryWarning",),
    "NotConfigured": ("CeleryWarning",),
    "SecurityWarning": ("CeleryWarning",),
    "CDeprecationWarning": (DeprecationWarning,),
    "CPendingDeprecationWarning": (PendingDeprecationWarning,),
}
APART = (
    *("SoftTimeLimitExceeded", "TimeLimitExceeded", "WorkerLostError", "Terminated"),
    *("OperationalError", "EncodeError", "DecodeError", "BackendError"),
)


@pytest.mark.parametrize("name", BASES)
def test_bases(name):
    made = getattr(errors, name)
    for base in BASES[name]:
        assert issubclass(made, base if isinstance(base, type) else getattr(errors, base))


@pytest.mark.parametrize("name", APART)
def test_those_that_are_no_celery_error(name):
    assert issubclass(getattr(errors, name), Exception)
    assert not issubclass(getattr(errors, name), errors.CeleryError)


def test_every_error_but_the_ones_of_celery_that_stand_apart_is_ours():
    own = [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, Exception) and not issubclass(one, Warning)
    ]
    assert [one.__name__ for one in own if not issubclass(one, errors.SmallageError)] == ["SoftTimeLimitExceeded"]


def test_attributes():
    assert (errors.Reject("why", requeue=True).reason, errors.Reject().requeue) == ("why", False)
    assert repr(errors.Reject("why", requeue=True)) == "reject requeue=True: why"
    spent = errors.MaxRetriesExceededError("spent", task_args=(1,), task_kwargs={"a": 2})
    assert (spent.task_args, spent.task_kwargs, str(spent)) == ((1,), {"a": 2}, "spent")
    again = errors.Retry("later", exc=KeyError("x"), when=5)
    assert (again.message, again.when, again.humanize(), again.excs) == ("later", 5, "in 5s", "KeyError('x')")
    assert str(errors.Retry(when=5)) == "Retry in 5s"
    unread = errors.BackendStoreError("no", state="FAILURE", task_id="t")
    assert (unread.state, unread.task_id) == ("FAILURE", "t")
    assert "state:FAILURE task_id:t" in repr(unread)
    assert "task_id:t" in repr(errors.BackendGetMetaError("no", task_id="t"))
    assert str(errors.NotRegistered("add")) == "'add'"
    advised = errors.NotRegistered("add", advice="Import it.")
    assert (str(advised), advised.args) == ("Import it.", ("add",))
