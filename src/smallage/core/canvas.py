"""Calls as data: a task's name, its arguments and options, to be made later or by somebody else.

A `Signature` is a plain dict (`task`, `args`, `kwargs`, `options`, `subtask_type`, `immutable`), so it travels as an
argument. What sends it is found in the registry by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NoReturn

from smallage.core.errors import ImproperlyConfigured

Sender = Callable[["Signature", Any, Any, dict[str, Any]], Any]


class Signature(dict[str, Any]):
    """A call to be made. `args` of a later merge go before the stored ones, `kwargs` and options win over them."""

    send: ClassVar[Sender | None] = None
    """Set by the client: sends a signature with (args, kwargs, options) and returns the result's handle."""
    find: ClassVar[Callable[[Signature], Any] | None] = None
    """Set by the client: the task of a signature."""
    changed = False
    """In the plan of a retry: its arguments are not those of the run before."""

    def __init__(
        self,
        task: Any = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: Any = None,
        **more: Any,
    ) -> None:
        if isinstance(task, Mapping):
            super().__init__(task)
        else:
            super().__init__(
                task=getattr(task, "name", task),
                args=tuple(args or ()),
                kwargs=dict(kwargs or {}),
                options={**(options or {}), **more},
                subtask_type=subtask_type,
                immutable=immutable,
            )
        self._app = app if app is not None else getattr(task, "app", getattr(task, "_app", None))

    @property
    def task(self) -> str:
        name: str = self["task"]
        return name

    name = task

    @property
    def args(self) -> tuple[Any, ...]:
        return tuple(self["args"])

    @property
    def kwargs(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = self["kwargs"]
        return kwargs

    @property
    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = self["options"]
        return options

    @property
    def immutable(self) -> bool:
        return bool(self.get("immutable", False))

    @property
    def subtask_type(self) -> str | None:
        kind: str | None = self.get("subtask_type")
        return kind

    @property
    def id(self) -> str | None:
        """The id that the call will have, if it was chosen."""
        chosen: str | None = self["options"].get("task_id")
        return chosen

    @property
    def app(self) -> Any:
        """The app that sends it, None for the current one."""
        return self._app

    def merged(self, args: Any = None, kwargs: Any = None, options: Any = None) -> tuple[Any, Any, dict[str, Any]]:
        """(args, kwargs, options) of a call of this signature with these besides. None options are left out."""
        given = {name: value for name, value in (options or {}).items() if value is not None}
        merged_options = {**self["options"], **given}
        if self.immutable:
            return tuple(self["args"]), dict(self["kwargs"]), merged_options
        return (*(args or ()), *self["args"]), {**self["kwargs"], **(kwargs or {})}, merged_options

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> Signature:
        """A copy with these merged in."""
        new_args, new_kwargs, new_options = self.merged(args, kwargs, options)
        made = type(self).__new__(type(self))
        dict.__init__(made, self)
        made.update(args=new_args, kwargs=new_kwargs, options=new_options)
        made._app = self._app
        return made

    partial = clone

    def set(self, immutable: bool | None = None, **options: Any) -> Signature:
        """Add options; returns the signature itself."""
        if immutable is not None:
            self["immutable"] = immutable
        self["options"].update(options)
        return self

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Send the call; returns the handle of its result."""
        if Signature.send is None:
            raise ImproperlyConfigured("Nothing can be sent yet: import smallage and make an app first.")
        return Signature.send(self, args, kwargs, options)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Send the call with these arguments merged in."""
        return self.apply_async(args, kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task here and now, as a plain function call."""
        merged_args, merged_kwargs, _ = self.merged(args, kwargs)
        return self.type(*merged_args, **merged_kwargs)

    @property
    def type(self) -> Any:
        """The task; raises NotRegistered if its name is not known here."""
        if Signature.find is None:
            raise ImproperlyConfigured("No task is known yet: import smallage and make an app first.")
        return Signature.find(self)

    def __invert__(self) -> Any:
        """Send it and wait for its result."""
        return self.apply_async().get()

    def __or__(self, other: Any) -> NoReturn:
        """Celery's chain; refused, for a dict's own `|` would make one call out of two."""
        raise ImproperlyConfigured(
            "Chains are not offered by this version; push what follows from the task itself, or use fan_out(then=...) "
            "or chord(header, body)."
        )

    __ror__ = __ior__ = __or__

    def __repr__(self) -> str:
        parts = [repr(one) for one in self["args"]] + [f"{name}={value!r}" for name, value in self["kwargs"].items()]
        return f"{self['task']}({', '.join(parts)})"


class group(Signature):
    """Signatures to be sent together: `group(a, b)` or `group([a, b])`."""

    def __init__(self, *tasks: Any, **options: Any) -> None:
        members = _members(tasks)
        app = options.pop("app", None) or next((getattr(one, "app", None) for one in members), None)
        flat: list[Signature] = []
        for one in members:
            flat.extend(_flattened(one))
        super().__init__("celery.group", (), {"tasks": flat}, options, "group", app=app)

    @property
    def tasks(self) -> list[Signature]:
        members: list[Signature] = self["kwargs"]["tasks"]
        return members

    def __or__(self, other: Any) -> Any:
        """`group | task`: a chord, as in Celery."""
        if isinstance(other, Signature) and other.subtask_type is None:
            return chord(self, other)
        return super().__or__(other)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Send the members, with these arguments before their own."""
        return self.apply_async(args, {}, **options)

    def __len__(self) -> int:
        return len(self.tasks)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"group({', '.join(repr(one) for one in self.tasks)})"


def _members(tasks: tuple[Any, ...]) -> list[Any]:
    """The members given one by one, or as an iterable of them."""
    if len(tasks) == 1 and not isinstance(tasks[0], Mapping):
        if isinstance(tasks[0], str) or not hasattr(tasks[0], "__iter__"):
            raise TypeError(f"A group takes signatures such as task.s(1), or a list of them, not {tasks[0]!r}.")
        tasks = tuple(tasks[0])
    for one in tasks:
        if not isinstance(one, Mapping):
            raise TypeError(f"A group's members are signatures such as task.s(1), not {one!r}.")
    return list(tasks)


def _flattened(one: Any) -> list[Signature]:
    """A member, or the members of a group in its place."""
    made = signature(one)
    if isinstance(made, group):
        return [member.clone(**made.options) for member in made.tasks]
    return [made]


class chord(Signature):
    """`chord(header, body)`: the body gets the list of the header's results; one failure fails it."""

    def __init__(self, header: Any, body: Any = None, **options: Any) -> None:
        members = header if isinstance(header, group) else group(header)
        made = None if body is None else signature(body)
        app = options.pop("app", None) or members.app or getattr(made, "app", None)
        super().__init__("celery.chord", (), {"header": members, "body": made}, options, "chord", app=app)

    @property
    def body(self) -> Signature | None:
        body: Signature | None = self["kwargs"]["body"]
        return body

    @property
    def header(self) -> group:
        header: group = self["kwargs"]["header"]
        return header

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Send it, with `body` if none was given before."""
        if body is not None:
            self["kwargs"]["body"] = signature(body)
        return self.apply_async((), {}, **options)

    def __repr__(self) -> str:
        return f"chord({self.header!r}, {self.body!r})"


def signature(task: Any, *args: Any, **kwargs: Any) -> Signature:
    """A signature from a task's name, a task, or a dict that was one. Arguments as for `Signature`."""
    if isinstance(task, Signature):
        return task
    if isinstance(task, Mapping):
        return _restored(task)
    return Signature(task, *args, **kwargs)


def _restored(data: Mapping[str, Any]) -> Signature:
    """The signature that was turned into plain data on its way."""
    kind = data.get("subtask_type")
    kwargs = data.get("kwargs") or {}
    if kind == "group":
        return group([_restored(one) for one in kwargs.get("tasks", ())], **(data.get("options") or {}))
    if kind == "chord":
        body = kwargs.get("body")
        header = [_restored(one) for one in kwargs.get("header", {}).get("kwargs", {}).get("tasks", ())]
        return chord(header, None if body is None else _restored(body), **(data.get("options") or {}))
    if not isinstance(data.get("task"), str):
        raise ImproperlyConfigured("This dict is not a signature: it names no task.")
    return Signature(
        data["task"], data.get("args"), kwargs, data.get("options"), kind, bool(data.get("immutable", False))
    )


def maybe_signature(task: Any) -> Signature | None:
    """None stays None, a signature itself; a dict is restored."""
    return None if task is None else signature(task)
