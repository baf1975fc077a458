"""One call as data: a task's name, its arguments and options, to be made later or by somebody else.

A `Signature` is a plain dict (`task`, `args`, `kwargs`, `options`, `subtask_type`, `immutable`), so it travels as an
argument. What sends it is found in the registry by name.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, ClassVar, Final, NamedTuple, NoReturn, TypeVar

from smallage.core.canvas import printing
from smallage.core.canvas.hooks import Handles, Sender
from smallage.core.errors import ImproperlyConfigured

S = TypeVar("S", bound="Signature")

_KEPT: Final = frozenset({"group_id", "stamped_headers"})
"""Options that a merge does not change once they are set: others count on them."""


class Ids(NamedTuple):
    """What `freeze` fixes besides the id itself."""

    task_id: str | None = None
    group_id: str | None = None
    chord: Any = None
    root_id: str | None = None
    parent_id: str | None = None
    group_index: int | None = None


class Signature(dict[str, Any]):
    """A call to be made. `args` of a later merge go before the stored ones, `kwargs` and options win over them."""

    send: ClassVar[Sender | None] = None
    """Set by the client: sends a signature of any kind."""
    here: ClassVar[Sender | None] = None
    """Set by the client: runs a signature of any kind in this process; returns an EagerResult or GroupResult."""
    find: ClassVar[Callable[[Signature], Any] | None] = None
    """Set by the client: the task of a signature; raises NotRegistered."""
    handle: ClassVar[Handles | None] = None
    """Set by the client: the handle of a result whose id was fixed before the call."""
    new_id: ClassVar[Callable[[], str] | None] = None
    """Set by the client: a fresh id for a task or group."""
    current: ClassVar[Callable[[], Any] | None] = None
    """Set by the client: the app of signatures that name none."""
    TYPES: ClassVar[dict[str, builtins.type[Signature]]] = {}
    """`subtask_type` (or the name of the task) → the class that `from_dict` restores."""

    changed = False
    """In the plan of a retry: its arguments are not those of the run before."""
    _app: Any = None
    _type: Any = None

    def __init__(
        self,
        task: Any = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        type: Any = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: Any = None,
        **more: Any,
    ) -> None:
        if isinstance(task, Mapping):
            super().__init__(_whole(task))
            self._app = app if app is not None else getattr(task, "_app", None)
            return
        name = getattr(task, "name", None)
        if name is not None:
            self._type = task
        super().__init__(
            task=task if name is None else name,
            args=tuple(args or ()),
            kwargs=dict(kwargs or {}),
            options={**(options or {}), **more},
            subtask_type=subtask_type,
            immutable=immutable,
        )
        self._app = app if app is not None else getattr(task, "app", None)

    @classmethod
    def register_type(cls, name: str | None = None) -> Callable[[builtins.type[S]], builtins.type[S]]:
        """Class decorator: `from_dict` restores signatures with this `subtask_type` as the class."""

        def register(made: builtins.type[S]) -> builtins.type[S]:
            Signature.TYPES[name or made.__name__] = made
            return made

        return register

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], app: Any = None) -> Signature:
        """The signature that was turned into plain data; raises ImproperlyConfigured if it is none."""
        whole = _whole(data)
        kind = whole["subtask_type"]
        made = Signature.TYPES.get(kind or whole["task"])
        if made is None and kind:
            raise ImproperlyConfigured(
                f"{kind!r} is no kind of signature known here; known are {', '.join(sorted(Signature.TYPES))}. "
                "A class of your own is made known with @Signature.register_type()."
            )
        if made is None or made is cls:
            return Signature(whole, app=app)
        return made.from_dict(whole, app)

    # -- the parts ------------------------------------------------------------------------------------------------
    @property
    def task(self) -> str:
        """The name of the task."""
        name: str = self["task"]
        return name

    @task.setter
    def task(self, name: str) -> None:
        self["task"] = name

    @property
    def name(self) -> str:
        """The name of the task."""
        return self.task

    @property
    def args(self) -> tuple[Any, ...]:
        return tuple(self["args"])

    @args.setter
    def args(self, args: Iterable[Any]) -> None:
        self["args"] = tuple(args)

    @property
    def kwargs(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = self["kwargs"]
        return kwargs

    @kwargs.setter
    def kwargs(self, kwargs: dict[str, Any]) -> None:
        self["kwargs"] = kwargs

    @property
    def options(self) -> dict[str, Any]:
        """The options of `apply_async`, `link` and `link_error` among them."""
        options: dict[str, Any] = self["options"]
        return options

    @options.setter
    def options(self, options: dict[str, Any]) -> None:
        self["options"] = options

    @property
    def immutable(self) -> bool:
        """True if it takes no arguments from a merge."""
        return bool(self["immutable"])

    @immutable.setter
    def immutable(self, immutable: bool) -> None:
        self["immutable"] = immutable

    @property
    def subtask_type(self) -> str | None:
        """None for a task, else "chain", "group" or "chord"."""
        kind: str | None = self["subtask_type"]
        return kind

    @subtask_type.setter
    def subtask_type(self, kind: str | None) -> None:
        self["subtask_type"] = kind

    @property
    def id(self) -> str | None:
        """The id that the call will have, if it was chosen."""
        chosen: str | None = self["options"].get("task_id")
        return chosen

    @id.setter
    def id(self, task_id: str) -> None:
        self["options"]["task_id"] = task_id

    @property
    def parent_id(self) -> str | None:
        """The id of the task that makes the call, if it was chosen."""
        chosen: str | None = self["options"].get("parent_id")
        return chosen

    @parent_id.setter
    def parent_id(self, task_id: str) -> None:
        self["options"]["parent_id"] = task_id

    @property
    def root_id(self) -> str | None:
        """The id of the first task of the whole workflow, if it was chosen."""
        chosen: str | None = self["options"].get("root_id")
        return chosen

    @root_id.setter
    def root_id(self, task_id: str) -> None:
        self["options"]["root_id"] = task_id

    def own_app(self) -> Any:
        """The app it was made with, None for the current one."""
        return self._app

    @property
    def app(self) -> Any:
        """The app that sends it."""
        own = self.own_app()
        if own is not None or Signature.current is None:
            return own
        return Signature.current()

    @property
    def type(self) -> Any:
        """The task; raises NotRegistered if its name is not known here."""
        return self._type if self._type is not None else hook("find")(self)

    # -- merging --------------------------------------------------------------------------------------------------
    def merged(self, args: Any = None, kwargs: Any = None, options: Any = None) -> tuple[Any, Any, dict[str, Any]]:
        """(args, kwargs, options) of a call of this signature with these besides. None options are left out."""
        given = {name: value for name, value in (options or {}).items() if value is not None}
        if self.immutable:
            return tuple(self["args"]), dict(self["kwargs"]), self._merged_options(given)
        merged_args = (*(args or ()), *self["args"])
        return merged_args, {**self["kwargs"], **(kwargs or {})}, self._merged_options(given)

    def _merged_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        own = self["options"]
        kept = _KEPT.union(own["stamped_headers"]) if own.get("stamped_headers") else _KEPT
        return {**own, **{name: value for name, value in given.items() if name not in kept or name not in own}}

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> Signature:
        """A copy with these merged in. Its options are copied deeply, its arguments are the same objects."""
        new_args, new_kwargs, _ = self.merged(args, kwargs)
        return self._copy(new_args, new_kwargs, options)

    def partial(self, args: Any = None, kwargs: Any = None, **options: Any) -> Signature:
        """The same as `clone`."""
        return self.clone(args, kwargs, **options)

    def _copy(self: S, args: tuple[Any, ...], kwargs: dict[str, Any], options: Mapping[str, Any]) -> S:
        made: S = dict.__new__(self.__class__)
        dict.__init__(made, self)
        dict.update(made, args=args, kwargs=kwargs, options=_copied(self._merged_options(options)))
        made._app, made._type = self._app, self._type
        return made

    def replace(self, args: Any = None, kwargs: Any = None, options: Any = None) -> Signature:
        """A copy with these in place of its own; None leaves a part as it is."""
        made = self.clone()
        if args is not None:
            made.args = args
        if kwargs is not None:
            made.kwargs = kwargs
        if options is not None:
            made.options = options
        return made

    def set(self: S, immutable: bool | None = None, **options: Any) -> S:
        """Add options; returns the signature itself."""
        if immutable is not None:
            self.set_immutable(immutable)
        self["options"].update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Say whether it takes arguments from a merge."""
        self["immutable"] = immutable

    # -- links ----------------------------------------------------------------------------------------------------
    def link(self, callback: Any) -> Any:
        """Call `callback` with the result when this succeeded; returns `callback`. A second equal one is not added."""
        return self.append_to_list_option("link", callback)

    def link_error(self, errback: Any) -> Any:
        """Call `errback` when this failed; returns `errback`. A second equal one is not added."""
        return self.append_to_list_option("link_error", errback)

    def on_error(self: S, errback: Any) -> S:
        """As `link_error`, but returns the signature itself."""
        self.link_error(errback)
        return self

    def append_to_list_option(self, name: str, value: Any) -> Any:
        """Add to a list among the options, unless an equal one is there; returns `value`."""
        values = self._list_option(name)
        if value not in values:
            values.append(value)
        return value

    def extend_list_option(self, name: str, values: Any) -> None:
        """Add one value or several to a list among the options."""
        self._list_option(name).extend(as_list(values))

    def _list_option(self, name: str) -> list[Any]:
        values = as_list(self["options"].get(name))
        self["options"][name] = values
        return values

    def flatten_links(self) -> list[Signature]:
        """The signature and all that is linked to it, and to those."""
        found: list[Signature] = [self]
        for one in as_list(self["options"].get("link")):
            found.extend(signature_of(one, "A link").flatten_links())
        return found

    # -- ids fixed before the call --------------------------------------------------------------------------------
    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> Any:
        """Fix the id; returns the handle of the result. Every later sending uses that id, so send it once.

        An id that was fixed before stays. Inside a chain, group or chord all ids are fixed.
        """
        return self.fix(Ids(_id, group_id, chord, root_id, parent_id, group_index), None)

    def fix(self, ids: Ids, parent: Any) -> Any:
        """As `freeze`; `parent` is the handle that the handle leads back to."""
        task_id = self._fix_options(ids)
        return hook("handle")(self, task_id, parent, None)

    def _fix_options(self, ids: Ids) -> str:
        options = self["options"]
        task_id: str = options.get("task_id") or ids.task_id or hook("new_id")()
        options["task_id"] = task_id
        if ids.group_id:
            options.setdefault("group_id", ids.group_id)
        for name in ("root_id", "parent_id", "chord"):
            if getattr(ids, name):
                options[name] = getattr(ids, name)
        if ids.group_index is not None:
            options["group_index"] = ids.group_index
        return task_id

    # -- calling --------------------------------------------------------------------------------------------------
    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Send the call; returns the handle of its result. Options that are None are left out."""
        given = {name: value for name, value in options.items() if value is not None}
        return hook("send")(self, args, kwargs, given)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Send the call with these arguments merged in."""
        return self.apply_async(args, kwargs)

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Run the call in this process, as a worker would; returns its EagerResult."""
        given = {name: value for name, value in options.items() if value is not None}
        return hook("here")(self, args, kwargs, given)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task here and now, as a plain function call."""
        merged_args, merged_kwargs, _ = self.merged(args, kwargs)
        return self.type(*merged_args, **merged_kwargs)

    def __invert__(self) -> Any:
        """Send it and wait for its result."""
        return self.apply_async().get()

    # -- joining --------------------------------------------------------------------------------------------------
    def __or__(self, other: Any) -> Any:
        """What runs this and then `other`; see `joining`."""
        from smallage.core.canvas.joining import join

        return join(self, other)

    def __ior__(self, other: Any) -> Any:
        return self.__or__(other)

    def __ror__(self, other: Any) -> NoReturn:
        """A dict's own `|` would make one call out of two."""
        raise TypeError(f"A {type(other).__name__} cannot come before a signature; use task.s(...) or group([...]).")

    def stamp(self, *visitor: Any, **stamps: Any) -> NoReturn:
        """Celery's stamping; not offered."""
        raise NotImplementedError(
            "Stamping is not offered. To mark calls, give them headers: sig.set(headers={...}) is readable as "
            "self.request.headers."
        )

    stamp_links = stamp

    # -- as plain data --------------------------------------------------------------------------------------------
    def __deepcopy__(self, memo: dict[int, Any]) -> Signature:
        made = self.clone()
        dict.update(made, args=deepcopy(made["args"], memo), kwargs=deepcopy(made["kwargs"], memo))
        return made

    def __copy__(self) -> Signature:
        return self.clone()

    def __reduce__(self) -> Any:
        return signature, (dict(self),)

    def __json__(self) -> dict[str, Any]:
        return dict(self)

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """The call with these arguments merged in, as text."""
        return printing.call(self["task"], (*args, *self["args"]), {**self["kwargs"], **kwargs})

    def __repr__(self) -> str:
        return self.reprcall()


