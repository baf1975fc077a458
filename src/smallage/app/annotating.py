"""`task_annotations`: attributes that the settings give to tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from smallage.core.options import Deferred
from smallage.task import Task


def annotate(task: Task[Any, Any], rules: Any) -> None:
    """Give a task what the rules say of it, in their order: of each what is for the task by name or, failing that,
    for all tasks ("*"). A name with "@" before it wraps the method of that name.

    A rule is a dict, or an object with `annotate(task)` and `annotate_any()`.
    """
    for rule in rules:
        found = _found(rule.found if isinstance(rule, Deferred) else rule, task)
        for name, value in (found or {}).items():
            if name.startswith("@"):
                _wrap(task, name[1:], value)
            else:
                setattr(type(task), name, value)


def _found(rule: Any, task: Task[Any, Any]) -> Mapping[str, Any] | None:
    if isinstance(rule, Mapping):
        return rule.get(task.name) or rule.get("*")
    for name, given in (("annotate", (task,)), ("annotate_any", ())):
        ask = getattr(rule, name, None)
        answer: Mapping[str, Any] | None = ask(*given) if ask is not None else None
        if answer:
            return answer
    return None


def _wrap(task: Task[Any, Any], name: str, around: Callable[[Any], Any]) -> None:
    """`around` gets the method as it stands in the class and gives another, called with the task as first argument."""
    kind = type(task)
    before = getattr(kind, name)
    made = around(before)
    if name == "run" and not task.takes_self():

        def run(*args: Any, **kwargs: Any) -> Any:
            return made(task, *args, **kwargs)

        run.__dict__["__wrapped__"] = before
        setattr(kind, name, staticmethod(run))
    else:
        setattr(kind, name, made)
