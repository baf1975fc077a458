"""The part of an app that makes tasks of functions and classes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeAlias, TypeVar, overload

from smallage.app.annotating import annotate
from smallage.app.declaration import Declaration
from smallage.app.importing import named
from smallage.app.pending import PendingTask, become, pending
from smallage.app.registry import OpenRegistry, Registry, declared
from smallage.app.sending import Sending
from smallage.core.binding import is_coroutine
from smallage.core.ids import can_be_name, check_name
from smallage.request import running
from smallage.signals import Signal
from smallage.task import Task, check_options

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from smallage.app.base import Smallage
    from smallage.app.decorators import BoundDecorator, Decorator
    from smallage.task import AsyncTask

P = ParamSpec("P")
R = TypeVar("R")
_ABOUT_DECLARING = frozenset({"lazy", "shared", "filter"})
"""Options of the decorator that are no attributes of the task."""
AnyTask: TypeAlias = Task[Any, Any]
TaskClass: TypeAlias = type[AnyTask]


class Registering(Sending):
    """Tasks: the decorator, the registry, names.

    A declared task is built at its first use or by `finalize`, so that settings and the class of tasks may come later.
    """

    main: str | None
    task_cls: Any = Task
    """Class under the app's tasks, or its name "module:Class"."""

    def __init__(self, task_cls: Any, strict_typing: bool, autofinalize: bool) -> None:
        super().__init__()
        self.tasks: Registry = OpenRegistry()
        self.tasks.finalize = lambda: self.finalize(auto=True)
        self.finalized = False
        self.autofinalize = autofinalize
        self.on_after_finalize = Signal("on_after_finalize")
        """Sent when all declared tasks have been built."""
        self.strict_typing = strict_typing
        if task_cls is not None:
            self.task_cls = task_cls
        self.building = threading.RLock()
        """Held while declared tasks are built."""
        self.surroundings: Callable[[], AbstractContextManager[Any]] | None = None
        """Makes the context that each body runs in, such as a web framework's; set before the first run."""
        self._base: TaskClass | None = None
        self._functions: dict[str, Any] = {}

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /, **options: Any) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /, **options: Any) -> Task[P, R]: ...
    @overload
    def task(self, /, *, bind: Literal[True], **options: Any) -> BoundDecorator: ...
    @overload
    def task(self, /, *, bind: Literal[False] = False, **options: Any) -> Decorator: ...
    def task(self, function: Any = None, /, **options: Any) -> Any:
        """Make a function, sync or async, a task. Bare (`@app.task`) or with options (`@app.task(max_retries=5)`).

        Options are the attributes of `Task`, besides `name`, `bind` (the function gets the task as its first
        argument) and `base` (a Task class). Unknown ones become attributes too.
        """
        if function is not None:
            return self._register(function, options)
        return lambda function: self._register(function, options)

    def _register(self, function: Any, given: Mapping[str, Any]) -> AnyTask:
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"@app.task makes a task of a function, not of {function!r}. Name it with @app.task(name=...); a Task "
                "class goes to app.register_task."
            )
        values = {name: value for name, value in given.items() if name not in _ABOUT_DECLARING}
        bind = bool(values.pop("bind", False))
        base = values.pop("base", None)
        if base is not None and not (isinstance(base, type) and issubclass(base, Task)):
            raise TypeError(f"base must be a class made from smallage.Task, not {base!r}.")
        name = values.pop("name", None) or self.gen_task_name(function.__name__, function.__module__)
        values.setdefault("typing", self.strict_typing)
        check_options(values)
        task = declared(self.tasks, check_name(name))
        if task is not None:
            self._warn_of_second(name, function)
        else:
            plan = Declaration(self, function, name, base, bind, values)
            task = plan.task = pending(plan)
            self._functions[name] = function
            self.tasks[name] = task
            if self.finalized or not given.get("lazy", True):
                become(task)
        choose = given.get("filter")
        return task if choose is None else choose(task)

    def check_finalized(self) -> None:
        """Raise RuntimeError if declared tasks may not be built yet."""
        if not (self.finalized or self.autofinalize):
            raise RuntimeError(
                "Contract breach: app not finalized. Its autofinalize is off: call app.finalize() once all tasks are "
                "declared."
            )

    def finalize(self, auto: bool = False) -> None:
        """Build all declared tasks; later ones are built where they are declared. It happens at the first look at
        `tasks`. Raises RuntimeError for `auto` if the app's `autofinalize` is off."""
        with self.building:
            if self.finalized:
                return
            if auto:
                self.check_finalized()
            self.finalized = True
            object.__setattr__(self.tasks, "__class__", Registry)
            for task in list(self.tasks.values()):
                if type(task) is PendingTask:
                    become(task)
        self.on_after_finalize.send(sender=self)

    def _after_fork(self) -> None:
        self.building = threading.RLock()
        super()._after_fork()

    def itself(self) -> Smallage:
        """The app."""
        return self  # type: ignore[return-value]  # the only class made from this one

    def _warn_of_second(self, name: str, function: Any) -> None:
        """A second function under a taken name: the first stays, unless it is the same source read again."""
        before = self._functions.get(name)
        if before is None or not _same(before, function):
            warn_of_name(name, "the first stays")

    def register_task(self, task: AnyTask | TaskClass, **options: Any) -> AnyTask:
        """Register an instance of a Task class, in place of one of its name; `options` become its attributes."""
        made = task() if isinstance(task, type) else task
        if not made.name:
            made.name = self.gen_task_name(type(made).__name__, type(made).__module__)
        known = self.tasks.get(check_name(made.name))
        if known is not None and type(known) is not type(made):
            warn_of_name(made.name, "the second replaces the first")
        for name, value in options.items():
            setattr(made, name, value)
        made.app = self.itself()
        made.is_async = is_coroutine(made.function())
        self.tasks[made.name] = made
        annotate(made, self.conf.task_annotations)
        return made

    @property
    def Task(self) -> TaskClass:
        """The class under the app's tasks, bound to it, to be subclassed. Another may be put in its place."""
        if self._base is None:
            found: TaskClass = named(self.task_cls) if isinstance(self.task_cls, str) else self.task_cls
            if not isinstance(found, type):
                raise TypeError(f"task_cls must be a class, not {found!r}.")
            about = {"app": self, "abstract": True, "__module__": found.__module__, "__doc__": found.__doc__}
            self._base = type(found.__name__, (found,), about)
        return self._base

    @Task.setter
    def Task(self, kind: TaskClass) -> None:
        self._base = kind

    def gen_task_name(self, name: str, module: str) -> str:
        """`module.name`; a script's `__main__` becomes the app's name or the script's."""
        if module == "__main__":
            script = getattr(sys.modules.get("__main__"), "__file__", None) or ""
            stem = os.path.splitext(os.path.basename(script))[0]
            module = self.main or (stem if can_be_name(stem) else "__main__")  # typed in, it is "<stdin>"
        return ".".join(part for part in (module, name) if part)

    @property
    def current_task(self) -> AnyTask | None:
        """The task that runs here."""
        request = running.get()
        return None if request is None else request.task_object

    current_worker_task = current_task


def _same(one: Any, other: Any) -> bool:
    """True for one function, and for one source that was read twice."""
    return one is other or (
        getattr(one, "__qualname__", 1) == getattr(other, "__qualname__", 2)
        and getattr(one, "__module__", 1) == getattr(other, "__module__", 2)
    )


def warn_of_name(name: str, what: str) -> None:
    """Two tasks have one name."""
    import warnings

    from smallage.core.errors import DuplicateTaskNameWarning

    warnings.warn(
        f"Two functions are registered as the task '{name}'; {what}. Give each a name of its own: @app.task(name=...).",
        DuplicateTaskNameWarning,
        stacklevel=5,
    )
