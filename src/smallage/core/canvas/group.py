"""Calls side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from smallage.core.canvas import printing
from smallage.core.canvas.members import Membered
from smallage.core.canvas.signature import Ids, Signature, as_list, hook, members_of, signature_of

OWN: Final = frozenset({"task_id", "group_id", "group_index", "chord", "root_id", "parent_id"})
"""Options that say which call it is; they are not handed on to members."""


@Signature.register_type()
class group(Membered):
    """Signatures to be sent together: `group(a, b)` or `group([a, b])`. Options go to every member."""

    kind = "group"

    def __init__(self, *tasks: Any, **options: Any) -> None:
        members: Any = tasks
        if len(tasks) == 1:
            members = tasks[0]
            if isinstance(members, group):
                members = members.tasks
            elif isinstance(members, Mapping):
                members = [signature_of(members, "A member").clone()]
        super().__init__("celery.group", (), {"tasks": members_of(members, "group")}, subtask_type="group", **options)

    def flat(self, args: Any = None, kwargs: Any = None, **options: Any) -> list[Signature]:
        """What is sent: copies of the members, with these arguments before their own and these options over theirs.

        Groups inside are replaced by their members, `chunks` by theirs; empty chains are left out. The group's own
        options are merged into each as well, except those that say which call it is.
        """
        if self.immutable:
            args = kwargs = None
        args = (*(args or ()), *self.args)
        given = handed_on({**self.options, **{key: value for key, value in options.items() if value is not None}})
        return list(_flattened(self.tasks, args, kwargs, given))

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> Signature:
        """A copy, its members cloned with these arguments before their own."""
        if self.immutable:
            args = kwargs = None
        return self._copy(self.args, {**self.kwargs, "tasks": [one.clone(args, kwargs) for one in self.tasks]}, options)

    def fix(self, ids: Ids, parent: Any) -> Any:
        """Fix the group's id and those of its members, which are flattened."""
        name = self._fix_options(ids)
        members = list(_flattened(self.tasks, None, None, {}))
        self.tasks = members
        own = Ids(group_id=name, chord=ids.chord, root_id=ids.root_id, parent_id=ids.parent_id)
        handles = [one.fix(own._replace(group_index=place), None) for place, one in enumerate(members)]
        return hook("handle")(self, name, parent, handles)

    def link(self, callback: Any) -> Any:
        """Call `callback` when the first member succeeded, without its result; returns what was linked."""
        if not self.tasks:
            raise IndexError("An empty group has no member that something could be linked to; use a chord.")
        linked = signature_of(callback, "A link").clone()
        linked.set_immutable(True)
        return self.tasks[0].link(linked)

    def link_error(self, errback: Any) -> Any:
        """Call `errback` for every member that fails; returns the clones, one for each member."""
        made = signature_of(errback, "An error callback")
        return tuple(one.link_error(made.clone()) for one in self.tasks)

    def set_immutable(self, immutable: bool) -> None:
        """Say for every member whether it takes arguments from a merge."""
        for one in self.tasks:
            one.set_immutable(immutable)

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> group:
        """Start the members one after the other: countdowns of `start`, `start + step` … up to `stop` seconds."""
        now = float(start)
        for one in self.tasks:
            one.set(countdown=now)
            if not stop or now + step <= stop:
                now += step
        return self

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Send the members, with these arguments before their own."""
        return self.apply_async(args, {}, **options)

    def __len__(self) -> int:
        return len(self.tasks)

    def __repr__(self) -> str:
        if not self.tasks:
            return "group(<empty>)"
        return printing.without_repeats(self.tasks[0]["task"], f"group({self.tasks!r})")


def handed_on(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a group that each member gets."""
    return {key: value for key, value in options.items() if key not in OWN}


def _flattened(tasks: Iterable[Signature], args: Any, kwargs: Any, options: Mapping[str, Any]) -> Iterator[Signature]:
    from smallage.core.canvas.chain import chain
    from smallage.core.canvas.mapping import chunks

    for one in tasks:
        inner = one.group() if isinstance(one, chunks) else one
        if isinstance(inner, group):
            own = inner.args if inner.immutable else (*(args or ()), *inner.args)
            given = None if inner.immutable else kwargs
            yield from _flattened(inner.tasks, own, given, {**handed_on(inner.options), **options})
        elif not (isinstance(inner, chain) and not inner.tasks):
            yield given_to(inner.clone(args, kwargs), options)


def given_to(member: Signature, options: Mapping[str, Any]) -> Signature:
    """`member` itself, with these options over its own; those linked are added to those it has."""
    for key, value in options.items():
        if key in ("link", "link_error"):
            for one in as_list(value):
                member.append_to_list_option(key, one)
        else:
            member.options[key] = value
    return member
