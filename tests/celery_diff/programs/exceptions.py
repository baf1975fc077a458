# mypy: ignore-errors
"""Classes of errors, names of modules."""

import importlib

import celery
from celery import exceptions
from celery.exceptions import (
    Ignore,
    MaxRetriesExceededError,
    Reject,
    Retry,
    SoftTimeLimitExceeded,
    TaskRevokedError,
    TimeLimitExceeded,
    WorkerLostError,
)

from tests.celery_diff.lab import program

SHOWN = [
    "CeleryError",
    "ImproperlyConfigured",
    "SecurityError",
    "TaskPredicate",
    "Ignore",
    "Reject",
    "Retry",
    "TaskError",
    "QueueNotFound",
    "NotRegistered",
    "IncompleteStream",
    "AlreadyRegistered",
    "TimeoutError",
    "MaxRetriesExceededError",
    "TaskRevokedError",
    "InvalidTaskError",
    "ChordError",
    "BackendError",
    "BackendGetMetaError",
    "BackendStoreError",
    "WorkerShutdown",
    "WorkerTerminate",
    "CeleryWarning",
    "AlwaysEagerIgnored",
    "DuplicateNodenameWarning",
    "FixupWarning",
    "NotConfigured",
    "SecurityWarning",
    "CPendingDeprecationWarning",
    "CDeprecationWarning",
]


@program
def tree_of_exceptions():
    """Each class and its bases."""
    return {name: [base.__name__ for base in getattr(exceptions, name).__mro__[1:-3]] for name in SHOWN}


@program
def exceptions_of_billiard():
    """Limits and lost workers are exceptions of their own."""
    classes = [SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError]
    return [[cls.__name__, issubclass(cls, Exception), issubclass(cls, exceptions.CeleryError)] for cls in classes]


@program
def operational_error():
    """OperationalError is importable from celery.exceptions."""
    return [exceptions.OperationalError.__name__, issubclass(exceptions.OperationalError, Exception)]


@program
def attributes_of_reject():
    """Reject's reason and requeue."""
    one, other = Reject("why", requeue=True), Reject()
    return [one.reason, one.requeue, other.reason, other.requeue, repr(one)]


@program
def attributes_of_retry():
    """Retry's message, exc, when."""
    one = Retry("message", ValueError("x"), 5)
    return [one.message, repr(one.exc), one.when, one.humanize(), one.is_eager, one.sig]


@program
def max_retries_arguments():
    """task_args and task_kwargs."""
    one = MaxRetriesExceededError("words", task_args=(1,), task_kwargs={"a": 2})
    return [str(one), list(one.task_args), one.task_kwargs]


@program
def texts():
    """str of a few."""
    return [
        str(TaskRevokedError("revoked")),
        str(TimeLimitExceeded(5)),
        str(Ignore()),
        str(exceptions.NotRegistered("n")),
    ]


@program
def argument_of_not_registered():
    """An unknown name: the error's argument is the name."""
    try:
        celery.Celery("one", set_as_current=False).tasks["some.name"]
    except exceptions.NotRegistered as error:
        return [list(error.args), isinstance(error, KeyError)]


@program
def names_of_the_package():
    """What `from celery import ..` offers."""
    names = [
        "Celery",
        "shared_task",
        "Task",
        "chain",
        "chord",
        "group",
        "signature",
        "chunks",
        "xmap",
        "xstarmap",
        "subtask",
        "maybe_signature",
        "current_app",
        "current_task",
        "uuid",
        "bugreport",
        "__version__",
    ]
    return [name for name in names if not hasattr(celery, name)]


@program
def modules():
    """Modules and names that programs import."""
    wanted = {
        "celery.app.task": ["Task", "Context"],
        "celery.app.base": ["Celery"],
        "celery.app.control": ["Control", "Inspect"],
        "celery.canvas": ["Signature", "chain", "group", "chord", "chunks", "xmap", "xstarmap", "signature"],
        "celery.result": ["AsyncResult", "GroupResult", "ResultSet", "EagerResult", "result_from_tuple"],
        "celery.states": ["PENDING", "SUCCESS", "READY_STATES"],
        "celery.signals": ["task_prerun", "worker_ready", "beat_init", "setup_logging"],
        "celery.schedules": ["crontab", "schedule", "solar"],
        "celery.utils.log": ["get_task_logger", "get_logger"],
        "celery.utils": ["uuid"],
        "celery.local": ["Proxy"],
        "celery._state": ["current_app", "current_task", "get_current_app"],
        "celery.beat": ["Scheduler", "ScheduleEntry"],
        "celery.contrib.abortable": ["AbortableTask", "AbortableAsyncResult"],
        "celery.contrib.testing.worker": ["start_worker"],
        "celery.utils.nodenames": ["gethostname", "nodename"],
        "celery.events": [],
        "celery.platforms": [],
    }
    missing = []
    for module, names in wanted.items():
        try:
            found = importlib.import_module(module)
        except ImportError:
            missing.append(module)
            continue
        missing += [f"{module}.{name}" for name in names if not hasattr(found, name)]
    return missing


@program
def versions():
    """__version__ is a text with dots."""
    return [type(celery.__version__).__name__, "." in celery.__version__]


@program
def uuids():
    """celery.uuid gives 36 characters."""
    return [len(celery.uuid()), celery.uuid() != celery.uuid()]