def hook(name: str) -> Any:
    """What the client set; raises ImproperlyConfigured if there is no client."""
    found = getattr(Signature, name)
    if found is None:
        raise ImproperlyConfigured("Nothing can be sent or run yet: import smallage and make an app first.")
    return found


def _whole(data: Mapping[str, Any]) -> dict[str, Any]:
    """A signature's data with every part in it."""
    if not isinstance(data.get("task"), str):
        raise ImproperlyConfigured("This dict is not a signature: it names no task.")
    return {
        **data,
        "args": tuple(data.get("args") or ()),
        "kwargs": data.get("kwargs") or {},
        "options": data.get("options") or {},
        "subtask_type": data.get("subtask_type"),
        "immutable": bool(data.get("immutable", False)),
    }


_PLAIN: Final = (str, int, float, type(None))


def _copied(options: dict[str, Any]) -> dict[str, Any]:
    """A deep copy; `options` is new itself already."""
    if all(isinstance(value, _PLAIN) for value in options.values()):
        return options
    return deepcopy(options)


def as_list(value: Any) -> list[Any]:
    """None as an empty list, one value as a list of it; a list stays what it is."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    return list(value) if isinstance(value, (tuple, set, frozenset)) else [value]


def signature(task: Any, *args: Any, **kwargs: Any) -> Signature:
    """A signature from a task's name, a task, or a dict that was one; a signature is cloned.

    Arguments as for `Signature`. Raises ImproperlyConfigured for a dict that is no signature.
    """
    if isinstance(task, Signature):
        return task.clone()
    if isinstance(task, Mapping):
        return Signature.from_dict(task, app=kwargs.get("app"))
    return Signature(task, *args, **kwargs)


def maybe_signature(task: Any, app: Any = None, clone: bool = False) -> Signature | None:
    """None stays None, a signature itself (its clone with `clone=True`); a dict is restored."""
    if task is None:
        return None
    made = task if isinstance(task, Signature) and not clone else signature(task)
    if app is not None:
        made._app = app
    return made


def signature_of(one: Any, what: str) -> Signature:
    """A member or body as a signature; `what` begins the TypeError's text."""
    if isinstance(one, Signature):
        return one
    if isinstance(one, Mapping):
        return Signature.from_dict(one)
    raise TypeError(f"{what} must be a signature such as task.s(1), not {printing.kind(one)}.")


def members_of(tasks: Any, kind: str) -> list[Signature]:
    """Signatures from an iterable of them; `kind` is named in the TypeError."""
    if isinstance(tasks, (str, bytes, Mapping)) or not hasattr(tasks, "__iter__"):
        raise TypeError(f"A {kind} takes signatures such as task.s(1), or a list of them, not {printing.kind(tasks)}.")
    made: list[Signature] = []
    for one in tasks:
        if not isinstance(one, Mapping):
            raise TypeError(f"A {kind}'s members are signatures such as task.s(1), not {printing.kind(one)}.")
        made.append(one if isinstance(one, Signature) else Signature.from_dict(one))
    return made
