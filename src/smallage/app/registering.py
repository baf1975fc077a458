"""The part of an app that makes tasks of functions and classes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeAlias, TypeVar, overload

from smallage.app.importing import named
from smallage.app.registry import Registry
from smallage.app.sending import Sending
from smallage.core.binding import is_coroutine
from smallage.core.errors import AlreadyRegistered
from smallage.core.ids import can_be_name, check_name
from smallage.request import running
from smallage.task import Task, check_options, make_task

if TYPE_CHECKING:
    from smallage.app.base import Smallage
    from smallage.app.decorators import BoundDecorator, Decorator
    from smallage.task import AsyncTask

P = ParamSpec("P")
R = TypeVar("R")
AnyTask: TypeAlias = Task[Any, Any]
TaskClass: TypeAlias = type[AnyTask]


class Registering(Sending):
    """Tasks: the decorator, the registry, names."""

    main: str | None

    def __init__(self, task_cls: Any, strict_typing: bool) -> None:
        super().__init__()
        self.tasks = Registry()
        self.strict_typing = strict_typing
        self.task_cls: Any = task_cls or Task

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
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
            return self._register(function, {})
        return lambda function: self._register(function, options)

    def _register(self, function: Any, given: Mapping[str, Any]) -> AnyTask:
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"@app.task makes a task of a function, not of {function!r}. Name it with @app.task(name=...); a Task "
                "class goes to app.register_task."
            )
        values = dict(given)
        bind = bool(values.pop("bind", False))
        base = values.pop("base", None) or self._task_class()
        if not (isinstance(base, type) and issubclass(base, Task)):
            raise TypeError(f"base must be a class made from smallage.Task, not {base!r}.")
        name = values.pop("name", None) or self.gen_task_name(function.__name__, function.__module__)
        values.setdefault("typing", self.strict_typing)
        check_options(values)
        known = self.tasks.get(check_name(name))
        if known is not None:
            return self._again(known, function)
        task = make_task(self._app(), function, name, base, bind, values)
        self.tasks[name] = task
        return task

    def _app(self) -> Smallage:
        return self  # type: ignore[return-value]  # the only class made from this one

    def _again(self, known: AnyTask, function: Any) -> AnyTask:
        """A second function under a taken name: the first stays, unless it is the same source read again."""
        import warnings

        from smallage.core.errors import DuplicateTaskNameWarning

        before = known.function()
        same = getattr(before, "__qualname__", 1) == getattr(function, "__qualname__", 2) and getattr(
            before, "__module__", 1
        ) == getattr(function, "__module__", 2)
        if not same:
            warnings.warn(
                f"Two functions are registered as the task '{known.name}'; the first stays. Give the second a name of "
                "its own: @app.task(name=...).",
                DuplicateTaskNameWarning,
                stacklevel=4,
            )
        return known

    def register_task(self, task: AnyTask | TaskClass) -> AnyTask:
        """Register an instance of a Task class; raises AlreadyRegistered for a taken name."""
        made = task() if isinstance(task, type) else task
        if not made.name:
            made.name = self.gen_task_name(type(made).__name__, type(made).__module__)
        if check_name(made.name) in self.tasks:
            raise AlreadyRegistered(f"A task '{made.name}' is registered already.")
        made.app = self._app()
        made.is_async = is_coroutine(made.function())
        self.tasks[made.name] = made
        return made

    def _task_class(self) -> TaskClass:
        if isinstance(self.task_cls, str):
            self.task_cls = named(self.task_cls)
        found: TaskClass = self.task_cls
        return found

    @property
    def Task(self) -> TaskClass:
        """The class under the app's tasks, to be subclassed."""
        return self._task_class()

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
