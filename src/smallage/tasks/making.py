"""Functions become tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from smallage.core import declared
from smallage.core.binding import is_coroutine
from smallage.core.errors import ImproperlyConfigured
from smallage.tasks.fields import FromSetting

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.task import Task

_REFUSED: Final = {
    "backend": "results live in the app's one store; leave it out",
    "Strategy": "workers have no strategies; use signals, hooks of the task class, or headers",
    "Request": "workers have no request classes; use signals or hooks of the task class",
}
_PYDANTIC: Final = ("pydantic_strict", "pydantic_context", "pydantic_dump_kwargs")


def check_options(values: Mapping[str, Any]) -> None:
    """Refuse, when a task is declared, option values that could only fail later."""
    for name, instead in _REFUSED.items():
        if values.get(name) is not None:
            raise ImproperlyConfigured(f"A task has no option {name} here: {instead}.")
    declared.check(values)


def make_task(
    app: Smallage, function: Any, name: str, base: type[Task[Any, Any]], bind: bool, values: Mapping[str, Any]
) -> Task[Any, Any]:
    """The task of a decorated function: an instance of a class of its own under `base`."""
    body = function
    if values.get("pydantic"):
        from smallage.tasks.models import with_models

        body = with_models(app, function, name, *(values.get(one) for one in _PYDANTIC))
    attributes = {
        **{key: value for key, value in values.items() if value is not None or not _is_setting(base, key)},
        "app": app,
        "name": name,
        "bind": bind,
        "abstract": False,
        "run": body if bind else staticmethod(body),
        "is_async": is_coroutine(function),
        "__name__": getattr(function, "__name__", name),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__wrapped__": staticmethod(function),
    }
    made: Task[Any, Any] = type(getattr(function, "__name__", "task"), (base,), attributes)()
    made.on_bound(app)
    return made


def _is_setting(base: type, name: str) -> bool:
    """True for an option of the class that reads as a setting: None leaves it so."""
    return any(isinstance(vars(kind).get(name), FromSetting) for kind in base.__mro__)
