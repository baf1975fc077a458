"""One task called for many items: `map`, `starmap` and `chunks`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, ClassVar

from smallage.core.canvas import printing
from smallage.core.canvas.group import group
from smallage.core.canvas.signature import Signature, members_of, signature_of

Group = group


class _Mapped(Signature):
    """One call that calls `task` for each item of `it` in turn, where it runs; gives the list of what they returned."""

    _name: ClassVar[str]

    def __init__(self, task: Any, it: Iterable[Any], **options: Any) -> None:
        options.setdefault("immutable", True)
        super().__init__(self._name, (), {"task": _task(task), "it": list(it)}, **options)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], app: Any = None) -> Signature:
        kwargs = data["kwargs"]
        immutable = bool(data.get("immutable", True))
        return cls(kwargs["task"], kwargs["it"], app=app, options=data.get("options"), immutable=immutable)

    @property
    def mapped(self) -> Signature:
        """The task that is called."""
        return signature_of(self["kwargs"]["task"], "A mapped task")

    def own_app(self) -> Any:
        return self._app if self._app is not None else self.mapped.own_app()

    def _one(self, task: Any, item: Any) -> Any:
        raise NotImplementedError

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the task for each item, here and now."""
        task = self.mapped.type
        return [self._one(task, item) for item in self["kwargs"]["it"]]


@Signature.register_type("celery.map")
class xmap(_Mapped):
    """`task.map(items)`: the list of `task(item)`."""

    _name = "celery.map"

    def _one(self, task: Any, item: Any) -> Any:
        return task(item)

    def __repr__(self) -> str:
        return f"[{self.mapped.task}(x) for x in {printing.items(self['kwargs']['it'])}]"


@Signature.register_type("celery.starmap")
class xstarmap(_Mapped):
    """`task.starmap(rows)`: the list of `task(*row)`."""

    _name = "celery.starmap"

    def _one(self, task: Any, item: Any) -> Any:
        return task(*item)

    def __repr__(self) -> str:
        return f"[{self.mapped.task}(*x) for x in {printing.items(self['kwargs']['it'])}]"


@Signature.register_type("celery.chunks")
class chunks(Signature):
    """`task.chunks(rows, n)`: a group of starmaps of `n` rows each; gives a list of lists."""

    def __init__(self, task: Any, it: Iterable[Any], n: int, **options: Any) -> None:
        if n < 1:
            raise ValueError(f"A chunk has at least one row; n must be a whole number above 0, not {n!r}.")
        options.setdefault("immutable", True)
        super().__init__("celery.chunks", (), {"task": _task(task), "it": list(it), "n": n}, **options)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], app: Any = None) -> Signature:
        kwargs = data["kwargs"]
        immutable = bool(data.get("immutable", True))
        made = cls(kwargs["task"], kwargs["it"], kwargs["n"], app=app, options=data.get("options"), immutable=immutable)
        return made

    @classmethod
    def apply_chunks(cls, task: Any, it: Iterable[Any], n: int, app: Any = None) -> Any:
        """Send the chunks at once."""
        return cls(task, it, n, app=app)()

    def own_app(self) -> Any:
        return self._app if self._app is not None else _task(self["kwargs"]["task"]).own_app()

    def group(self) -> Group:
        """The group that is sent."""
        task, rows, size = self["kwargs"]["task"], iter(self["kwargs"]["it"]), self["kwargs"]["n"]
        parts = iter(lambda: list(islice(rows, size)), [])
        return group([xstarmap(task, part, app=self._app) for part in parts], app=self._app, options=self.options)

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Send the group; returns its GroupResult."""
        return self.group().apply_async(None, None, **options)

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Run the group in this process."""
        return self.group().apply(None, None, **options)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Send the group."""
        return self.apply_async(**options)


def _task(task: Any) -> Signature:
    """The task of a map: a signature, or a task itself."""
    if not isinstance(task, Mapping) and callable(getattr(task, "s", None)):
        task = task.s()
    return members_of([task], "map")[0]
