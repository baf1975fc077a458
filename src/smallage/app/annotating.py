"""`task_annotations`: attributes that the settings give to tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from smallage.core.options import Deferred
from smallage.task import Task


def annotate(task: Task[Any, Any], rules: Any) -> None:
    """Give a task what the rules say of it: what the first says that knows the task by name, and over that what the
    first says that is for all tasks ("*"). A name with "@" before it wraps the method of that name.

    A rule is a dict, or an object with `annotate(task)` and `annotate_any()`.
    """
    for name, value in _said(task, rules):
        if name.startswith("@"):
            _wrap(task, name[1:], value)
        else:
            setattr(type(task), name, value)


def unheeded(tasks: Iterable[Task[Any, Any]], rules: Any) -> list[str]:
    """What the rules say of tasks that were first used when there were no such rules, a sentence for each task."""
    told = []
    for task in tasks:
        late = [name for name, value in _said(task, rules) if getattr(type(task), name, value) != value]
        if late:
            told.append(
                f"task_annotations says {', '.join(late)} of the task '{task.name}', which was used before that was "
                f"set and does not follow it. Set it before anything reads an attribute of the task, its name included."
            )
    return told


def _said(task: Task[Any, Any], rules: Any) -> Iterator[tuple[str, Any]]:
    found = [rule.found if isinstance(rule, Deferred) else rule for rule in rules]
    by_name = _first(_by_name(rule, task) for rule in found)
    for_all = _first(_for_all(rule) for rule in found)
    yield from ((name, value) for name, value in by_name.items() if name not in for_all or name.startswith("@"))
    yield from for_all.items()


def _first(answers: Iterable[Any]) -> Mapping[str, Any]:
    return next((one for one in answers if one), {})


def _by_name(rule: Any, task: Task[Any, Any]) -> Any:
    if isinstance(rule, Mapping):
        return rule.get(task.name)
    ask = getattr(rule, "annotate", None)
    return ask(task) if ask is not None else None


def _for_all(rule: Any) -> Any:
    if isinstance(rule, Mapping):
        return rule.get("*")
    ask = getattr(rule, "annotate_any", None)
    return ask() if ask is not None else None


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
