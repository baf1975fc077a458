"""A group and what follows when all of it has ended."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from smallage.core.canvas import printing
from smallage.core.canvas.chain import chain
from smallage.core.canvas.group import group
from smallage.core.canvas.signature import Ids, Signature, members_of, signature_of


@Signature.register_type()
class chord(Signature):
    """`chord(header, body)`: the body gets the list of the header's results; one failure fails it.

    The header is a list of signatures or a group. `chord(header)(body)` sends it at once.
    """

    def __init__(
        self,
        header: Any,
        body: Any = None,
        task: str = "celery.chord",
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
        app: Any = None,
        **options: Any,
    ) -> None:
        made = {
            **(kwargs or {"kwargs": {}}),
            "header": _header(header),
            "body": None if body is None else signature_of(body, "The body of a chord"),
        }
        options.setdefault("subtask_type", "chord")
        super().__init__(task, args, made, app=app, **options)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], app: Any = None) -> Signature:
        kwargs = dict(data["kwargs"])
        header, body = kwargs.pop("header", ()), kwargs.pop("body", None)
        made = cls(
            header,
            body,
            args=data.get("args"),
            kwargs={"kwargs": {}, **kwargs},
            app=app,
            options=data.get("options"),
            immutable=bool(data.get("immutable")),
        )
        if isinstance(header, Mapping) and header.get("subtask_type") == "group" and header.get("options"):
            made["kwargs"]["header"] = group.from_dict(header)  # its id was fixed
        return made

    @property
    def tasks(self) -> list[Signature]:
        """The members of the header, in order."""
        header: Any = self["kwargs"]["header"]
        members: list[Signature] = header.tasks if isinstance(header, group) else header
        return members

    @tasks.setter
    def tasks(self, tasks: Any) -> None:
        self["kwargs"]["header"] = _header(tasks)

    @property
    def header(self) -> group:
        """The header as a group, of the same members."""
        header: Any = self["kwargs"]["header"]
        if isinstance(header, group):
            return header
        made = group(app=self._app)
        made["kwargs"]["tasks"] = header
        return made

    @property
    def body(self) -> Any:
        """What follows the header; None if that is not said yet."""
        return self["kwargs"]["body"]

    @body.setter
    def body(self, body: Any) -> None:
        self["kwargs"]["body"] = None if body is None else signature_of(body, "The body of a chord")

    def own_app(self) -> Any:
        if self._app is not None:
            return self._app
        apps = (one.own_app() for one in (*self.tasks[:1], self.body) if one is not None)
        return next((app for app in apps if app is not None), None)

    def header_arguments(self, args: Any = None, kwargs: Any = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(args, kwargs) that its header gets when it is sent with these."""
        own = dict(self["kwargs"].get("kwargs") or {})
        if self.immutable:
            return self.args, own
        return (*(args or ()), *self.args), {**own, **(kwargs or {})}

    def members(self, args: Any = None, kwargs: Any = None, **options: Any) -> list[Signature]:
        """What of the header is sent; see `group.flat`."""
        merged_args, merged_kwargs = self.header_arguments(args, kwargs)
        return self.header.flat(merged_args, merged_kwargs, **options)

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> Signature:
        """A copy, header and body cloned. These arguments are kept for the header; `body` in `kwargs` is a new body."""
        given = dict(kwargs or {})
        body = given.pop("body", None)
        if body is None:
            body = self.body
        merged_args, merged_kwargs = self.header_arguments(args, given)
        header: Any = self["kwargs"]["header"]
        made = {
            **self["kwargs"],
            "kwargs": merged_kwargs,
            "header": header.clone() if isinstance(header, group) else [one.clone() for one in header],
            "body": None if body is None else signature_of(body, "The body of a chord").clone(),
        }
        return self._copy(merged_args, made, options)

    def fix(self, ids: Ids, parent: Any) -> Any:
        """Fix the ids of header and body; the chord's own is that of its header. `freeze(_id)` is for the body."""
        header = self.header
        if self.id is not None:
            header.options.setdefault("task_id", self.id)
        self["kwargs"]["header"] = header
        handle = header.fix(Ids(root_id=ids.root_id, parent_id=ids.parent_id), parent)
        if header.id is not None:
            self.id = header.id
        if self.body is None:
            return None
        return self.body.fix(ids._replace(parent_id=None), handle)

    def link(self, callback: Any) -> Any:
        """Call `callback` with the body's result; returns it."""
        self._need_body("linked").link(callback)
        return callback

    def link_error(self, errback: Any) -> Any:
        """Call `errback` when the body fails, which it does with its header; returns it.

        With the setting `task_allow_error_cb_on_chord_header` also for every member of the header that fails.
        """
        body = self._need_body("linked")
        made = signature_of(errback, "An error callback")
        if getattr(getattr(self.app, "conf", None), "task_allow_error_cb_on_chord_header", False):
            for one in self.tasks:
                clone = made.clone()
                clone.set_immutable(True)
                one.link_error(clone)
        else:
            warnings.warn(
                "An error callback of a chord is called for its body only. Later versions will call it for each member "
                "of the header too; set task_allow_error_cb_on_chord_header to have that now.",
                PendingDeprecationWarning,
                stacklevel=2,
            )
        for one in self.tasks:
            if isinstance(one, chord):
                one.link_error(made)
        body.link_error(made)
        return made

    def set_immutable(self, immutable: bool) -> None:
        """Say for every member of the header whether it takes arguments from a merge."""
        for one in self.tasks:
            one.set_immutable(immutable)

    def _need_body(self, what: str) -> Signature:
        if self.body is None:
            raise TypeError(f"This chord has no body, so nothing can be {what} to it: chord(header, body).")
        body: Signature = self.body
        return body

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Send it, with `body` in place of its own."""
        return self.apply_async((), {} if body is None else {"body": body}, **options)

    def __length_hint__(self) -> int:
        """How many ends its body waits for."""
        return sum(_ends(one) for one in self.tasks)

    def __repr__(self) -> str:
        body = self.body
        if body is None:
            return f"<chord without body: {self.tasks!r}>"
        if isinstance(body, chain) and body.tasks:
            rest = chain.of(body.tasks[1:])
            text = f"%({body.tasks[0].reprcall(self.tasks)} | {rest!r})"
            return printing.without_repeats(body.tasks[0]["task"], text)
        return "%" + printing.without_repeats(body["task"], body.reprcall(self.tasks))


def _header(header: Any) -> list[Signature]:
    """The members: those of a group or chain, one signature, or an iterable of them."""
    if isinstance(header, Mapping):
        made = signature_of(header, "A header")
        return list(made.tasks) if isinstance(made, (group, chain)) else [made]
    return members_of(header, "chord's header")


def _ends(one: Signature) -> int:
    """How many ends of a member count: of a chain its last step that has any, of a chord its body's."""
    if isinstance(one, group):
        return sum(_ends(member) for member in one.tasks)
    if isinstance(one, chain):
        return next((ends for ends in map(_ends, reversed(one.tasks)) if ends), 0)
    if isinstance(one, chord):
        return 0 if one.body is None else _ends(one.body)
    return 1
