"""What a task's options and the app's settings amount to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from smallage.core import declared, options
from smallage.core.binding import Binding
from smallage.core.message import FOLLOW_ANY, Envelope
from smallage.tasks.fields import chosen

if TYPE_CHECKING:
    from smallage.task import Task

HOOKS: Final = ("before_start", "on_success", "after_return")
"""Those that are called around every good run."""
_OVERRIDDEN: Final = ("apply_async", "shadow_name")
"""With one of these of its own a task's `delay` takes the long way."""


class Prepared:
    """Worked out once, and again when an option or a setting has changed."""

    __slots__ = (
        "ack",
        "binding",
        "convert",
        "entry",
        "envelope",
        "extended",
        "fewest",
        "hooked",
        "limits",
        "most",
        "names",
        "pages",
        "straight",
        "tracked",
        "version",
        "warn_over",
    )

    def __init__(self, task: Task[Any, Any]) -> None:
        from smallage.task import Task

        conf = task.app.conf
        self.version: int = conf.version
        declared.check({name: chosen(task, name) for name in declared.CHECKED})  # a class's own, or changed since
        self.envelope = task_envelope(task)
        self.limits = task.own_limits()
        self.ack = _ack(task)
        function = task.function()
        self.binding = Binding(getattr(function, "__checked__", function), bound=task.takes_self())
        typed = task.typing
        self.fewest = self.binding.fewest if typed else 0
        self.most = self.binding.most if typed else sys.maxsize
        self.names = self.binding.names
        self.warn_over: int = min(conf.task_payload_warning or sys.maxsize, conf.task_payload_limit or sys.maxsize)
        plain = not conf.task_always_eager and not conf.task_inherit_parent_priority
        plain = plain and not any(_is_own(task, Task, name) for name in _OVERRIDDEN)
        self.straight = plain and options.is_static(conf.task_routes)
        """`delay` needs neither the eager mode nor a routing function, nor the priority of who calls, nor methods of a
        subclass."""
        kind = type(task)
        self.entry: Any = task.run if kind.__call__ is Task.__call__ else task
        """What a worker calls: the body, or a subclass's own `__call__`, in the app's surroundings if it has any."""
        if task.app.surroundings is not None:
            from smallage.tasks.surrounding import surrounded

            self.entry = surrounded(self.entry, task.app.surroundings, task.is_async)
        self.tracked = bool(task.track_started)
        """Its start is shown to readers."""
        self.hooked = self.tracked or any(_is_own(task, Task, hook) for hook in HOOKS)
        self.convert = None if getattr(task, "pydantic", False) else _argument_converter(task.function(), self.names)
        self.extended: bool = conf.result_extended
        """The call is kept with the result."""
        self.pages = _takes_pages(task.function(), self.names)
        """As the body of a chord it reads the header's values in pages, instead of getting a list."""


def _is_own(task: Any, base: type, name: str) -> bool:
    """True if a method is not the one of `Task`, but of a subclass or put on the task itself."""
    return name in task.__dict__ or getattr(type(task), name) is not getattr(base, name)


def _argument_converter(function: Any, names: Sequence[str]) -> Any:
    if not getattr(function, "__annotations__", None):
        return None
    from smallage.core.convert import argument_converter

    return argument_converter(function, names)


_PAGED: Final = frozenset(("Iterable", "Iterator", "Collection", "Sequence"))


def _takes_pages(function: Any, names: Sequence[str]) -> bool:
    """True if the first parameter is annotated as something to be iterated over, not as a list."""
    annotation = getattr(function, "__annotations__", {}).get(names[0]) if names else None
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return text.partition("[")[0].rpartition(".")[2] in _PAGED


def _ack(task: Task[Any, Any]) -> str:
    late = chosen(task, "acks_late")
    return options.ack_mode(task.ack, task.app.conf.task_acks_late if late is None else late)


def task_envelope(task: Task[Any, Any]) -> Envelope:
    """Settings, then the task's own options, then its route."""
    conf = task.app.conf
    route = options.route(conf.task_routes, task.name) if options.is_static(conf.task_routes) else {}
    base = task.app.base_envelope(task.name)
    expires = None if task.expires is None else options.seconds_us(task.expires, "expires")
    crashes, lost = _budgets(task)
    queue = route.get("queue") or getattr(task.queue, "name", task.queue) or _by_key(task) or base.queue
    rank = route.get("priority", task.priority)
    return Envelope(
        name=task.name,
        queue=task.app.known_queue(queue),
        priority=base.priority if rank is None else options.priority(rank),
        expires_in_us=expires,
        keep_us=options.keep_us(conf.result_expires, bool(task.ignore_result)),
        max_crashes=conf.task_max_crashes if crashes is None else crashes,
        max_lost=conf.task_max_lost if lost is None else lost,
        follow=0 if expires is None else FOLLOW_ANY,
    )


def _by_key(task: Task[Any, Any]) -> Any:
    """A routing key is a queue's name, where none is given."""
    return task.routing_key or None


def _budgets(task: Task[Any, Any]) -> tuple[int | None, int | None]:
    """(crashes, losses) that a task survives; None for the settings'."""
    final = chosen(task, "reject_on_worker_lost")
    final = task.app.conf.task_reject_on_worker_lost if final is None else final
    if _ack(task) == "early" or final is False:
        return 0, 0
    if task.retry_on_worker_lost and task.max_crashes is None and task.max_lost is None:
        most = task.max_retries if task.max_retries is not None else options.MAX_RETRIES
        return most, most
    return task.max_crashes, task.max_lost
