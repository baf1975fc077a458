"""Tasks of libraries, which do not know the app that will use them: `@shared_task`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from smallage.app import Smallage, share
from smallage.app.current import the_app
from smallage.app.registry import declared

if TYPE_CHECKING:
    from smallage.app.decorators import BoundDecorator, Decorator
    from smallage.task import AsyncTask, Task

P = ParamSpec("P")
R = TypeVar("R")


class SharedTask:
    """Stands for the current app's task of a shared function, looked up at each use."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        self.__dict__.update(_function=function, _options=options, __doc__=function.__doc__, __wrapped__=function)

    def _task(self) -> Any:
        app = the_app()
        name = self._name_in(app)
        return declared(app.tasks, name) or app.tasks[name]

    def _name_in(self, app: Smallage) -> str:
        function = self._function
        return self._options.get("name") or app.gen_task_name(function.__name__, function.__module__)

    def register(self, app: Smallage) -> None:
        """Make the function a task of `app`, if it is none yet."""
        if declared(app.tasks, self._name_in(app)) is None:
            app.task(**self._options)(self._function)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._task(), name, value)

    def __delattr__(self, name: str) -> None:
        """What a mock does with an attribute that it had put there."""
        delattr(self._task(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._task()(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return self is other or self._task() is other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<@shared_task: {self._name_in(the_app())}>"


@overload
def shared_task(function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
@overload
def shared_task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def shared_task(*, bind: Literal[True], **options: Any) -> BoundDecorator: ...
@overload
def shared_task(*, bind: Literal[False] = False, **options: Any) -> Decorator: ...
def shared_task(function: Any = None, /, **options: Any) -> Any:
    """Make a function a task of every app, those made later included. Options as for `app.task`."""
    if function is None:
        return lambda function: _shared(function, options)
    return _shared(function, {})


def _shared(function: Any, options: dict[str, Any]) -> SharedTask:
    made = SharedTask(function, options)
    share(made.register)
    return made
