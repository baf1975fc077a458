"""`Task.retry`."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from smallage.core import calls, options, retry
from smallage.core.canvas import Signature, printing
from smallage.core.errors import Retry

if TYPE_CHECKING:
    from smallage.request import Request
    from smallage.task import Task


def retry_of(
    task: Task[Any, Any],
    args: Iterable[Any] | None,
    kwargs: Mapping[str, Any] | None,
    exc: BaseException | None,
    eta: dt.datetime | None,
    countdown: float | None,
    max_retries: int | None,
    call: dict[str, Any],
) -> Retry:
    """The `Retry` to be raised by the running task, if it may be retried; else raises what its end is."""
    request = task.request
    if request.claim is None:
        raise_current(exc)
    if max_retries is not None:
        request.limit_override = options.retry_limit(max_retries)
    limit = task.max_retries if max_retries is None else max_retries
    if retry.refused(request.retries, limit):
        _refuse(task, request, exc)
    if countdown is None and eta is None:
        countdown = task.default_retry_delay
    if countdown is not None:
        call["countdown"] = countdown
    else:
        call["eta"] = eta
    calls.check(call)
    calls.due(call, task.app.zone(), time.time_ns() // 1000)  # out of bounds is the caller's error, here
    new_args, new_kwargs = _inherited(task.current().names, request, args, kwargs)
    plan = Signature(task, new_args, new_kwargs, call)
    plan.changed = args is not None or kwargs is not None
    again = Retry(exc=exc or current_exception(), when=countdown if countdown is not None else eta, sig=plan)
    again.is_eager = request.is_eager
    return again


def _refuse(task: Task[Any, Any], request: Request, exc: BaseException | None) -> NoReturn:
    if exc is not None:
        raise_current(exc)
    args, kwargs = tuple(request.args), dict(request.kwargs)
    raise task.MaxRetriesExceededError(
        f"Can't retry {task.name}[{request.id}] args:{printing.kinds(args)} kwargs:{printing.kinds(kwargs)}",
        task_args=args,
        task_kwargs=kwargs,
    )


def current_exception() -> BaseException | None:
    """The exception that is being handled."""
    return sys.exc_info()[1]


def raise_current(exc: BaseException | None) -> NoReturn:
    """Raise `exc` (from the exception that is being handled), else that one, else Retry."""
    current = current_exception()
    if exc is not None:
        if current is not None and current is not exc:
            raise exc from current
        raise exc
    if current is not None:
        raise current
    raise Retry("Task can be retried")


def _inherited(names: Sequence[str], request: Request, args: Any, kwargs: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    """Arguments of the next attempt: new ones replace; what only one of the two gives is inherited, minus parameters
    that would now be passed twice."""
    if args is None and kwargs is None:
        return request.args, request.kwargs
    if kwargs is None:
        taken = frozenset(names[: len(args)])
        return tuple(args), {name: value for name, value in request.kwargs.items() if name not in taken}
    if args is not None:
        return tuple(args), dict(kwargs)
    clash = next((place for place, name in enumerate(names[: len(request.args)]) if name in kwargs), None)
    if clash is None:
        return request.args, dict(kwargs)
    later = zip(names[clash:], request.args[clash:], strict=False)
    return request.args[:clash], {**dict(later), **kwargs}
