"""`pydantic=True`: arguments are validated where the task runs, and a model that it returns is dumped."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from smallage.core.binding import is_coroutine
from smallage.core.errors import ImproperlyConfigured

if TYPE_CHECKING:
    from smallage.app import Smallage


def with_models(
    app: Smallage,
    function: Callable[..., Any],
    name: str,
    strict: bool | None = None,
    context: Mapping[str, Any] | None = None,
    dump: Mapping[str, Any] | None = None,
) -> Callable[..., Any]:
    """`function`, getting pydantic models where it is annotated with one (or with one or None), and giving plain data
    where it returns what it is annotated with. Raises ImproperlyConfigured without pydantic."""
    try:
        from pydantic import BaseModel, ValidationError
    except ImportError:
        raise ImproperlyConfigured("pydantic=True needs pydantic: pip install pydantic.") from None
    shape = inspect.signature(function)
    hints = _hints(function, shape)
    models = {one: kind for one, hint in hints.items() if (kind := _model(hint, BaseModel)) is not None}
    returned = models.pop("return", None)
    told = {**(context or {}), "celery_app": app, "celery_task_name": name}
    how = {"mode": "json", **(dump or {})}

    def validated(args: Any, kwargs: Any) -> inspect.BoundArguments:
        bound = shape.bind(*args, **kwargs)
        for one, value in bound.arguments.items():
            if one in models and value is not None:
                try:
                    bound.arguments[one] = models[one].model_validate(
                        value, strict=True if strict is None else strict, context=told
                    )
                except ValidationError as error:
                    raise _discreet(error) from None
        return bound

    def dumped(value: Any) -> Any:
        return value.model_dump(**how) if returned is not None and isinstance(value, returned) else value

    if is_coroutine(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            bound = validated(args, kwargs)
            return dumped(await function(*bound.args, **bound.kwargs))

        vars(run_async)["__checked__"] = function
        return run_async

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        bound = validated(args, kwargs)
        return dumped(function(*bound.args, **bound.kwargs))

    vars(run)["__checked__"] = function  # arguments of calls are checked against it
    return run


def _discreet(error: Any) -> Any:
    """The same error, whose text does not show the values: they are arguments, and the text goes into logs."""
    from pydantic_core import PydanticCustomError

    lines = [
        {
            "type": PydanticCustomError(one["type"], one["msg"], one.get("ctx")),
            "loc": one["loc"],
            "input": one["input"],
        }
        for one in error.errors(include_url=False)
    ]
    return type(error).from_exception_data(error.title, lines, hide_input=True)


def _hints(function: Any, shape: inspect.Signature) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, AttributeError, TypeError):
        found = {one.name: one.annotation for one in shape.parameters.values()}
        return {**found, "return": shape.return_annotation}


def _model(hint: Any, base: type) -> Any:
    """The model that an annotation names, alone or beside None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        others = [one for one in typing.get_args(hint) if one is not type(None)]
        if len(others) != 1 or len(others) == len(typing.get_args(hint)):
            return None
        hint = others[0]
    return hint if isinstance(hint, type) and issubclass(hint, base) else None
